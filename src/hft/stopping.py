"""Ctrl-C, SIGTERM and SIGHUP: the process says that it stops, unwinds, and ends within seconds."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from hft.errors import Terminated

__all__ = ["exit_status_of", "interrupts_heard", "received", "stopped_line", "terminations_heard"]

# What unwinding may take: workers of a sweep and a tracking server have five seconds each.
GRACE_SECONDS = 15.0

_TERMINATIONS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
_STOPS = [signal.SIGINT, *_TERMINATIONS]

_received: signal.Signals | None = None


def received() -> signal.Signals | None:
    """The signal that this process was last told to stop with; None: it was not.

    An error that comes after it may be its work: native code makes an ImportError of an interrupted import.
    """
    return _received


def exit_status_of(number: signal.Signals) -> int:
    """The exit status that a shell knows as the end by a signal: 130 of Ctrl-C, 143 of SIGTERM."""
    return 128 + number


def stopped_line(number: signal.Signals) -> str:
    """What a stopped command says."""
    return "hft: stopped" if number == signal.SIGINT else f"hft: stopped by {number.name}"


@contextmanager
def terminations_heard() -> Iterator[None]:
    """Inside the block SIGTERM and SIGHUP raise Terminated, unless somebody else handles or ignores them.

    Only the main thread can hear signals; in another the block is as it is without this.
    """
    with _handled([number for number in _TERMINATIONS if signal.getsignal(number) == signal.SIG_DFL]):
        yield


@contextmanager
def interrupts_heard(*, ends: bool) -> Iterator[None]:
    """The same, for a command, with Ctrl-C.

    Args:
        ends: the process ends with the block: after a signal in `GRACE_SECONDS` at the latest, even where native code
            holds the main thread or a library has swallowed the exception, and after the block without a word.
    """
    global _received
    _received = None
    numbers = [signal.SIGINT] if signal.getsignal(signal.SIGINT) == signal.default_int_handler else []
    with _handled(numbers), terminations_heard():
        if ends:
            _end_in_time()
        yield
    if ends and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_DFL if _received is None else signal.SIG_IGN)


@contextmanager
def _handled(numbers: list[signal.Signals]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(number: int, frame: FrameType | None) -> None:
    global _received
    _received = signal.Signals(number)
    if _received == signal.SIGINT:
        raise KeyboardInterrupt
    raise Terminated(_received.name)


def _end_in_time() -> None:
    """Has a thread told of each signal at once, whatever the main thread does."""
    if threading.current_thread() is not threading.main_thread() or os.name == "nt":
        return
    heard, tell = os.pipe()
    os.set_blocking(tell, False)
    signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(heard,), name="end in time", daemon=True).start()


def _watch(heard: int) -> None:
    while number := os.read(heard, 1):
        if number[0] in _STOPS:
            time.sleep(GRACE_SECONDS)
            stopped = signal.Signals(number[0])
            told = f"{stopped_line(stopped)}; it had not ended {GRACE_SECONDS:g} s after it was told to"
            os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, f"{told}\n".encode())
            os._exit(exit_status_of(stopped))
