"""Small real runs: a linear model trained for a few steps on the CPU, tracked as hft.train tracks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from safetensors.torch import save_file

from hft.experiments import RunRecord, TrackedRun, open_run

STEPS = 6


def small_config(**changes: Any) -> DictConfig:
    """A config with the keys that this room reads; changes are dotted keys with `__` for the dot."""
    config = OmegaConf.create(
        {
            "seed": 0,
            "threads": None,
            "run_name": None,
            "outputs": "outputs",
            "params": {"items_lr": 0.1, "margin": 0.02, "examples_order": [11], "max_abs_difference_threshold": None},
            "settings": {"num_epochs": 2, "batch_size": 4},
            "method": {"meta": {"name": "line"}, "main_metric": "ndcg@10", "direction": "maximize"},
            "loss": {"_target_": "hft.losses.InfoNCELoss", "temperature": 0.05},
            "data": {"source": {"seed": "${seed}"}},
            "trainer": {"max_epochs": "${settings.num_epochs}", "precision": "auto", "accelerator": "auto"},
            "tracking": {"kind": "csv", "uri": None, "log_model": True},
            "iteration": {"name": "initial", "start_from": None},
        }
    )
    for key, value in changes.items():
        OmegaConf.update(config, key.replace("__", "."), value, force_add=True)
    return config


def start_run(
    config: DictConfig, folder: Path, *, data_hash: str = "data-1", base_hash: str = "base-1", **options: Any
) -> TrackedRun:
    """Opens a run as hft.train does before step 1."""
    folder.mkdir(parents=True, exist_ok=True)
    if config.threads:
        torch.set_num_threads(config.threads)
    facts = {"hashes": {"data": data_hash, "base_model": base_hash}, "precision": "32-true", "accelerator": "cpu"}
    return open_run(config, folder, **{**facts, **options})


def train_line(
    config: DictConfig, folder: Path, *, score: float | None = None, data_hash: str = "data-1", **options: Any
) -> RunRecord:
    """Trains y = w x by gradient descent; another seed, rate or number of epochs gives other losses and weights."""
    with start_run(config, folder, data_hash=data_hash, **options) as run:
        generator = torch.Generator().manual_seed(config.seed)
        weights = torch.randn(3, generator=generator, requires_grad=True)
        run.initial_model(save_to(torch.zeros(3)))
        for step in range(1, STEPS * config.trainer.max_epochs + 1):
            inputs = torch.randn(8, 3, generator=generator)
            loss = ((inputs @ weights - inputs.sum(1)) ** 2).mean()
            (gradient,) = torch.autograd.grad(loss, weights)
            with torch.no_grad():
                weights -= config.params.items_lr * gradient
            run.log({"step": step, "epoch": 0, "train_loss": loss.item(), "step_seconds": 0.1 * step})
        run.flush()
        save_to(weights.detach())(folder / "model")
        final = float(loss.detach()) if score is None else score
        names = {"validation_ndcg@10": final, "test_ndcg@10_start": 0.25, "test_ndcg@10": final}
        return run.finish(names, seconds={"training": 1.5})


def save_to(weights: torch.Tensor) -> Any:
    """A function that writes a model folder."""

    def save(folder: Path) -> None:
        folder.mkdir(parents=True)
        save_file({"weights": weights.clone()}, folder / "model.safetensors")

    return save


def plain(config: DictConfig | Mapping[str, Any]) -> Any:
    """A config with everything resolved."""
    return OmegaConf.to_container(OmegaConf.create(config), resolve=True)
