"""A Hydra app that knows nothing of hft but how to report a value on its way: a cheap function to minimise."""

from __future__ import annotations

import math
import os
import random
import signal
import time
from typing import Any

import hydra
from omegaconf import DictConfig

from hft.search import report


def trouble(config: DictConfig) -> Any:
    """What goes wrong in a trial, if anything; NaN where the value goes wrong."""
    if config.trouble == "exit" or (config.trouble == "sometimes" and abs(config.x) > config.edge):
        os._exit(3)
    if config.trouble == "killed" and config.x > config.edge:
        os.kill(os.getpid(), signal.SIGKILL)
    if config.trouble == "random":
        draw = random.Random(f"{config.x} {config.y}").random()
        if draw < 0.1:
            raise RuntimeError("out of luck")
        if draw < 0.2:
            return math.nan
    if config.trouble == "nothing":
        return None
    if config.trouble == "raise":
        raise ValueError(f"no x like {config.x}")
    return 0.0


@hydra.main(version_base=None, config_path="conf", config_name="config")
def app(config: DictConfig) -> Any:
    """The value of a bowl, after a few steps toward it."""
    bad = trouble(config)
    if bad is None:
        return None
    value = (config.x - 1.0) ** 2 + (config.y - 3) ** 2 + config.algorithm.cost + bad
    if config.algorithm.name == "fast":
        value += (config.algorithm.speed - 2.0) ** 2
    for step in range(config.steps):
        time.sleep(config.seconds)
        report(value + 10.0 / (step + 1))
    print(f"value {value}")
    if config.returns == "pair":
        return value, abs(config.x)
    if config.returns == "mapping":
        return {"value": value, "pid": os.getpid(), "threads": os.environ.get("OMP_NUM_THREADS"), "model": object()}
    return value


if __name__ == "__main__":
    app()
