"""Sides of a comparison that take turns, each in a process of its own, so that both see the same machine.

Not a benchmark itself. A side trains as its user would run it, and stops at the end of a step until it is its turn
again. A turn is timed within the side, from the word to go to the end of its last step: it holds everything that so
many steps need (batches, tokens, forward, backward, optimizer, logging) and nothing else. The first turn of a side
warms it up and is not counted.
"""

from __future__ import annotations

import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from apart import end_of, enter

SECONDS_TO_END = 20.0  # for a side to end by itself


@dataclass(frozen=True)
class Turn:
    """What a side did in a turn.

    Args:
        seconds: wall time.
        sessions: trained on (or another unit of the side's work).
        steps: values of each step, as the side tells them.
        peak_memory: of the GPU since the process began, bytes; 0 without one.
    """

    seconds: float
    sessions: int
    steps: list[dict[str, float]] = field(default_factory=list)
    peak_memory: int = 0

    @property
    def rate(self) -> float:
        """Sessions a second."""
        return self.sessions / self.seconds


class Baton:
    """The side's end: `step_done` after every step. It returns when the side may go on, and exits when it is to end."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._take()

    def _take(self) -> None:
        wanted = self._connection.recv()
        if wanted is None:
            raise SystemExit(0)
        self._wanted = int(wanted)
        self._sessions = 0
        self._steps: list[dict[str, float]] = []
        self._started = time.perf_counter()

    def step_done(self, sessions: int, **values: float) -> None:
        """A step over so many sessions has ended."""
        self._sessions += sessions
        self._steps.append(values)
        if self._sessions >= self._wanted:
            peak_memory = _wait_for_gpu()
            seconds = time.perf_counter() - self._started
            self._connection.send(Turn(seconds, self._sessions, self._steps, peak_memory))
            self._take()


def _wait_for_gpu() -> int:
    """Waits for what the GPU was told to do, where one is used; its peak memory, bytes."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return 0
    torch.cuda.synchronize()
    return int(torch.cuda.max_memory_allocated())


class Side:
    """A side's process: it begins at its first turn and ends with the block.

    Args:
        name: for the table, and of the file in `folder` that takes what it prints.
        work: called in the process as work(baton, **options); a function of a module, for it is sent there.
        folder: of that file.
        threads: CPU threads; None leaves the choice to torch.
        options: of `work`.
    """

    def __init__(
        self, name: str, work: Callable[..., None], folder: Path, threads: int | None = None, **options: Any
    ) -> None:
        self.name = name
        self.log = folder / f"{name.replace(' ', '_').replace(',', '')}.log"
        self._connection, theirs = multiprocessing.get_context("spawn").Pipe()
        self._process = multiprocessing.get_context("spawn").Process(
            target=_run, args=(work, theirs, str(self.log), threads, options), daemon=False
        )
        self._theirs: Any = theirs

    def __enter__(self) -> Side:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """Ends the process; ending twice is harmless."""
        if self._process.pid is None or not self._process.is_alive():
            return
        with suppress(OSError):
            self._connection.send(None)
        self._process.join(SECONDS_TO_END)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def take(self, sessions: int) -> Turn:
        """Lets the side train on at least so many sessions.

        Raises:
            SystemExit: it failed; the end of what it printed is the message.
        """
        if self._theirs is not None:
            self._process.start()
            self._theirs.close()
            self._theirs = None
        try:
            self._connection.send(sessions)
            turn: Turn = self._connection.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError):
            self._process.join()
            raise SystemExit(end_of(self.log, f"{self.name} ended before its turn did:")) from None
        return turn


def _run(work: Callable[..., None], connection: Any, log: str, threads: int | None, options: Mapping[str, Any]) -> None:
    enter(log, threads)
    work(Baton(connection), **options)


def take_turns(
    sides: Sequence[tuple[Side, int]], pairs: int, *, warm_up: Sequence[int] | None = None
) -> list[list[Turn]]:
    """Turns of each side, `pairs` each, one after another and in the opposite order every second time.

    Args:
        sides: with the sessions of a turn of each.
        pairs: turns a side.
        warm_up: sessions of each side's first turn, which is not counted; None takes those of a turn. A side that
            has been warmed up before is told by 0.
    """
    for number, (side, sessions) in enumerate(sides):
        first = sessions if warm_up is None else warm_up[number]
        if first:
            side.take(first)
    turns: list[list[Turn]] = [[] for _ in sides]
    for pair in range(pairs):
        order = list(enumerate(sides))
        for number, (side, sessions) in order if pair % 2 == 0 else order[::-1]:
            turns[number].append(side.take(sessions))
    return turns


def fastest(makers: Sequence[Callable[[], Side]], sessions: int, tokens: float, *, warm_up: Sequence[int]) -> int:
    """Prints a turn of each side, one process at a time, and gives back the number of the fastest.

    Args:
        makers: each makes a side.
        sessions: of the turn.
        tokens: of a session, for the table.
        warm_up: sessions of each side's first turn, which is not counted.

    Raises:
        SystemExit: all failed. One that fails (for lack of memory, say) is told and left out.
    """
    rates: dict[int, float] = {}
    for number, make in enumerate(makers):
        with make() as side:
            try:
                turns = take_turns([(side, sessions)], 1, warm_up=warm_up[number : number + 1])
            except SystemExit as error:
                print(f"{side.name}: failed; {str(error).strip().splitlines()[-1]}")
                failure = error
                continue
        rates[number] = turns[0][0].rate
        print_rates([side.name], turns, tokens)
    if not rates:
        raise failure
    return max(rates, key=rates.__getitem__)


def median_ratio(ours: Sequence[Turn], theirs: Sequence[Turn]) -> float:
    """Median over pairs of our rate over theirs."""
    return statistics.median(a.rate / b.rate for a, b in zip(ours, theirs, strict=True))


def print_rates(names: Sequence[str], turns: Sequence[Sequence[Turn]], tokens: float) -> None:
    """A line a side: median, lowest and highest rate.

    Args:
        names: of the sides.
        turns: of each side.
        tokens: of a session, without padding.
    """
    width = max(map(len, names))
    print(f"{'':{width}}  sessions/s  lowest  highest  tokens/s  turns of")
    for name, taken in zip(names, turns, strict=True):
        rates = [turn.rate for turn in taken]
        median = statistics.median(rates)
        sessions = f"{taken[0].sessions} sessions, {len(taken)} turns"
        print(
            f"{name:{width}}  {median:10.3f}  {min(rates):6.3f}  {max(rates):7.3f}  {median * tokens:8,.0f}  {sessions}"
        )
