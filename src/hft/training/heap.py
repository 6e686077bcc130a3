"""What a step has freed goes back to the system before the process has grown by many steps' memory.

The C library of Linux (glibc) keeps what is freed for the next request. Activations are large, of other sizes in each
step, and aligned: what one step leaves often does not fit the next, and a process that trains would grow by some
hundred megabytes a step, without end. To give memory back costs some 50 ms, and the next step is about a tenth slower,
since its pages are new; it is done once in several steps.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

__all__ = ["HeapTrimming", "give_back_freed", "keep_freed", "resident_bytes"]

# How much the process may grow, in units of what it grew by in its first step.
_STEPS_OF_GROWTH = 2
# Less than this is not worth the trouble.
_LEAST_GROWTH = 1 << 30
# glibc's mallopt: what is freed at the end of the heap goes back beyond so many bytes (-1: never), and requests of so
# many bytes get pages of their own, which go back as soon as they are freed.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_STATM = Path("/proc/self/statm")


def resident_bytes() -> int | None:
    """Memory of this process that is in RAM; None where the system does not tell."""
    try:
        return int(_STATM.read_text().split()[1]) * mmap.PAGESIZE
    except (OSError, IndexError, ValueError):
        return None


def give_back_freed() -> bool:
    """Gives memory that was freed back to the system; whether the C library can (glibc's malloc_trim)."""
    if sys.platform != "linux":
        return False
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is None:
        return False
    trim(0)
    return True


def keep_freed(wanted: bool) -> bool:
    """Whether what is freed stays with the process for its next request, however large; whether glibc can be told.

    By itself glibc returns large blocks at once, and the next step waits for new pages: 15% of a step's time was
    measured with MiniLM on two cores.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    trim, pages_of_their_own = (-1, 1 << 30) if wanted else (64 << 20, 32 << 20)
    return bool(mallopt(_TRIM_THRESHOLD, trim)) and bool(mallopt(_MMAP_THRESHOLD, pages_of_their_own))


class HeapTrimming(pl.Callback):
    """Keeps freed memory for the next step, and gives it back once the process has grown by that of several steps.

    Args:
        resident: tells the process's memory in bytes; None: it cannot be told.
        give_back: gives freed memory back; false: it cannot.

    Attributes:
        times: how often it was done.
    """

    def __init__(
        self, resident: Callable[[], int | None] = resident_bytes, give_back: Callable[[], bool] = give_back_freed
    ) -> None:
        self._resident = resident
        self._give_back = give_back
        self._before: int | None = None
        self._of_a_step = 0
        self.times = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Looks how much there is before the first step."""
        self._before, self._of_a_step = self._resident(), 0
        keep_freed(True)

    def on_train_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Gives back what the steps have left where it is much: to give back takes as long as a short trial."""
        keep_freed(False)
        if self._before is not None and (self._resident() or 0) - self._before > _LEAST_GROWTH:
            self._give_back()

    def on_exception(self, trainer: pl.Trainer, pl_module: Any, exception: BaseException) -> None:
        """As at the end."""
        self.on_train_end(trainer, pl_module)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Looks how much the process has grown."""
        if self._before is None:
            return
        grown = (self._resident() or 0) - self._before
        self._of_a_step = self._of_a_step or grown
        if grown > max(_STEPS_OF_GROWTH * self._of_a_step, _LEAST_GROWTH):
            self._before = self._resident() if self._give_back() else None
            self.times += 1
