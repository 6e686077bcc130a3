"""Trials of W1 in one process, with stores or without, for the benchmarks of fixed layers. Not a benchmark itself."""

from __future__ import annotations

import itertools
import json
import shutil
import statistics
from collections.abc import Sequence
from pathlib import Path

from turns import Baton, Turn
from workloads import Workload

# Phases of a run that are no training: they read the data, measure the test split and write the model.
NO_TRAINING = frozenset({"data", "evaluation", "saving"})


def trial_side(
    baton: Baton,
    workload: Workload,
    place: str,
    requests: Sequence[Sequence[str]],
    stores: bool,
    cold_every: int = 0,
    warm_up: Sequence[str] = (),
) -> None:
    """Trains one trial a turn, as a search in this process would; a turn tells `seconds` of training and `loss`.

    Args:
        baton: takes a turn's unit: a trial.
        workload: to train on.
        place: name of the side's folder.
        requests: overrides of the trials, over and over.
        stores: False trains without any store on disk.
        cold_every: begin with empty stores every so many trials; 0: only once.
        warm_up: overrides of one trial before the first, with stores of its own; none: there is no such trial.
    """
    root = workload.folder / place
    if warm_up:
        _train(workload, root, 0, [*warm_up, *_stores(stores, root / "stores_warm_up")])
        baton.step_done(1)
    for number in itertools.count():
        group = number // cold_every if cold_every else 0
        for older in root.glob("stores_*"):
            if older.name != f"stores_{group}":
                shutil.rmtree(older)
        request = [*requests[number % len(requests)], *_stores(stores, root / f"stores_{group}")]
        # A group is a search: what is kept depends on how many of its trials are still to come.
        of_search = number % cold_every if cold_every else number
        baton.step_done(1, **_train(workload, root, number + 1, request, of_search))


def _stores(stores: bool, folder: Path) -> list[str]:
    return [f"stores.folder='{folder}'"] if stores else ["stores=none"]


def _train(workload: Workload, root: Path, number: int, request: Sequence[str], of_search: int = 0) -> dict[str, float]:
    """Seconds of training and the loss of the last step."""
    import hft
    from hft.experiments.steps import read_steps
    from hft.running import Trial

    folder = root / f"trial_{number}"
    config = hft.compose(workload.overrides(*request))
    report = hft.train(config, folder=folder, trial=Trial(of_search, root.name, keeps_model=False))
    losses = [row["train_loss"] for row in read_steps(folder / "steps.jsonl") if "train_loss" in row]
    return {"seconds": sum(s for phase, s in report.seconds.items() if phase not in NO_TRAINING), "loss": losses[-1]}


def layers_of(workload: Workload) -> int:
    """Layers of the starting model."""
    return int(json.loads((workload.model / "config.json").read_text(encoding="utf-8"))["num_hidden_layers"])


def linear_adapter(workload: Workload) -> list[str]:
    """Overrides: a linear layer of the model's own width over a model that is fixed as a whole."""
    config = json.loads((workload.model / "config.json").read_text(encoding="utf-8"))
    return [f"params.num_fixed_layers={layers_of(workload)}", f"model.dense_dim={config['hidden_size']}"]


def seconds_of(turns: Sequence[Turn]) -> list[float]:
    """Seconds of training of each trial."""
    return [turn.steps[-1]["seconds"] for turn in turns]


def print_trials(names: Sequence[str], turns: Sequence[Sequence[Turn]]) -> None:
    """A line a side: seconds of training a trial, and the loss that its last step had."""
    width = max(map(len, names))
    print(f"{'':{width}}  seconds  lowest  highest  last loss  trials")
    for name, taken in zip(names, turns, strict=True):
        seconds = seconds_of(taken)
        loss = statistics.median(turn.steps[-1]["loss"] for turn in taken)
        print(
            f"{name:{width}}  {statistics.median(seconds):7.2f}  {min(seconds):6.2f}  {max(seconds):7.2f}  {loss:9.5f}"
            f"  {len(taken)}"
        )


def median_saving(with_stores: Sequence[Turn], without: Sequence[Turn]) -> float:
    """Median over pairs of the seconds without stores over those with."""
    pairs = zip(seconds_of(without), seconds_of(with_stores), strict=True)
    return statistics.median(slow / fast for slow, fast in pairs)
