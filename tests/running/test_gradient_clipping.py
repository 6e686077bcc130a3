"""`trainer.gradient_clip_val` holds in every precision, whether the optimizer is fused or not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig

from hft.experiments.steps import read_steps
from hft.running import train_trial
from small_trials import Listener

Compose = Callable[..., DictConfig]


def last_loss(config: DictConfig, folder: Path) -> float:
    """The validation loss after the last step of a plain descent, whose steps are as long as the gradients."""
    train_trial(config, Listener().trial(), folder=folder)
    return float([row["validation_loss"] for row in read_steps(folder / "steps.jsonl") if "validation_loss" in row][-1])


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("algorithm", ["norm", "value"])
def test_a_fused_optimizer_gets_clipped_gradients(
    compose: Compose, tmp_path: Path, precision: str, algorithm: str
) -> None:
    found = {}
    for fused in ("true", "false"):
        for limit in ("null", "1e-6"):
            config = compose(
                f"trainer.precision={precision}",
                f"+trainer.gradient_clip_algorithm={algorithm}",
                f"trainer.gradient_clip_val={limit}",
                "optimizer=sgd",
                f"+optimizer.fused={fused}",
                "params.items_lr=1.0",
                "tracking=csv",
            )
            found[fused, limit] = last_loss(config, tmp_path / f"{fused}_{limit}")
    assert found["true", "1e-6"] == pytest.approx(found["false", "1e-6"], rel=1e-3)
    assert abs(found["true", "1e-6"] - found["true", "null"]) > 1e-3 * abs(found["true", "null"])
