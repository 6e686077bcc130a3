"""A sweep of many trials takes no more memory at its end than after its first trials."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig

from hft.running import train_trial
from small_trials import Listener

WARM_UP = 10
TRIALS = 50
# The tiny model with its optimizer and its best weights is 0.4 MiB, a config 0.2: one that stayed each trial shows.
MEBIBYTES = 8.0


@pytest.mark.skipif(not Path("/proc/self/statm").is_file(), reason="resident memory is read from /proc")
def test_memory_is_flat_over_50_trials(compose: Callable[..., DictConfig], tmp_path: Path) -> None:
    for number in range(TRIALS):
        config = compose(f"params.items_lr={number + 1}e-5")
        train_trial(config, Listener().trial(number), folder=tmp_path / str(number))
        if number + 1 == WARM_UP:
            before = resident_mebibytes()
    assert resident_mebibytes() - before < MEBIBYTES


def resident_mebibytes() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
