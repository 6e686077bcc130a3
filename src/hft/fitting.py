"""The training itself: Lightning's Trainer with hft's callbacks, and the device that it uses."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from omegaconf import DictConfig
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint

from hft.assembly import accumulators_of, trainer_of, validation_interval
from hft.errors import ConfigError, TrainingError
from hft.training import BestWeights, EmbeddingsFineTuner, ResumePoint, StepLog
from hft.training.batching import EpochSampler

if TYPE_CHECKING:
    from hft.methods import FineTuningMethod
    from hft.run import Run

# Holds last.ckpt, from which an interrupted run can go on.
CHECKPOINTS_NAME = "checkpoints"


def fit(module: EmbeddingsFineTuner, method: FineTuningMethod, config: DictConfig, run: Run) -> None:
    """Trains the module and leaves it with the weights of its best validation.

    Args:
        module: built by the method; its model is on the run's device.
        method: names the metric to watch.
        config: the run's.
        run: takes the values of every step.

    Raises:
        TrainingError: the loss is not a number, the device is out of memory, or no session can be trained on.
    """
    assert module.validator is not None
    loader = module.train_dataloader()
    sampler = loader.sampler
    assert isinstance(sampler, EpochSampler)
    if not len(sampler):
        raise TrainingError(
            "No training session gives a pair: each needs a picked result and a negative. See settings.negatives, "
            "params.not_irrelevant_only and data.no_event_is_irrelevant."
        )
    first = module.validator(module.model)
    run.log({"step": 0, "epoch": 0, "inputs": 0, **first})
    monitor = f"validation_{method.main_metric}"
    if monitor not in first:
        measured = ", ".join(name.removeprefix("validation_") for name in first)
        raise ConfigError(f"method.main_metric={method.main_metric} has no value on validation. Measured: {measured}.")
    best = BestWeights(monitor, method.direction, first[monitor])
    steps = StepLog(run.log, accumulators_of(config))
    callbacks: list[Any] = [best, steps, ResumePoint(sampler), *run.progress_callbacks()]
    if config.stopping.patience is not None:
        mode = "max" if method.direction == "maximize" else "min"
        patience, min_delta = config.stopping.patience, config.stopping.min_delta
        callbacks.append(EarlyStopping(monitor=monitor, mode=mode, patience=patience, min_delta=min_delta))
    if config.trainer.get("enable_checkpointing") is not False:
        folder = run.folder / CHECKPOINTS_NAME
        callbacks.append(ModelCheckpoint(dirpath=folder, filename="last", enable_version_counter=False))
    interval = validation_interval(module.settings.test_each_n_inputs, module.settings.batch_size, len(sampler))
    trainer = trainer_of(
        config, callbacks, precision=run.precision, accelerator=run.accelerator, val_check_interval=interval
    )
    try:
        trainer.fit(module)
    except torch.cuda.OutOfMemoryError as error:
        raise TrainingError(
            f"The GPU is out of memory with settings.batch_size={module.settings.batch_size}. Lower it, lower "
            "model.max_length, or raise params.num_fixed_layers."
        ) from error
    if trainer.interrupted:
        raise KeyboardInterrupt
    if best.seen_step < trainer.global_step:
        last = module.validator(module.model)
        run.log({"step": trainer.global_step, "epoch": trainer.current_epoch, "inputs": steps.inputs, **last})
        best.consider(last[monitor], trainer.global_step, module)
    best.restore(module)
    run.best_step = best.best_step


@contextmanager
def on_device(model: torch.nn.Module, accelerator: str) -> Iterator[None]:
    """The model on the device inside the block; back on the CPU and the device's memory free after it."""
    model.to(accelerator)
    try:
        yield
    finally:
        model.to("cpu")
        gc.collect()
        if accelerator == "cuda":
            torch.cuda.empty_cache()
