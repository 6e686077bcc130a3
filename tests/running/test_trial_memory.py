"""A sweep keeps nothing of a trial that has ended. Resident memory over 50 trials: benchmarks/trial_overhead.py."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch
from omegaconf import DictConfig

from hft.running import train_trial
from small_trials import Listener

# What libraries keep of the first trials is there by then.
WARM_UP = 3
TRIALS = 8
HEAVY = (torch.nn.Module, torch.Tensor, torch.optim.Optimizer, DictConfig)


def test_what_lives_after_eight_trials_lived_after_three(compose: Callable[..., DictConfig], tmp_path: Path) -> None:
    for number in range(TRIALS):
        config = compose(f"params.items_lr={number + 1}e-5")
        train_trial(config, Listener().trial(number), folder=tmp_path / str(number))
        if number + 1 == WARM_UP:
            before = living()
    assert living() <= before


def living() -> Counter[str]:
    """How many models, tensors, optimizers and configs this process holds, by class."""
    gc.collect()
    return Counter(type(one).__name__ for one in gc.get_objects() if isinstance(one, HEAVY))
