"""Where trials run: the loop starts them and waits for those that end. It never blocks on one slot for another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from hft.search.specs import Params
from hft.search.trial import Outcome


@dataclass(frozen=True)
class Finished:
    """A trial that ended.

    Args:
        number: of the trial.
        outcome: how.
    """

    number: int
    outcome: Outcome


class Launcher(Protocol):
    """Runs trials in slots."""

    @property
    def slots(self) -> int:
        """How many trials run at a time."""

    def start(self, number: int, overrides: Sequence[str]) -> None:
        """Starts a trial in a free slot, or, with one slot in this process, notes it for `wait`.

        Args:
            number: of the trial, which is also Hydra's job number.
            overrides: Hydra overrides of the trial, the sweep's own among them.
        """

    def wait(self, timeout: float | None = None) -> list[Finished]:
        """Trials that have ended since the last call; waits for at least one, `timeout` seconds at most.

        A worker that dies is one failed trial. KeyboardInterrupt comes through.
        """

    def close(self) -> None:
        """Ends what still runs and frees all slots."""


@runtime_checkable
class TakesParams(Protocol):
    """A launcher that runs parameters as they are, not as overrides. The sweep tells it of itself as it begins."""

    def take(self, folder: Path, metrics: Sequence[str], params_of: Callable[[int], Params]) -> None:
        """Before the first trial.

        Args:
            folder: of the sweep.
            metrics: names of the search's metrics, in order.
            params_of: parameters by the number of the trial.
        """
