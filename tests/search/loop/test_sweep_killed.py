"""A sweep that is killed at any moment, and goes on, is the sweep that was never killed."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import cheap_sweep
from hft.search.loop.journal import JOURNAL_NAME, read_events
from waiting import wait_until

TRIALS = 30
KILLS = 3
# So many that a sweep that is to be killed does not end before, however late a busy machine kills it.
NEVER_REACHED = 10_000


def start(folder: Path, engine: str, trials: int, seconds: float) -> subprocess.Popen[bytes]:
    command = [sys.executable, cheap_sweep.__file__, str(folder), engine, str(trials), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def lines_in(journal: Path) -> int:
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def kill_after(folder: Path, engine: str, lines: int, delay: float) -> None:
    """Starts the sweep, and kills it `delay` seconds after its journal has grown by some lines."""
    journal = folder / JOURNAL_NAME
    before = lines_in(journal)
    process = start(folder, engine, NEVER_REACHED, 0.01)
    wait_until(lambda: lines_in(journal) >= before + lines or process.poll() is not None, "some lines of the journal")
    time.sleep(delay)
    assert process.poll() is None, process.stderr.read().decode()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()


@pytest.mark.parametrize("engine", ["hyperopt", "optuna"])
def test_a_sweep_killed_three_times_ends_as_if_it_was_not(engine, tmp_path):
    killed = tmp_path / "killed"
    chance = random.Random(engine)
    for _ in range(KILLS):
        kill_after(killed, engine, chance.randrange(4, 14), chance.random() * 0.02)
    assert lines_in(killed / JOURNAL_NAME) >= 12
    trials = max(TRIALS, 1 + max(event.number for event in read_events(killed)))

    resumed = cheap_sweep.run(killed, engine, trials)
    whole = cheap_sweep.run(tmp_path / "whole", engine, trials)

    assert [cheap_sweep.identity(trial) for trial in resumed.trials] == [
        cheap_sweep.identity(trial) for trial in whole.trials
    ]
    assert {trial.state for trial in whole.trials} == {"done", "failed", "pruned"}
    assert resumed.best.number == whole.best.number
    assert resumed.notes == ()


@pytest.mark.parametrize("engine", ["hyperopt", "optuna"])
def test_the_journal_cut_at_any_byte_is_resumed_to_the_same_sweep(engine, tmp_path):
    whole = cheap_sweep.run(tmp_path / "whole", engine, 12)
    content = (tmp_path / "whole" / JOURNAL_NAME).read_bytes()
    chance = random.Random(0)
    for cut in sorted(chance.sample(range(1, len(content)), 12)):
        folder = tmp_path / f"cut-{cut}"
        folder.mkdir()
        (folder / "sweep.json").write_bytes((tmp_path / "whole" / "sweep.json").read_bytes())
        (folder / JOURNAL_NAME).write_bytes(content[:cut])
        for number in range(content[:cut].count(b'"event": "ask"')):
            if (reports := tmp_path / "whole" / str(number) / "intermediate.jsonl").exists():
                (folder / str(number)).mkdir()
                (folder / str(number) / "intermediate.jsonl").write_bytes(reports.read_bytes())
        resumed = cheap_sweep.run(folder, engine, 12)
        assert list(map(cheap_sweep.identity, resumed.trials)) == list(map(cheap_sweep.identity, whole.trials)), cut
