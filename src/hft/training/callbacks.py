"""What happens beside the steps: the best weights are kept, every step is written down."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from torch import Tensor

from hft.errors import TrainingError
from hft.metrics import MetricsAccumulator
from hft.training.step_values import StepValues

Direction = Literal["maximize", "minimize"]


class BestWeights(pl.Callback):
    """Keeps the weights of the best validation in memory, and puts them back when training ends.

    The starting model counts: a run that never beats it ends with the weights that it began with.

    Args:
        monitor: the logged value to compare, for example `validation_ndcg@10`.
        direction: whether higher or lower is better.
        start_value: the starting model's value.
        on_best: called whenever a validation is the best so far.

    Attributes:
        best_value, best_step: of the best validation; step 0 is the start.
        seen_step: the step of the last validation.
    """

    def __init__(
        self, monitor: str, direction: Direction, start_value: float, on_best: Callable[[], None] | None = None
    ) -> None:
        self.monitor = monitor
        self.sign = 1.0 if direction == "maximize" else -1.0
        self.best_value = start_value
        self.on_best = on_best
        self.best_step = 0
        self.seen_step = 0
        self._weights: dict[str, Tensor] | None = None

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Takes the starting weights."""
        if self._weights is None:
            self._take(pl_module)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Takes the weights when the validation is the best so far."""
        self.consider(logged_value(trainer, self.monitor), trainer.global_step, pl_module)

    def consider(self, value: float, step: int, pl_module: pl.LightningModule) -> None:
        """Takes the weights when the value is the best so far."""
        self.seen_step = step
        if self.sign * (value - self.best_value) > 0:
            self.best_value, self.best_step = value, step
            if self.on_best is not None:
                self.on_best()
            self._take(pl_module)

    def restore(self, pl_module: pl.LightningModule) -> None:
        """Puts the best weights back. Only weights that move were kept."""
        assert self._weights is not None
        parameters = dict(pl_module.named_parameters())
        with torch.no_grad():
            for name, value in self._weights.items():
                parameters[name].copy_(value)

    def state_dict(self) -> dict[str, Any]:
        """For the checkpoint: a resumed run remembers its best weights."""
        return {
            "value": self.best_value,
            "step": self.best_step,
            "seen_step": self.seen_step,
            "weights": self._weights,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """From the checkpoint."""
        self.best_value, self.best_step = state_dict["value"], state_dict["step"]
        self.seen_step = state_dict["seen_step"]
        self._weights = state_dict["weights"]

    def _take(self, pl_module: pl.LightningModule) -> None:
        moving = ((name, value) for name, value in pl_module.named_parameters() if value.requires_grad)
        self._weights = {name: value.detach().to("cpu", copy=True) for name, value in moving}


class ValidationReport(pl.Callback):
    """Tells a search of every validation, and so lets it stop a training that is not worth its time.

    Args:
        monitor: the logged value to tell.
        report: takes (value, ordinal of the validation, from 1); what it raises ends the training.
    """

    def __init__(self, monitor: str, report: Callable[[float, int], None]) -> None:
        self.monitor = monitor
        self.report = report
        self._told = 0

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Tells the validation's value."""
        self.tell(logged_value(trainer, self.monitor))

    def tell(self, value: float) -> None:
        """Tells one value more."""
        self._told += 1
        self.report(value, self._told)


def logged_value(trainer: pl.Trainer, name: str) -> float:
    """A value that the run logs.

    Raises:
        TrainingError: nothing logs it, or it is not a number.
    """
    if name not in trainer.callback_metrics:
        logged = ", ".join(sorted(trainer.callback_metrics))
        raise TrainingError(f"Nothing logs '{name}', which decides on the best weights. Logged: {logged}.")
    value = float(trainer.callback_metrics[name])
    if math.isnan(value):
        raise TrainingError(f"{name} is not a number at step {trainer.global_step}.")
    return value


class StepLog(pl.Callback):
    """Hands every step's and every validation's values on, in full precision.

    Args:
        write: takes {"step", "epoch", "inputs", name: value, ...}; inputs are training sessions seen so far.
        accumulators: for a logged name, the summaries to add beside it, for example {"train_loss": ["mean"]}.
    """

    def __init__(
        self,
        write: Callable[[Mapping[str, float]], None],
        accumulators: Mapping[str, MetricsAccumulator] | None = None,
    ) -> None:
        self.write = write
        self.accumulators = dict(accumulators or {})
        self.inputs = 0
        self._rates: dict[str, float] = {}
        self._waiting: list[tuple[dict[str, float], StepValues]] = []

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Takes the rates of the step; when it has ended the schedule has moved on."""
        groups = trainer.optimizers[0].param_groups
        self._rates = {f"{group['name']}_lr": float(group["lr"]) for group in groups}

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Writes the step's values and the rates it was made with; a GPU's values when they have arrived."""
        self.inputs += batch.num_sessions
        self._waiting.append(({**self._place(trainer), **self._rates}, pl_module.step_values))
        self._write_steps(only_arrived=True)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """The steps before a validation stand before it."""
        self._write_checked(pl_module)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Writes the validation's values."""
        metrics = trainer.callback_metrics
        values = {name: float(value) for name, value in metrics.items() if name.startswith("validation_")}
        self._write(self._place(trainer), values)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """All steps of the epoch are written down."""
        self._write_checked(pl_module)

    def on_exception(self, trainer: pl.Trainer, pl_module: Any, exception: BaseException) -> None:
        """What has come to its end is written down."""
        self._write_steps(only_arrived=False)

    def _write_checked(self, pl_module: Any) -> None:
        pl_module.check_losses()
        self._write_steps(only_arrived=False)

    def _write_steps(self, *, only_arrived: bool) -> None:
        while self._waiting and (self._waiting[0][1].has_arrived or not only_arrived):
            place, values = self._waiting.pop(0)
            if math.isfinite(values.get("train_loss", 0.0)):  # else the training ends with an error
                self._write(place, dict(values))

    def _place(self, trainer: pl.Trainer) -> dict[str, float]:
        return {"step": trainer.global_step, "epoch": trainer.current_epoch, "inputs": self.inputs}

    def _write(self, place: dict[str, float], values: dict[str, float]) -> None:
        for name in list(values):
            if name in self.accumulators:
                summaries = self.accumulators[name].update(values[name])
                values.update({f"{name}_{kind}": value for kind, value in summaries.items()})
        self.write({**place, **values})

    def state_dict(self) -> dict[str, Any]:
        """For the checkpoint; all steps before it are written down first."""
        self._write_steps(only_arrived=False)
        return {
            "inputs": self.inputs,
            "accumulators": {name: value.state_dict() for name, value in self.accumulators.items()},
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """From the checkpoint."""
        self.inputs = state_dict["inputs"]
        for name, state in state_dict["accumulators"].items():
            self.accumulators[name].load_state_dict(state)
