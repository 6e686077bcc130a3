"""Memory that steps have freed is given back before the process has grown by that of many."""

from __future__ import annotations

import ctypes
import mmap
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from hft.training import heap
from hft.training.heap import HeapTrimming, give_back_freed, keep_freed

GIB = 1 << 30


class Process:
    """Grows by a step's memory first, then by a third of it each step; gives back all but what it began with."""

    def __init__(self, step: float, *, can: bool = True) -> None:
        self.began, self.step, self.can = 1.0, step, can
        self.now = self.began
        self.seen: list[float] = []

    def resident(self) -> int:
        return int(self.now * GIB)

    def give_back(self) -> bool:
        self.now = self.began if self.can else self.now
        return self.can

    def train(self, steps: int) -> HeapTrimming:
        nobody: Any = None
        trimming = HeapTrimming(self.resident, self.give_back)
        trimming.on_train_start(nobody, nobody)
        for number in range(steps):
            self.now += self.step if self.now == self.began else self.step / 3
            self.seen.append(self.now)
            trimming.on_train_batch_end(nobody, nobody, None, None, number)
        return trimming


def test_growth_ends_at_a_few_steps_worth():
    process = Process(2.0)
    assert process.train(100).times == 20
    assert max(process.seen) < 1.0 + 3 * 2.0


@pytest.mark.parametrize(("how", "step", "goes"), [("end", 2.0, True), ("error", 2.0, True), ("end", 0.1, False)])
def test_what_the_steps_have_left_is_given_back_in_the_end_where_it_is_much(how: str, step: float, goes: bool) -> None:
    process, nobody = Process(step), cast("Any", None)
    trimming = process.train(3)
    assert process.now > process.began
    if how == "end":
        trimming.on_train_end(nobody, nobody)
    else:
        trimming.on_exception(nobody, nobody, KeyboardInterrupt())
    assert (process.now == process.began) is goes


def test_little_growth_is_left_alone():
    process = Process(0.1)
    assert process.train(25).times == 0


def test_where_nothing_can_be_given_back_it_is_tried_once():
    assert Process(2.0, can=False).train(100).times == 1


@pytest.mark.parametrize(("statm", "pages"), [("900 25 3 1 0 70 0\n", 25), ("", None), ("900", None), (None, None)])
def test_the_memory_of_this_process_is_told_in_bytes(
    statm: str | None, pages: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second number of what Linux tells are pages in RAM; None where it tells nothing."""
    file = tmp_path / "statm"
    if statm is not None:
        file.write_text(statm)
    monkeypatch.setattr(heap, "_STATM", file)
    assert heap.resident_bytes() == (None if pages is None else pages * mmap.PAGESIZE)


@pytest.mark.skipif(sys.platform != "linux", reason="of Linux")
def test_large_blocks_that_are_freed_are_used_again_until_they_are_given_back() -> None:
    """Told by page faults: new pages are faulted in, kept ones are not."""
    import resource

    if not keep_freed(True):
        pytest.skip("this C library cannot be told")
    library = ctypes.CDLL(None)
    library.malloc.restype, library.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    library.free.argtypes = [ctypes.c_void_p]
    size = 100 << 20

    def faults() -> int:
        before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
        block = library.malloc(size)
        ctypes.memset(block, 1, size)
        library.free(block)
        return resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before

    try:
        faults()
        kept = faults()
        assert give_back_freed()
        given_back = faults()
    finally:
        keep_freed(False)
        give_back_freed()
    assert kept * 10 < min(given_back, faults())  # pages may be large ones: 50 of 2 MiB
