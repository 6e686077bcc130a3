"""Claim: a sweep of 12 trials takes 2.2 times less than 12 separate `hft train` processes that train the same.

    python benchmarks/sweep_vs_processes.py [--pairs 1] [--sessions 200] [--trials 12] [--threads 2] [--quick]

Each trial is one epoch over 200 sessions of W1 (see workloads.py) with 4 or 5 of 6 layers fixed and another rate. One
side is `hft train -m` over all combinations: complete runs, each with its test split and its model. The other starts
`hft train` anew for each combination, with nothing kept from one process to the next (stores=none; `--keep` lets them
share stores as well). Compared is the wall time from start to end. The last line is the median over pairs of the time
of the processes over that of the sweep. A pair takes about 8 minutes on two cores. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from apart import end_of
from trials import layers_of
from workloads import Workload, parser_of, quoted, run_on_workload


def measure(arguments: argparse.Namespace, workload: Workload) -> float:
    """Prints the table; the ratio."""
    layers = layers_of(workload)
    cuts = [layers - 2, layers - 1]
    rates = [f"{1 + number}e-5" for number in range(-(-arguments.trials // len(cuts)))]
    combinations = [(cut, rate) for cut in cuts for rate in rates]
    seconds: dict[str, list[float]] = {"one sweep": [], "separate processes": []}
    for pair in range(arguments.pairs):
        sides = list(seconds) if pair % 2 == 0 else list(seconds)[::-1]
        for side in sides:
            outputs = workload.folder / f"{side.replace(' ', '_')}_{pair}"
            common = workload.overrides("settings.num_epochs=1", f"outputs={quoted(outputs)}")
            started = time.perf_counter()
            if side == "one sweep":
                swept = [f"params.num_fixed_layers={_listed(cuts)}", f"params.items_lr={_listed(rates)}"]
                _hft(["-m", *common, *swept], workload.folder, arguments.threads)
            else:
                stores = [] if arguments.keep else ["stores=none"]
                for cut, rate in combinations:
                    own = [f"params.num_fixed_layers={cut}", f"params.items_lr={rate}"]
                    _hft([*common, *stores, *own], workload.folder, arguments.threads)
            seconds[side].append(time.perf_counter() - started)
            _require_runs(outputs, len(combinations))
            shutil.rmtree(outputs)
    print(f"{len(combinations)} trainings          seconds  lowest  highest  pairs")
    for side, taken in seconds.items():
        print(f"{side:20}  {statistics.median(taken):10.1f}  {min(taken):6.1f}  {max(taken):7.1f}  {len(taken)}")
    pairs = zip(seconds["separate processes"], seconds["one sweep"], strict=True)
    return statistics.median(slow / fast for slow, fast in pairs)


def _listed(values: Sequence[object]) -> str:
    return ",".join(map(str, values))


def _hft(arguments: list[str], folder: Path, threads: int | None) -> None:
    """`hft train` with what it prints in a log.

    Raises:
        SystemExit: it failed.
    """
    log = folder / "hft.log"
    chosen = [] if threads is None else [f"threads={threads}"]
    environment = os.environ if threads is None else {**os.environ, "OMP_NUM_THREADS": str(threads)}
    with log.open("ab") as file:
        done = subprocess.run(
            [sys.executable, "-m", "hft.train", *arguments, *chosen],
            cwd=folder,
            stdout=file,
            stderr=file,
            env=environment,
        )
    if done.returncode:
        raise SystemExit(end_of(log, "hft train failed:"))


def _require_runs(outputs: Path, count: int) -> None:
    """Both sides must have written as many tuned models.

    Raises:
        SystemExit: they have not.
    """
    models = [path for path in outputs.rglob("model.safetensors") if path.parent.name == "model"]
    if len(models) != count:
        raise SystemExit(f"{outputs.name}: {len(models)} tuned models, expected {count}")


if __name__ == "__main__":
    parser = parser_of(__doc__, pairs=1)
    parser.set_defaults(sessions=200)
    parser.add_argument("--trials", type=int, default=12, help="trainings of each side (default: 12)")
    parser.add_argument("--keep", action="store_true", help="the separate processes share stores, too")
    run_on_workload(parser, measure)
