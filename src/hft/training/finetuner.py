"""EmbeddingsFineTuner: one training step from a batch of sessions to a loss."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.precision import MixedPrecision
from torch import Tensor, nn
from torch.utils.data import DataLoader

from hft.errors import ConfigError, TrainingError
from hft.losses import dead_shares
from hft.settings import FineTuningParams, FineTuningSettings
from hft.training.batching import SessionBatch
from hft.training.pairs import stage_of_epoch
from hft.training.ranks import pair_features, select_pairs
from hft.training.step_memory import MemoryBoundStep
from hft.training.step_values import StepValues
from hft.training.validation import Validator

OptimizerFactory = Callable[[list[dict[str, Any]]], torch.optim.Optimizer]
SchedulerFactory = Callable[..., torch.optim.lr_scheduler.LRScheduler]


class EmbeddingsFineTuner(pl.LightningModule):
    """Fine-tunes an embedding model on session batches.

    A step: embed the batch's distinct queries and items, rank every pair, leave out what the thresholds and the
    curriculum leave out, take the loss. What a step is written down with stands in `step_values`; Lightning's own log
    gets the validations alone, since it costs as much a step as a small model.

    A batch of which no pair is left has no loss, and Lightning leaves its step out: no weight moves or decays. An
    epoch of such batches ends the training.

    Args:
        model: an hft embedding model; the technique has already decided which weights move.
        settings: what a search holds fixed.
        params: what a search may vary.
        optimizer: from parameter groups to an optimizer; gets two groups, the query tower's and the items
            tower's, or the items tower's alone where the towers are shared.
        scheduler: from the optimizer (and `total_steps`, where it has such an argument) to a schedule that moves
            after every optimizer step; None keeps the rates.
        loader: of the training batches; None where the trainer is handed one.
        validator: validates the model; None for a run without validation.
        callbacks: of the method's own, beside those of the run.

    Attributes:
        step_values: what the last batch is written down with, by name: `train_pairs`, `train_padding` (share of padding
            among the tokens computed, 0..1), and where there are pairs, `train_loss` (the batch's, also where Lightning
            divides it by the number of accumulated batches) and the shares of dead pairs.
    """

    def __init__(
        self,
        model: Any,
        settings: FineTuningSettings,
        params: FineTuningParams,
        *,
        optimizer: OptimizerFactory = torch.optim.AdamW,
        scheduler: SchedulerFactory | None = None,
        loader: DataLoader[SessionBatch] | None = None,
        validator: Validator | None = None,
        callbacks: Sequence[pl.Callback] = (),
    ) -> None:
        super().__init__()
        self.model = model
        self.settings = settings
        self.params = params
        self.make_optimizer = optimizer
        self.make_scheduler = scheduler
        self.loader = loader
        self.validator = validator
        self.callbacks = list(callbacks)
        self.step_values = StepValues()
        self._epoch_pairs = 0
        self._step_pairs = 0
        self._step: MemoryBoundStep | None = None
        self._unchecked: tuple[int, StepValues] | None = None

    def configure_callbacks(self) -> list[pl.Callback]:
        """Called by Lightning, which puts their state into each checkpoint."""
        return self.callbacks

    def train_dataloader(self) -> DataLoader[SessionBatch]:
        """Batches of training sessions."""
        if self.loader is None:
            raise ValueError("build the module with a loader, or hand one to the trainer")
        return self.loader

    def on_train_start(self) -> None:
        """Turns dropout on where weights move. Lightning does not call train(), and a loaded model is in eval mode."""
        set_training_mode(self.model)

    def on_train_epoch_start(self) -> None:
        """Counts the pairs of the epoch anew. Lightning does not call it where an epoch is resumed in its middle."""
        self._epoch_pairs = 0

    def on_train_epoch_end(self) -> None:
        """An epoch must have had a pair, and a loss in every step.

        Raises:
            TrainingError: it had none, or the last loss is not a number.
        """
        self.check_losses()
        if not self._epoch_pairs:
            stage = stage_of_epoch(self.params.examples_order, self.current_epoch, self.settings.num_epochs)
            raise TrainingError(
                f"No pair was left to train on in epoch {self.current_epoch}. What leaves pairs out: "
                f"params.min_abs_difference_threshold ({self.params.min_abs_difference_threshold}), "
                f"params.max_abs_difference_threshold ({self.params.max_abs_difference_threshold}), and the kind of "
                f"pairs of this epoch ({stage.name}, params.examples_order={self.params.examples_order}). In-batch "
                "negatives need two sessions a batch (settings.batch_size). What any session of a query picked is no "
                "negative of it."
            )

    def on_validation_start(self) -> None:
        """Weights that a step has spoilt are not validated."""
        self.check_losses()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """For a resume in the middle of an epoch. Left out are weights that do not move: the base model has them."""
        self.check_losses()
        fixed = {name for name, one in self.named_parameters(remove_duplicate=False) if not one.requires_grad}
        checkpoint["state_dict"] = {n: value for n, value in checkpoint["state_dict"].items() if n not in fixed}
        budget = self.model.budget
        checkpoint["budget"] = [budget.token_budget, budget.graph_tokens]
        checkpoint["epoch_pairs"] = self._epoch_pairs

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """From the checkpoint."""
        checkpoint["state_dict"] = {**self.state_dict(), **checkpoint["state_dict"]}
        self.model.budget.token_budget, self.model.budget.graph_tokens = checkpoint["budget"]
        self._epoch_pairs = checkpoint["epoch_pairs"]

    def training_step(self, batch: SessionBatch, batch_idx: int) -> Tensor | None:
        """FloatTensor[], the loss of the batch; None where it has no pair. See `step_values` for what is written down.

        Where a GPU runs out of memory, here or in the backward pass, the batch is computed again with half the token
        budget.

        Raises:
            TrainingError: the loss is not a finite number. A GPU is not waited for: there the error comes with the
                next step, or before what follows the steps (a validation, a checkpoint, the end of the epoch).
        """
        self._step = MemoryBoundStep(self.model.budget, lambda: self._loss(batch), self.model.device)
        self._epoch_pairs += self._step_pairs
        earlier, self._unchecked = self._unchecked, (self.global_step, self.step_values)
        if earlier is not None:
            _require_finite(*earlier)
        if self.step_values.has_arrived:
            self.check_losses()
        return self._step.loss

    def check_losses(self) -> None:
        """Waits for the loss of the last step.

        Raises:
            TrainingError: it is not a finite number.
        """
        if self._unchecked is not None:
            unchecked, self._unchecked = self._unchecked, None
            _require_finite(*unchecked)

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Adds the gradients of the batch; see MemoryBoundStep."""
        step, self._step = self._step, None
        assert step is not None
        step.backward(loss, [weight for group in self.trainer.optimizers[0].param_groups for weight in group["params"]])

    def _loss(self, batch: SessionBatch) -> Tensor | None:
        queries, items = self.model.embed_step(batch.queries, batch.items)
        features = pair_features(
            self.settings.ranker,
            queries,
            items,
            batch.pairs,
            sign=self.settings.rank_sign,
            margin=self.params.margin,
            parts=batch.parts,
        )
        stage = stage_of_epoch(self.params.examples_order, self.current_epoch, self.settings.num_epochs)
        kept = select_pairs(features, self.params, stage)
        self._step_pairs = len(kept)
        known = {"train_pairs": float(len(kept)), "train_padding": self.model.padding(batch.queries, batch.items)}
        if not len(kept):
            self.step_values = StepValues(known)
            return None
        loss: Tensor = self.settings.loss_func(kept)
        health = {f"train_{name}": share for name, share in dead_shares(self.settings.loss_func, kept).items()}
        self.step_values = StepValues(known, {"train_loss": loss.detach(), **health})
        return loss

    def val_dataloader(self) -> DataLoader[int]:
        """One entry: a validation looks at the whole split at once."""
        # A generator of its own: a validation must not draw from the one that dropout uses.
        return DataLoader([0], generator=torch.Generator())  # type: ignore[arg-type]

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Logs loss and metrics of the validation split, without rounding them to float32 as Lightning would."""
        if self.validator is not None:
            values = self.validator(self.model)
            self.log_dict({name: torch.tensor(v, dtype=torch.float64) for name, v in values.items()}, batch_size=1)

    def configure_gradient_clipping(
        self,
        optimizer: Any,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clips as `trainer.gradient_clip_val` says, with a fused optimizer too.

        Lightning refuses those under mixed precision, since they undo the scale of a loss themselves. In bf16 the loss
        has no scale.
        """
        plugin = self.trainer.precision_plugin
        if not isinstance(plugin, MixedPrecision) or plugin.scaler is not None:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)
        elif gradient_clip_val and gradient_clip_algorithm == "value":
            plugin.clip_grad_by_value(optimizer, gradient_clip_val)
        elif gradient_clip_val:
            plugin.clip_grad_by_norm(optimizer, gradient_clip_val)

    def configure_optimizers(self) -> Any:
        """One optimizer over the two groups, and its schedule."""
        optimizer = self.make_optimizer(parameter_groups(self.model, self.params))
        if self.make_scheduler is None:
            return optimizer
        scheduler = schedule(self.make_scheduler, optimizer, int(self.trainer.estimated_stepping_batches))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def _require_finite(step: int, values: StepValues) -> None:
    loss = values.get("train_loss", 0.0)
    if not math.isfinite(loss):
        raise TrainingError(
            f"The loss became {loss} at step {step}. Lower params.items_lr and params.query_lr, or set "
            "trainer.gradient_clip_val."
        )


