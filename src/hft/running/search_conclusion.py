"""The end of a search: its winner is measured on test, once, and what came of it is told."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from hft.config.preflight import without_hydra
from hft.errors import TrainingError
from hft.experiments.sweep_run import SweepRun
from hft.reporting import print_report
from hft.running.winner import measure_winner
from hft.search import SweepState, Trial, override_lines

if TYPE_CHECKING:
    from hft.metrics import Report
    from hft.search.sweeper.hydra_sweep import HydraSweep


def conclude(
    hydra: HydraSweep, state: SweepState, fixed: Sequence[str], arguments: Sequence[str], tracked: SweepRun
) -> SweepState:
    """Measures the winner on test and prints what came of the search.

    Args:
        hydra: composes the winner's config.
        state: in which the search ended.
        fixed: overrides of every trial.
        arguments: of the command line.
        tracked: the sweep in the tracking store, closed here.

    Raises:
        TrainingError: too many trials failed, or none has a value.
    """
    from hft.search.results.summary import print_summary

    report, folder = None, None
    try:
        if state.best is not None and len(state.settings.metric) == 1:
            report, folder = _proof(hydra, state, state.best, fixed)
    finally:
        tracked.end(state.ended or "stopped")
    if report is not None:
        print_report(report.to_dict())
    print_summary(
        state,
        winner_command=shlex.join(["hft", "train", "--config-dir", _short(state.folder / "conf"), "winner=best"]),
        resume_command=shlex.join(["hft", "train", "-m", *_without_budget(arguments), "search.max_evals=MORE"]),
    )
    if report is not None and folder is not None:
        _print_proof(report, state, folder)
    _raise_for_failures(state)
    return state


def _proof(hydra: HydraSweep, state: SweepState, best: Trial, fixed: Sequence[str]) -> tuple[Report, Path]:
    stages = state.settings.stages
    of_stage = stages[best.stage].overrides if stages else []
    overrides = [*fixed, *override_lines(best.params), *of_stage]
    folder = Path(best.folder) if best.folder else state.folder / str(best.number)
    return measure_winner(folder, trial_config(hydra, overrides), retrained=state.folder / f"winner_{best.number}")


def trial_config(hydra: HydraSweep, overrides: Sequence[str]) -> DictConfig:
    """The config of a trial from its overrides, without Hydra's own node."""
    return without_hydra(hydra.hydra_context.config_loader.load_sweep_config(hydra.config, list(overrides)))


def _print_proof(report: Report, state: SweepState, folder: Path) -> None:
    """The winner's test value with the number of trials that it was chosen from."""
    main = report.main
    tried = sum(trial.state == "done" for trial in state.trials)
    assert main.tuned is not None
    print(
        f"\nTest {report.main_metric}: {main.start:.4f} -> {main.tuned:.4f}, read once, for the best of {tried} trials "
        f"on validation.\nIts model: {_short(folder)}"
    )
    if state.best is not None and state.best.details.get("best_step") == 0:
        print("No trial beat the starting model on validation: the winner has the starting weights.")


def _raise_for_failures(state: SweepState) -> None:
    failed = [trial for trial in state.trials if trial.state == "failed"]
    if state.ended == "failures":
        raise TrainingError(
            f"search.max_failures={state.settings.max_failures}: {len(failed)} trials failed, so that the search was "
            f"given up. The last: {failed[-1].reason}"
        )
    if state.best is None and state.trials:
        told = f" The last failure: {failed[-1].reason}" if failed else ""
        raise TrainingError(f"{state.folder}: none of {len(state.trials)} trials has a value.{told}")


def _without_budget(arguments: Sequence[str]) -> list[str]:
    return [line for line in arguments if not line.startswith("search.max_evals=")]


def _short(path: Path) -> str:
    here = Path(os.getcwd())
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
