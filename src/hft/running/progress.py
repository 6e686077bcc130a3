"""Progress in the terminal. Where there is no terminal, a line now and then instead of a bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from hft.consoles import Console


def progress_bar(console: Console) -> Progress:
    """A bar with a label, a count, the time gone and the time left."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )


@contextmanager
def text_progress(console: Console, label: str) -> Iterator[Callable[[int], None]]:
    """A count of embedded texts; the block gets a function that takes how many more are done."""
    if not console.is_terminal:
        console.print(f"{label} ...")
    with progress_bar(console) as progress:
        task = progress.add_task(label, total=None)
        yield lambda done: progress.update(task, advance=done)


class StepProgress(pl.Callback):
    """A bar over the optimizer steps with the last loss, and a line for each validation.

    Args:
        console: where to draw.
        monitor: the validation value to show.
    """

    def __init__(self, console: Console, monitor: str) -> None:
        self.console = console
        self.monitor = monitor
        self._progress: Progress | None = None
        self._task: Any = None
        self._label = "training"

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Opens the bar."""
        self._progress = progress_bar(self.console)
        self._progress.start()
        total = int(trainer.estimated_stepping_batches)
        self._task = self._progress.add_task("training", total=total, completed=trainer.global_step)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Moves the bar."""
        if self._progress is not None:
            if pl_module.step_values.has_arrived:  # else the last label stands: a bar is not worth a wait
                loss = pl_module.step_values.get("train_loss")
                self._label = "training, no pair" if loss is None else f"training, loss {loss:.4f}"
            self._progress.update(self._task, completed=trainer.global_step, description=self._label)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A line with the value that decides."""
        if self.monitor in trainer.callback_metrics:
            value = float(trainer.callback_metrics[self.monitor])
            self.console.print(f"step {trainer.global_step}: {self.monitor} {value:.4f}")

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Closes the bar."""
        self._close()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Closes the bar, so that the message stands on a line of its own."""
        self._close()

    def _close(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