def schedule(
    factory: SchedulerFactory, optimizer: torch.optim.Optimizer, total_steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """The factory's schedule; `total_steps` is handed over where the factory takes it."""
    if "total_steps" in inspect.signature(factory).parameters:
        return factory(optimizer, total_steps=total_steps)
    return factory(optimizer)


def parameter_groups(model: Any, params: FineTuningParams) -> list[dict[str, Any]]:
    """The query tower's and the items tower's parameters that move, each with its rate and decay.

    A shared tower is one group with the items' rate and decay.

    Raises:
        ConfigError: nothing moves.
    """
    items = list(_moving(model.items_tower))
    groups = [{"name": "items", "params": items, "lr": params.items_lr, "weight_decay": params.items_weight_decay}]
    if not model.shared:
        queries = list(_moving(model.query_tower))
        group = {
            "name": "query",
            "params": queries,
            "lr": params.query_lr,
            "weight_decay": params.query_weight_decay,
        }
        groups.insert(0, group)
    groups = [group for group in groups if group["params"]]
    if not groups:
        raise ConfigError(
            f"Nothing is left to train: params.num_fixed_layers is {params.num_fixed_layers}. Lower it, or let a "
            "technique or model.dense_dim add weights that move."
        )
    return groups


def _moving(module: nn.Module) -> Iterator[nn.Parameter]:
    return (parameter for parameter in module.parameters() if parameter.requires_grad)


def set_training_mode(module: nn.Module) -> None:
    """Training mode where weights move, eval mode where all are fixed.

    Fixed layers at the input thus give the same output at every step: their dropout would only add noise.
    """
    module.train()
    for child in module.children():
        _fix_frozen(child)


def _fix_frozen(module: nn.Module) -> None:
    parameters = list(module.parameters())
    if parameters and not any(parameter.requires_grad for parameter in parameters):
        module.eval()
        return
    for child in module.children():
        _fix_frozen(child)
