"""Learning-rate schedules that know how many optimizer steps a run has."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def linear_warmup(
    optimizer: Optimizer, total_steps: int, warmup_ratio: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.1
) -> LambdaLR:
    """Factor rises from 1/warm-up steps to 1 over the first share of steps, then falls to 0 in a line.

    Args:
        optimizer: its groups' rates are multiplied by the factor.
        total_steps: optimizer steps of the whole run; supplied by hft.
        warmup_ratio: share of the steps over which the rate rises.
    """
    warmup = math.ceil(warmup_ratio * total_steps)

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return max(0.0, (total_steps - step) / max(1, total_steps - warmup))

    return LambdaLR(optimizer, factor)


def cosine_warmup(
    optimizer: Optimizer, total_steps: int, warmup_ratio: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.1
) -> LambdaLR:
    """Factor rises as in linear_warmup, then falls to 0 as half a cosine (Loshchilov and Hutter, 2017, eq. 5).

    Args:
        optimizer: its groups' rates are multiplied by the factor.
        total_steps: optimizer steps of the whole run; supplied by hft.
        warmup_ratio: share of the steps over which the rate rises.
    """
    warmup = math.ceil(warmup_ratio * total_steps)

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        done = min(1.0, (step - warmup) / max(1, total_steps - warmup))
        return 0.5 * (1.0 + math.cos(math.pi * done))

    return LambdaLR(optimizer, factor)


def constant_rate(optimizer: Optimizer) -> LambdaLR:
    """The rate never changes."""
    return LambdaLR(optimizer, lambda step: 1.0)
