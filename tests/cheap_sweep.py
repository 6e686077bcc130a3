"""A sweep over a cheap function that fails and prunes now and then; as a script, one to be killed.

python tests/cheap_sweep.py FOLDER ENGINE MAX_EVALS [SECONDS_A_TRIAL]
"""

from __future__ import annotations

import math
import random
import sys
import time
from pathlib import Path
from typing import Any

from hft.search import (
    FunctionLauncher,
    Params,
    PrunerSettings,
    SearchSettings,
    SearchSpace,
    Sweep,
    SweepState,
    Trial,
    canonical,
    report,
)

SPACE = SearchSpace.parse(
    {
        "rate": {"low": 1e-4, "high": 1.0, "log": True},
        "layers": {"low": 1, "high": 6, "integer": True},
        "loss": ["plain", "margin", None],
        "margin": {"low": 0.0, "high": 1.0, "when": {"loss": "margin"}},
    }
)


def chance(params: Params) -> float:
    """A number in [0, 1) that depends on nothing but the parameters."""
    return random.Random(canonical(params)).random()


def objective(params: Params) -> float:
    """Lowest at rate 0.01, 3 layers, margin 0.3. A tenth fails, a tenth is NaN; reports three values on its way."""
    luck = chance(params)
    if luck < 0.1:
        raise RuntimeError("unlucky parameters")
    if luck < 0.2:
        return math.nan
    value = (math.log10(params["rate"]) + 2) ** 2 + (params["layers"] - 3) ** 2 / 10
    value += (params["margin"] - 0.3) ** 2 if "margin" in params else 0.2
    for remaining in (2.0, 1.0, 0.5):
        report(value + remaining)
    return value


def identity(trial: Trial) -> tuple[Any, ...]:
    """What of a trial must be the same however often its sweep was interrupted."""
    return (
        trial.number,
        canonical(trial.params),
        trial.state,
        trial.values,
        trial.stage,
        trial.source,
        trial.known_from,
        trial.reason,
    )


def run(folder: Path, engine: str, max_evals: int, seconds: float = 0.0, **changes: Any) -> SweepState:
    """The sweep, from where it stands."""

    def slow_objective(params: Params) -> float:
        time.sleep(seconds)
        return objective(params)

    settings = SearchSettings(max_evals=max_evals, seed=3, pruner=PrunerSettings(kind="median"), **changes)
    launcher = FunctionLauncher(slow_objective, settings.n_parallel)
    return Sweep(folder, SPACE, settings, engine=engine, launcher=launcher).run()


if __name__ == "__main__":
    run(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4]) if len(sys.argv) > 4 else 0.0)
