"""What a run computes with: device, precision, threads, seed; and where it speaks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf

from hft.consoles import Console
from hft.running.progress import text_progress
from hft.running.quiet import quiet_lightning
from hft.settings import ComputeSettings
from hft.training import resolve_accelerator, resolve_precision


@dataclass(frozen=True)
class Surroundings:
    """What a run computes with.

    Args:
        accelerator: `cpu` or `cuda`.
        precision: Lightning's word, `auto` resolved.
        threads: CPU threads of torch; where the config names none, as many as the process has set.
        seed: of all random generators.
        console: by default on stderr, so that stdout holds results only.
        compute: how models compute.
    """

    accelerator: str
    precision: str
    threads: int
    seed: int
    console: Console = field(default_factory=lambda: Console(stderr=True))
    compute: ComputeSettings = field(default_factory=ComputeSettings)

    @classmethod
    def of(cls, config: DictConfig, console: Console | None = None) -> Surroundings:
        """As the config says, `auto` decided.

        Args:
            config: of the run.
            console: where it speaks; None: on stderr.

        Raises:
            ConfigError: a device is asked for that is not there.
        """
        accelerator = resolve_accelerator(config.trainer.get("accelerator", "auto"))
        precision = resolve_precision(config.trainer.get("precision", "auto"), accelerator)
        threads = config.threads or torch.get_num_threads()
        # A record of an earlier version has no such node.
        compute = ComputeSettings.model_validate(
            OmegaConf.to_container(config.get("compute") or OmegaConf.create(), resolve=True)
        )
        return cls(accelerator, precision, threads, config.seed, console or Console(stderr=True), compute)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Sets threads, seed and, on a CPU, determinism of this process; threads and determinism are put back.

        On a GPU determinism is left as it is: there are no such kernels for some sums.
        """
        threads, switches = torch.get_num_threads(), _deterministic_switches()
        torch.set_num_threads(self.threads)
        if self.accelerator == "cpu":
            # Sums in one order, so that a run can be repeated bit by bit.
            _set_deterministic_switches(on=True, warn_only=False, fill=False)
        quiet_lightning()
        self.seed_everything()
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            _set_deterministic_switches(**switches)

    def seed_everything(self) -> None:
        """Sets all random generators to the run's seed."""
        pl.seed_everything(self.seed, verbose=False)

    def say(self, line: str) -> None:
        """A line for the person who waits."""
        self.console.print(line, soft_wrap=True)

    def text_progress(self, label: str) -> AbstractContextManager[Callable[[int], None]]:
        """A count of embedded texts."""
        return text_progress(self.console, label)


def _deterministic_switches() -> dict[str, bool]:
    return {
        "on": torch.are_deterministic_algorithms_enabled(),
        "warn_only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "fill": torch.utils.deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]
    }


def _set_deterministic_switches(*, on: bool, warn_only: bool, fill: bool) -> None:
    torch.use_deterministic_algorithms(on, warn_only=warn_only)
    torch.utils.deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]
