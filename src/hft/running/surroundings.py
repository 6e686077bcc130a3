"""What a run computes with: device, precision, threads, seed; and where it speaks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig
from rich.console import Console

from hft.running.progress import text_progress
from hft.running.quiet import quiet_lightning
from hft.training import resolve_accelerator, resolve_precision

# As torch starts with: one thread a physical core. A run that sets another number must not change the next one's.
DEFAULT_THREADS = torch.get_num_threads()


@dataclass(frozen=True)
class Surroundings:
    """What a run computes with.

    Args:
        accelerator: `cpu` or `cuda`.
        precision: Lightning's word, `auto` resolved.
        threads: CPU threads of torch.
        seed: of all random generators.
        console: on stderr, so that stdout holds results only.
    """

    accelerator: str
    precision: str
    threads: int
    seed: int
    console: Console = field(default_factory=lambda: Console(stderr=True))

    @classmethod
    def of(cls, config: DictConfig) -> Surroundings:
        """As the config says, `auto` decided.

        Raises:
            ConfigError: a device is asked for that is not there.
        """
        accelerator = resolve_accelerator(config.trainer.get("accelerator", "auto"))
        precision = resolve_precision(config.trainer.get("precision", "auto"), accelerator)
        return cls(accelerator, precision, config.threads or DEFAULT_THREADS, config.seed)

    def apply(self) -> None:
        """Sets threads, seed and determinism of this process."""
        torch.set_num_threads(self.threads)
        # Sums in one order, so that a run can be repeated bit by bit. A GPU lacks such kernels for some of them.
        torch.use_deterministic_algorithms(self.accelerator == "cpu")
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        quiet_lightning()
        pl.seed_everything(self.seed, verbose=False)

    def say(self, line: str) -> None:
        """A line for the person who waits."""
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def text_progress(self, label: str) -> AbstractContextManager[Callable[[int], None]]:
        """A count of embedded texts."""
        return text_progress(self.console, label)
