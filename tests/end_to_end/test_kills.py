"""The script that kills a run at random moments and resumes it: it ends bit by bit as one that was left alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "kill_and_resume"


@pytest.mark.slow
@pytest.mark.parametrize("fixed", ["params.num_fixed_layers=0", "params.num_fixed_layers=1"])
def test_a_run_that_is_killed_twice_ends_as_one_that_was_not(place: Path, small_run: list[str], fixed: str) -> None:
    overrides = [*small_run, fixed, "settings.num_epochs=8", "stopping.patience=null"]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--kills", "2", "--", *overrides], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 kills; the run that was killed ended as the one that was not" in done.stdout
