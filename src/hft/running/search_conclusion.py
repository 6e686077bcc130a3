"""The end of a search: its winner is measured on test, once, and what came of it is told."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from hft.config.preflight import without_hydra
from hft.errors import TrainingError
from hft.experiments.sweep_run import SweepRun
from hft.experiments.trackers import own_stores
from hft.reporting import print_report
from hft.running.winner import measure_winner, needs_training
from hft.running.winner_lead import winner_lead
from hft.search import SweepState, Trial, override_lines
from hft.search.results.ranking import trial_folder
from hft.search.results.values_as_text import counted

if TYPE_CHECKING:
    from hft.search.sweeper.hydra_sweep import HydraSweep


def conclude(
    hydra: HydraSweep,
    state: SweepState,
    fixed: Sequence[str],
    arguments: Sequence[str],
    tracked: SweepRun,
    *,
    has_trained: bool,
) -> SweepState:
    """Prints what came of the search, and measures its winner on test.

    Args:
        hydra: composes the winner's config.
        state: in which the search ended.
        fixed: overrides of every trial.
        arguments: of the command line.
        tracked: the sweep in the tracking store, closed here.
        has_trained: whether this session added a trial.

    Raises:
        TrainingError: too many trials failed, or none has a value.
    """
    from hft.search.results.summary import print_summary

    print_summary(
        state,
        winner_command=shlex.join(["hft", "train", "--config-dir", _short(state.folder / "conf"), "winner=best"]),
        lead=winner_lead(state),
        resume_command=shlex.join(["hft", "train", "-m", *_without_budget(arguments), "search.max_evals=MORE"]),
    )
    if not has_trained:
        print(f"\nNothing was trained: the search had ended already ({state.ended}).")
    try:
        if state.best is not None and len(state.settings.metric) == 1:
            _prove(hydra, state, state.best, fixed, has_trained=has_trained)
        elif state.best is not None:
            print(
                "\nTest is not read: of several metrics there is a front to choose from. hft evaluate RUN measures one."
            )
    finally:
        sync_interrupted(state.folder, own_stores(hydra.config.tracking))
        tracked.end(state.ended or "stopped")
    _raise_for_failures(state)
    return state


def _prove(hydra: HydraSweep, state: SweepState, best: Trial, fixed: Sequence[str], *, has_trained: bool) -> None:
    """Reads test for the winner, once, and says what it gave, with the number of trials that it was chosen from."""
    folder = trial_folder(state, best) or state.folder / str(best.number)
    again = state.folder / f"winner_{best.number}"
    config = trial_config(hydra, _overrides(state, best, fixed))
    will_retrain = needs_training(folder, config)
    if will_retrain and has_trained:
        print(f"\nThe winner is trained once more, on the whole training part: {_short(again)}")
    report, where = measure_winner(folder, config, retrained=again)
    if has_trained and not will_retrain:  # a complete training has printed its own report
        print_report(report.to_dict())
    main = report.main
    assert main.tuned is not None
    p = "" if main.p is None else f", p {main.p:.4f}"
    print(
        f"\nTest {report.main_metric}: {main.start:.4f} -> {main.tuned:.4f}{p}; read once, for the best of "
        f"{_count(state)} on validation.\nIts model: {_short(where)}"
    )
    if best.details.get("best_step") == 0:
        print("No trial beat the starting model on validation: the winner has the starting weights.")


def _count(state: SweepState) -> str:
    """How many trials the winner was chosen from: `12 trials (3 done, 9 pruned)`."""
    states = Counter(trial.state for trial in state.trials)
    parts = ", ".join(f"{states[name]} {name}" for name in ("done", "pruned", "failed") if states[name])
    return f"{counted(len(state.trials), 'trial')} ({parts})"


def _overrides(state: SweepState, best: Trial, fixed: Sequence[str]) -> list[str]:
    stages = state.settings.stages
    return [*fixed, *override_lines(best.params), *(stages[best.stage].overrides if stages else [])]


def sync_interrupted(folder: Path, own: Collection[str]) -> None:
    """Closes, in the user's own tracking store, runs of this sweep that were cut off, and pushes what it has missed."""
    from hft.experiments import sync

    sync(folder, own)


def trial_config(hydra: HydraSweep, overrides: Sequence[str]) -> DictConfig:
    """The config of a trial from its overrides, without Hydra's own node."""
    return without_hydra(hydra.hydra_context.config_loader.load_sweep_config(hydra.config, list(overrides)))


def _raise_for_failures(state: SweepState) -> None:
    failed = [trial for trial in state.trials if trial.state == "failed"]
    if state.ended == "failures":
        raise TrainingError(
            f"search.max_failures={state.settings.max_failures}: {len(failed)} trials failed, so that the search was "
            f"given up. The last: {failed[-1].reason}"
        )
    if state.best is None:
        told = f" The last failure: {failed[-1].reason}" if failed else ""
        raise TrainingError(f"{state.folder}: none of {len(state.trials)} trials has a value.{told}")


def _without_budget(arguments: Sequence[str]) -> list[str]:
    return [line for line in arguments if not line.startswith("search.max_evals=")]


def _short(path: Path) -> str:
    here = Path(os.getcwd())
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
