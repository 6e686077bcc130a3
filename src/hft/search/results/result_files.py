"""What a sweep leaves behind, renewed after every trial: the best trial as a config, tables, pictures."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from hft.checksums import sealed_yaml
from hft.files import atomic_write
from hft.search.hooks import SweepHooks, SweepState
from hft.search.results.best_config import Groups, winner_config
from hft.search.results.optimization_results import OPTIMIZATION_RESULTS_FILE, write_optimization_results
from hft.search.results.pictures.drawing import SweepPictures
from hft.search.results.ranking import has_value
from hft.search.results.trials_table import TRIALS_FILE, TrialsTable
from hft.search.results.values_as_text import counted, metric_text
from hft.search.spaces.overrides import override_lines
from hft.search.trial import Trial

CONF_FOLDER = "conf"
WINNER_FILE = f"{CONF_FOLDER}/winner/best.yaml"
HFT_COMMAND = "hft train --config-dir {conf} winner=best"
# An app that does not know the group appends it.
OTHER_COMMAND = "python YOUR_APP.py --config-dir {conf} +winner=best"


class ResultFiles(SweepHooks):
    """Writes, into the sweep folder:

        conf/winner/best.yaml        the best trial's config
        trials.csv                   all trials
        optimization_results.yaml    the best, as other sweepers write it
        pictures/                    see `hft.search.results.pictures.drawing`

    Args:
        groups: keys, searched or fixed, that are config groups; or what tells whether a key without `+` and
            `@package` is one: `lambda key: bool(config_loader.get_group_options(key))`.
        fixed: overrides that every trial gets before its own; what a config cannot say of them (`~key`) is said in a
            comment of best.yaml.
        name: of the sweeper, for optimization_results.yaml.
        command: how to run the winner, `{conf}` for the folder of configs.
        without: groups and nodes that best.yaml leaves out, such as `search`: the winner is one job.
        pictures: whether to draw.
        say: told in a line what could not be drawn; None: stderr.
    """

    def __init__(
        self,
        groups: Groups = (),
        fixed: Sequence[str] = (),
        *,
        name: str = "hft",
        command: str = HFT_COMMAND,
        without: Collection[str] = (),
        pictures: bool = True,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self._groups, self._fixed = groups, tuple(fixed)
        self._name, self._command, self._without = name, command, tuple(without)
        self._table = TrialsTable()
        self._pictures = SweepPictures(say or _say_on_stderr) if pictures else None

    def on_trial_end(self, trial: Trial, state: SweepState) -> None:
        """Renews the files; pictures only if the last ones are old enough.

        Raises:
            StorageError: the system refused a write.
        """
        self._write(state)
        if self._pictures is not None:
            self._pictures.draw_if_due(state)

    def on_end(self, state: SweepState) -> None:
        """Renews all files.

        Raises:
            StorageError: the system refused a write.
        """
        if not state.trials:
            return
        self._write(state)
        if self._pictures is not None:
            self._pictures.draw(state)

    def _write(self, state: SweepState) -> None:
        self._table.write(state, state.folder / TRIALS_FILE)
        write_optimization_results(state, self._name, state.folder / OPTIMIZATION_RESULTS_FILE)
        if state.best is not None:
            with atomic_write(state.folder / WINNER_FILE, durable=False) as file:  # the journal has it all
                file.write(sealed_yaml(self._winner(state, state.best)))

    def _winner(self, state: SweepState, best: Trial) -> str:
        stages = state.settings.stages
        of_stage = stages[best.stage].overrides if best.stage < len(stages) else ()
        # In the order in which the trial had them.
        overrides = [*self._fixed, *override_lines(best.params), *of_stage]
        return winner_config(overrides, self._groups, self._comments(state, best), self._without)

    def _comments(self, state: SweepState, best: Trial) -> list[str]:
        values = zip(state.settings.metric, best.values, strict=False)
        found = ", ".join(f"{metric} {metric_text(value)}" for metric, value in values)
        trials = sum(has_value(trial) for trial in state.trials)
        several = f"the first of {len(state.front)} that no other beats in everything; " if len(state.front) > 1 else ""
        return [
            winner_command(state.folder, self._command),
            f"trial {best.number} of {state.folder.name}: {found or 'no value'}; {several}best of "
            f"{counted(trials, 'done trial')} ({len(state.trials)} in all)",
        ]


def winner_command(sweep_folder: Path, command: str = HFT_COMMAND) -> str:
    """The command that runs the winner of a sweep.

    Args:
        sweep_folder: of the sweep.
        command: `{conf}` for the folder of configs, seen from the current folder where it lies below it.
    """
    folder, here = (sweep_folder / CONF_FOLDER).absolute(), Path.cwd()
    shown = folder.relative_to(here) if folder.is_relative_to(here) else folder
    return command.replace("{conf}", shlex.quote(str(shown)))


def _say_on_stderr(line: str) -> None:
    print(line, file=sys.stderr)
