"""The training itself: Lightning's Trainer with hft's callbacks, and the device that it uses."""

from __future__ import annotations

import gc
import shutil
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import EarlyStopping

from hft.errors import ConfigError, OutOfMemoryError, TrainingError
from hft.experiments import CHECKPOINTS_NAME
from hft.running.assembly import accumulators_of, trainer_of, validation_interval
from hft.running.surroundings import Surroundings
from hft.training import BestWeights, Checkpoints, EmbeddingsFineTuner, ResumePoint, StepLog, ValidationReport
from hft.training.batching import EpochSampler
from hft.training.heap import HeapTrimming

if TYPE_CHECKING:
    from hft.methods import FineTuningMethod
    from hft.running.run import Run


def fit(
    module: EmbeddingsFineTuner,
    method: FineTuningMethod,
    config: DictConfig,
    run: Run,
    checkpoint: Path | None = None,
) -> None:
    """Trains the module and leaves it with the weights of its best validation.

    Args:
        module: built by the method, with the starting weights; its model is on the run's device.
        method: names the metric to watch.
        config: the run's.
        run: takes the values of every step.
        checkpoint: of the same run, to go on from; None begins.

    Raises:
        TrainingError: the loss is not a number, the device is out of memory, or no session can be trained on.
        TrialPruned: the search stopped its trial.
        StorageError: a checkpoint or a step cannot be written.
    """
    assert module.validator is not None
    sampler = _sampler(module)
    first = run.first_validation(module.validator, module.model)
    if checkpoint is None:
        run.log({"step": 0, "epoch": 0, "inputs": 0, **first})
    monitor = f"validation_{method.main_metric}"
    if monitor not in first:
        measured = ", ".join(name.removeprefix("validation_") for name in first)
        raise ConfigError(f"method.main_metric={method.main_metric} has no value on validation. Measured: {measured}.")
    told = _told(run, method, module, first)
    interval = validation_interval(module.settings.test_each_n_inputs, module.settings.batch_size, len(sampler))
    best = BestWeights(monitor, method.direction, first[monitor], on_best=module.validator.keep)
    steps = StepLog(run.log, accumulators_of(config))
    callbacks: list[Any] = [best, steps, ResumePoint(sampler), HeapTrimming(), *run.progress_callbacks()]
    if config.stopping.patience is not None:
        callbacks.append(_early_stopping(config, best))
    if told is not None:
        callbacks.append(told)
    checkpoints = _checkpoints(config, run)
    if checkpoints is not None:
        callbacks.append(checkpoints)
    trainer = trainer_of(
        config,
        callbacks,
        precision=run.precision,
        accelerator=run.accelerator,
        val_check_interval=interval,
        has_checkpoints=checkpoints is not None,
    )
    _train(trainer, module, checkpoint)
    module.model.to(run.accelerator)  # Lightning leaves the model on the CPU
    if best.seen_step < trainer.global_step:
        last = module.validator(module.model)
        run.log({"step": trainer.global_step, "epoch": trainer.current_epoch, "inputs": steps.inputs, **last})
        best.consider(last[monitor], trainer.global_step, module)
        if told is not None:
            told.tell(last[told.monitor])
    elif checkpoint is not None and module.validator.latest is module.validator.start:
        module.validator(module.model)  # the last validation was before the checkpoint, which holds no results
    latest = module.validator.latest
    best.restore(module)
    if checkpoint is not None and best.best_step and module.validator.best is module.validator.start:
        # It was found before the checkpoint, which holds its weights and not its results.
        module.validator(module.model)
        module.validator.keep()
        module.validator.latest = latest
    run.best_step = best.best_step
    if not best.best_step:
        run.say("No validation beat the starting model: the starting weights are kept.")


def drop_checkpoints(config: DictConfig, folder: Path) -> None:
    """Removes the checkpoints of a run that succeeded: they are up to four times the model, and nothing resumes it.

    `trainer.enable_checkpointing=true`, given and not just left out, keeps them.
    """
    if config.trainer.get("enable_checkpointing") is not True:
        shutil.rmtree(folder / CHECKPOINTS_NAME, ignore_errors=True)


def _told(
    run: Run, method: FineTuningMethod, module: EmbeddingsFineTuner, first: Mapping[str, float]
) -> ValidationReport | None:
    """Tells the search of each validation, where one judges the run."""
    if run.trial is None or not run.trial.is_search:
        return None
    later = [f"validation_{metric.name}" for metric in module.settings.metric_calculators]
    run.trial.require([*first, *(name for name in later if name not in first)])
    return ValidationReport(run.trial.monitor(method.main_metric), run.trial.report)


def _sampler(module: EmbeddingsFineTuner) -> EpochSampler:
    sampler = module.train_dataloader().sampler
    assert isinstance(sampler, EpochSampler)
    if not len(sampler):
        raise TrainingError(
            "No training session gives a pair: each needs a picked result and a negative. See settings.negatives, "
            "params.not_irrelevant_only and data.no_event_is_irrelevant."
        )
    return sampler


def _early_stopping(config: DictConfig, best: BestWeights) -> EarlyStopping:
    """Stops after `patience` validations in a row that did not beat the best one; the starting model counts."""
    stopping = EarlyStopping(
        monitor=best.monitor,
        mode="max" if best.sign > 0 else "min",
        patience=config.stopping.patience,
        min_delta=config.stopping.min_delta,
        check_on_train_epoch_end=False,  # left to itself it takes "every batch" for "every epoch"
    )
    stopping.best_score = torch.tensor(best.best_value, dtype=torch.float64)
    return stopping


def _checkpoints(config: DictConfig, run: Run) -> Checkpoints | None:
    """What writes checkpoints, if the run does: a trial that was killed runs again from its start."""
    if config.trainer.get("enable_checkpointing") is False or run.is_search_trial:
        return None
    # A record of an earlier version has no such node.
    seconds, steps = (OmegaConf.select(config, f"checkpoints.{name}") for name in ("every_seconds", "every_n_steps"))
    if seconds is None and steps is None:
        return None
    return Checkpoints(run.folder / CHECKPOINTS_NAME, seconds=seconds, steps=steps, rows=lambda: run.rows_written)


def _train(trainer: pl.Trainer, module: EmbeddingsFineTuner, checkpoint: Path | None) -> None:
    on_interrupt = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(module, ckpt_path=checkpoint, weights_only=True)
    except torch.cuda.OutOfMemoryError as error:
        raise OutOfMemoryError(
            f"The GPU is out of memory with settings.batch_size={module.settings.batch_size}. Lower it, lower "
            "model.max_length, or raise params.num_fixed_layers."
        ) from error
    except MisconfigurationException as error:
        raise ConfigError(f"trainer: Lightning refuses: {error}") from error
    except SystemExit as error:
        # Lightning turns Ctrl-C into an exit, and leaves the process deaf to the next one.
        if not isinstance(error.__context__, KeyboardInterrupt):
            raise
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, on_interrupt)
        raise error.__context__ from None


@contextmanager
def on_device(model: Any, surroundings: Surroundings) -> Iterator[None]:
    """The model on the device inside the block, where it computes as the run's settings say; back on the CPU and the
    device's memory free after it.

    Args:
        model: of hft; it is decided which of its weights move.
        surroundings: of the run.

    Raises:
        ConfigError: the model cannot compute as the settings say.
    """
    model.to(surroundings.accelerator)
    try:
        model.compute_with(surroundings.compute, precision=surroundings.precision, say=surroundings.say)
        yield
    finally:
        model.to("cpu")
        gc.collect()
        if surroundings.accelerator == "cuda":
            torch.cuda.empty_cache()
