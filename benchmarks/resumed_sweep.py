"""Claim: a serial sweep that was killed and resumed finds exactly what an uninterrupted one finds.

    python benchmarks/resumed_sweep.py [--trials 60] [--kills 3]

Runs a sweep of a cheap function, uninterrupted and killed with SIGKILL at random times, with both engines, and prints a
table: trials that are the same, the two best values, seconds to read the record back and repeat the engine's calls, and
milliseconds a trial that the loop, the engine and the journal cost together.
"""

from __future__ import annotations

import argparse
import math
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hft.search import FunctionLauncher, Params, SearchSettings, SearchSpace, Sweep, SweepState, Trial, canonical
from hft.search.loop.journal import JOURNAL_NAME

ENGINES = ("hyperopt", "optuna")

# Long enough for a kill to hit trials, short enough to be cheap.
SECONDS_A_TRIAL = 0.01


def branin(params: Params) -> float:
    """The Branin function (Dixon and Szegö, 1978); its minimum is 0.397887."""
    x, y = params["x"], params["y"]
    valley = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
    return float(valley**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10)


def run(folder: Path, engine: str, trials: int, seconds: float) -> SweepState:
    """The sweep, from where it stands."""

    def slow(params: Params) -> float:
        time.sleep(seconds)
        return branin(params)

    space = SearchSpace.parse({"x": {"low": -5.0, "high": 10.0}, "y": {"low": 0.0, "high": 15.0}})
    settings = SearchSettings(max_evals=trials, seed=7)
    return Sweep(folder, space, settings, engine=engine, launcher=FunctionLauncher(slow)).run()


def kill_while_running(folder: Path, engine: str, trials: int, after: int, delay: float) -> None:
    """Starts the sweep in a process and kills it `delay` seconds after some events."""
    journal = folder / JOURNAL_NAME
    before = journal.read_bytes().count(b"\n") if journal.exists() else 0
    process = subprocess.Popen(
        [sys.executable, __file__, "--run", str(folder), "--engine", engine, f"--trials={trials}"]
    )
    while process.poll() is None and (not journal.exists() or journal.read_bytes().count(b"\n") < before + after):
        time.sleep(0.002)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.wait()


def identity(trial: Trial) -> tuple[str, str, tuple[float, ...]]:
    """What must be the same of a trial."""
    return canonical(trial.params), trial.state, trial.values


def compare(engine: str, trials: int, kills: int, work: Path) -> tuple[object, ...]:
    """One row of the table."""
    run(work / "warm", engine, 1, 0.0)  # imports are no part of it
    began = time.perf_counter()
    whole = run(work / "whole", engine, trials, 0.0)
    a_trial = (time.perf_counter() - began) / trials
    draw = random.Random(engine)
    for _ in range(kills):
        share = 2 * trials // (kills + 1)
        kill_while_running(work / "killed", engine, trials, draw.randrange(2, max(share, 3)), draw.random() * 0.02)
    resumed = run(work / "killed", engine, trials, SECONDS_A_TRIAL)
    began = time.perf_counter()
    run(work / "killed", engine, trials + 1, 0.0)
    replay = time.perf_counter() - began
    same = sum(identity(a) == identity(b) for a, b in zip(whole.trials, resumed.trials, strict=True))
    best, best_resumed = (math.nan if state.best is None else state.best.values[0] for state in (whole, resumed))
    return engine, kills, f"{same}/{trials}", best, best_resumed, replay, 1000 * a_trial


def main() -> None:
    """Prints the table, and fails where a row is not what it claims."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--engine", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run is not None:
        run(given.run, given.engine, given.trials, SECONDS_A_TRIAL)
        return
    names = ("kills", "same", "best, whole", "best, resumed", "replay s", "ms a trial")
    print(f"{'engine':10}" + "".join(f"{name:>15}" for name in names))
    for engine in ENGINES:
        with tempfile.TemporaryDirectory() as work:
            name, kills, same, whole, resumed, replay, a_trial = compare(engine, given.trials, given.kills, Path(work))
        print(f"{name:10}{kills:>15}{same:>15}{whole:>15.9f}{resumed:>15.9f}{replay:>15.2f}{a_trial:>15.1f}")
        if same != f"{given.trials}/{given.trials}" or whole != resumed:
            sys.exit(f"{engine}: the resumed sweep is another one")


if __name__ == "__main__":
    main()
