"""optimization_results.yaml: the shape that users of Hydra's own sweepers know, for scripts that expect it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, get_args

import yaml

from hft.files import atomic_write
from hft.search.hooks import SweepState
from hft.search.results.ranking import is_several, value_of
from hft.search.results.values_as_text import typed_params
from hft.search.trial import State

OPTIMIZATION_RESULTS_FILE = "optimization_results.yaml"


def optimization_results(state: SweepState, name: str) -> dict[str, Any]:
    """The best parameters and value, as the Ax and Nevergrad sweepers write them and as the Optuna sweeper does;
    several metrics: the front as `solutions`. Then counts by state.

    Args:
        state: of the sweep.
        name: of the sweeper.
    """
    found: dict[str, Any] = {"name": name}
    if is_several(state.settings):
        found["solutions"] = [
            {"params": typed_params(trial.params), "values": list(trial.values)} for trial in state.front
        ]
    else:
        best = state.best
        for params_key, value_key in (
            ("best_evaluated_params", "best_evaluated_result"),
            ("best_params", "best_value"),
        ):
            found[params_key] = None if best is None else typed_params(best.params)
            found[value_key] = None if best is None else value_of(best)
    states = Counter(trial.state for trial in state.trials)
    found["trials"] = len(state.trials)
    found.update({name: states[name] for name in get_args(State)})
    return found


def write_optimization_results(state: SweepState, name: str, path: Path) -> None:
    """Writes them.

    Raises:
        StorageError: the system refused a write.
    """
    # The journal has it all.
    with atomic_write(path, durable=False) as file:
        yaml.dump(optimization_results(state, name), file, _Dumper, sort_keys=False, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    """Quotes strings that some reader takes for a number: `1e-3` is one to Hydra and none to plain YAML."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        try:
            float(text.replace("_", ""))
        except ValueError:
            return self.represent_str(text)
        return self.represent_scalar("tag:yaml.org,2002:str", text, style="'")

    def ignore_aliases(self, data: Any) -> bool:
        """The parameters stand there under two names: written out twice, not linked."""
        return True


_Dumper.add_representer(str, _Dumper.represent_text)
