"""Claim: `hft train --help` and `--cfg job` take 0.6 s, `hft check` 1.0 s, a first step 4 s more than the imports.

    python benchmarks/startup.py [--pairs 5] [--threads 2] [--quick] [--overrides KEY=VALUE ...]

Wall time from the start of a fresh process, medians, after one run of each that warms the disk's cache. The default job
(`hft train`) is timed from its start to the end of its first optimizer step, as steps.jsonl dates it, the second and
later times in one folder, so what earlier runs keep on disk is there; then it is ended. Beside it stands what a
process needs to import torch and Lightning. The last line is the largest of the four shares of their targets: 1 or less
holds. About 3 minutes on two cores. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from machine import print_machine

HFT = (str(Path(sysconfig.get_path("scripts")) / "hft"),)
TARGETS = {"hft train --help": 0.6, "hft train --cfg job": 0.6, "hft check": 1.0}
AFTER_IMPORTS = 4.0
PATIENCE = 600.0  # seconds for a first step


def seconds_of(command: list[str], folder: Path) -> float:
    """Wall time of a command that succeeds."""
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def seconds_to_first_step(overrides: list[str], folder: Path, number: int) -> float:
    """Wall time of `hft train` to the end of its first optimizer step; the process is ended then.

    Raises:
        SystemExit: it ended before.
    """
    run = folder / f"run_{number}"
    log = folder / f"run_{number}.log"
    started = time.time()
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*HFT, "train", *overrides, f"hydra.run.dir={run}"], cwd=folder, stdout=file, stderr=file
        )
    try:
        while time.time() - started < PATIENCE:
            moment = _first_step(run / "steps.jsonl")
            if moment is not None:
                return moment - started
            if process.poll() is not None:
                break
            time.sleep(0.02)
    finally:
        process.terminate()
        process.wait()
    raise SystemExit(f"hft train made no step:\n{log.read_text(encoding='utf-8', errors='replace')[-2000:]}")


def _first_step(path: Path) -> float | None:
    """Seconds since 1970 at which step 1 was written; None while it is not there."""
    if not path.is_file():
        return None
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
        except ValueError:  # being written
            return None
        if row["step"] >= 1:
            return float(row["time"])
    return None


def median(call: Callable[[], float], pairs: int) -> float:
    """Median after one call that is not counted."""
    call()
    return statistics.median(call() for _ in range(pairs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=5, help="times each is run (default: 5)")
    parser.add_argument("--threads", type=int, default=None, help="CPU threads (default: as torch chooses)")
    parser.add_argument("--quick", action="store_true", help="once each: does it work?")
    parser.add_argument("--overrides", nargs="+", default=[], metavar="KEY=VALUE", help="of the default job")
    arguments = parser.parse_args()
    print_machine(arguments.threads)
    if arguments.threads:
        os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    pairs = 1 if arguments.quick else arguments.pairs
    imports = [sys.executable, "-c", "import torch, pytorch_lightning"]
    numbers = iter(range(10**9))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        commands = {command: [*HFT, *command.split()[1:]] for command in TARGETS}
        found = {
            command: median(lambda words=words: seconds_of(words, folder), pairs)  # type: ignore[misc]
            for command, words in commands.items()
        }
        importing = median(lambda: seconds_of(imports, folder), pairs)
        first = median(lambda: seconds_to_first_step(arguments.overrides, folder, next(numbers)), pairs)
    targets = {**TARGETS, "hft train, to its first step": importing + AFTER_IMPORTS}
    found["hft train, to its first step"] = first
    print("                              seconds  target")
    for command, seconds in found.items():
        print(f"{command:28}  {seconds:7.2f}  {targets[command]:6.2f}")
    print(f"import of torch and Lightning: {importing:.2f} s")
    print(f"{max(seconds / targets[command] for command, seconds in found.items()):.2f}")


if __name__ == "__main__":
    main()
