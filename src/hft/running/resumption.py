"""A run that goes on in the folder where it was interrupted: its record, its last checkpoint, its surroundings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from hft.experiments import (
    CHECKPOINTS_NAME,
    STEPS_NAME,
    RunRecord,
    read_steps,
    recorded_in,
    require_resumable,
    require_same_config,
)
from hft.training.checkpoints import SavedPoint, last_saved


@dataclass(frozen=True)
class Resumption:
    """What a run goes on from.

    Args:
        record: of the run.
        saved: its last whole checkpoint; None: it begins again, under its record.
    """

    record: RunRecord
    saved: SavedPoint | None

    @property
    def checkpoint(self) -> Path | None:
        """Where the checkpoint stands."""
        return None if self.saved is None else self.saved.path

    @property
    def step(self) -> int:
        """Optimizer steps that are done."""
        return 0 if self.saved is None else self.saved.step

    @property
    def rows(self) -> int:
        """Rows of steps.jsonl that stay."""
        return 0 if self.saved is None else self.saved.rows

    @property
    def line(self) -> str:
        """What it does, for the person who waits."""
        began = f"Resuming run {self.record.run_id[:8]}, which was {self.record.status_now}"
        return f"{began}, from {'its beginning: it has no checkpoint' if self.saved is None else f'step {self.step}'}"


def resumption_in(
    folder: Path, config: DictConfig, notify: Callable[[str], object], *, elsewhere: bool = False
) -> Resumption | None:
    """What a run in this folder goes on from; None: the folder holds no run.

    Args:
        folder: of the run.
        config: of the request, the iteration decided.
        notify: is told of damaged checkpoints.
        elsewhere: as of `require_resumable`.

    Raises:
        ConfigError: the folder holds a run that has ended, still runs, or is another one than is asked for.
    """
    record = recorded_in(folder)
    if record is None:
        return None
    require_resumable(record, elsewhere=elsewhere)
    require_same_config(record, config)
    steps = folder / STEPS_NAME
    rows = len(read_steps(steps)) if steps.is_file() else 0
    return Resumption(record, last_saved(folder / CHECKPOINTS_NAME, rows=rows, notify=notify))


def as_begun(config: DictConfig, record: RunRecord) -> DictConfig:
    """The config with threads, device and precision as they were decided when the run was begun."""
    own = config.copy()
    OmegaConf.set_readonly(own, False)
    environment = record.environment
    for key, value in (
        ("threads", environment.threads),
        ("trainer.precision", environment.precision),
        ("trainer.accelerator", environment.accelerator),
    ):
        if value is not None:
            OmegaConf.update(own, key, value, force_add=True)
    return own
