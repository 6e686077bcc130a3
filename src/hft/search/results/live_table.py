"""A sweep as it runs: a table that stands still in a terminal, a line a trial everywhere else."""

from __future__ import annotations

import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from hft.search.hooks import SweepHooks, SweepState
from hft.search.results.differing_parameters import DifferingParameters
from hft.search.results.progress import Progress, budget_of, seconds_left
from hft.search.results.ranking import short_names, value_of
from hft.search.results.trial_rows import lines_of_heading, trial_rows
from hft.search.results.values_as_text import counted, duration_text, metric_text, one_line, params_text
from hft.search.trial import Trial

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live
    from rich.text import Text

    from hft.consoles import Console

_MOST_ROWS = 10
# Of the best trial's parameters.
_MOST_LINES = 3
_REFRESHES_A_SECOND = 2
_LINE_WIDTH = 400


class LiveTable(SweepHooks):
    """Shows a sweep on stderr.

    Args:
        console: where to; None: stderr.
        clock: seconds.
    """

    def __init__(self, console: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        if console is None:
            from hft.consoles import Console

            console = Console(stderr=True)
        self._console, self._clock = console, clock
        self._in_place = console.is_terminal and not console.is_dumb_terminal
        self._state: SweepState | None = None
        self._budget: int | None = None
        self._names: dict[str, str] = {}
        self._differing, self._columns = DifferingParameters(), list[str]()
        # When the state came, and when each trial in flight began.
        self._came, self._began = clock(), dict[int, float]()
        self._live: Live | None = None

    def on_start(self, state: SweepState, *, resumed: bool) -> None:
        """Puts the table up."""
        self._budget = budget_of(state)
        self._take(state)
        if resumed or not self._in_place:
            what = f"goes on: {self._so_far(state)}" if resumed else f"begins: {self._of_budget()}"
            self._say(f"search {what}, {state.folder}")
        if self._in_place:
            self._start()

    def on_trial_start(self, trial: Trial, state: SweepState) -> None:
        """The trial joins the table."""
        self._began[trial.number] = self._clock()
        self._take(state)

    def on_trial_end(self, trial: Trial, state: SweepState) -> None:
        """The trial shows its value, or prints its line."""
        self._began.pop(trial.number, None)
        self._take(state)
        if not self._in_place:
            self._say(self._line(trial, state))

    def on_end(self, state: SweepState) -> None:
        """Takes the table down. Where nobody sums up what came of it, for it was stopped, says that in short."""
        self._take(state)
        self.stop()
        if state.ended == "stopped":
            for line in self._when_stopped(state):
                self._say(line)

    def stop(self) -> None:
        """Takes the table down, whatever the sweep does; may be called twice."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def render(self) -> RenderableType:
        """What the terminal shows at this moment."""
        from rich.console import Group
        from rich.padding import Padding
        from rich.progress_bar import ProgressBar
        from rich.text import Text

        state = self._state
        if state is None:
            return Text("")
        progress = Progress.of(state)
        parts: list[RenderableType] = [_cut(Text.assemble(("Search ", "bold"), self._counts(progress)))]
        if self._budget:
            # A bar alone ends no line.
            parts.append(Padding(ProgressBar(total=self._budget, completed=min(progress.ended, self._budget)), 0))
        parts += [_cut(Text(line)) for line in self._best_lines(state)]
        failed = next((trial for trial in reversed(state.trials) if trial.state == "failed"), None)
        if failed is not None:
            reason = one_line(failed.reason or "no reason is known", _LINE_WIDTH)
            parts.append(_cut(Text(f"trial {failed.number} failed: {reason}", style="red")))
        parts.append(_cut(Text(self._times(state), style="dim")))
        # Two lines are to spare.
        parts += self._table(state, self._console.height - len(parts) - 2)
        # Less is better than a table that scrolls: the first lines matter most. The last line is empty: what the
        # terminal writes on Ctrl-C would break a full one, and the display would not find its beginning.
        return Group(*[*parts[: max(1, self._console.height - 2)], Text("")][: max(1, self._console.height - 1)])

    def _take(self, state: SweepState) -> None:
        self._state, self._came = state, self._clock()
        keys = [parameter.key for parameter in state.space.parameters]
        others = {key for trial in state.trials[-_MOST_ROWS:] for key in trial.params} - set(keys)
        self._names = short_names([*keys, *sorted(others)])
        self._columns = self._differing.of(state)

    def _start(self) -> None:
        from rich.live import Live

        self._live = Live(
            get_renderable=self.render, console=self._console, refresh_per_second=_REFRESHES_A_SECOND, transient=True,
            vertical_overflow="crop", redirect_stderr=True,
            # What goes to a file or a pipe goes on to go there.
            redirect_stdout=sys.stdout.isatty(),
        )  # fmt: skip
        self._live.start()

    def _counts(self, progress: Progress) -> str:
        ended = counted(progress.ended, "trial") if self._budget is None else f"{progress.ended} of {self._of_budget()}"
        return f"{ended}: {progress.in_words()}"

    def _of_budget(self) -> str:
        return counted(self._budget, "trial") if self._budget is not None else "any number of trials"

    def _so_far(self, state: SweepState) -> str:
        """`6 of 10 trials: 5 done, 1 failed, 1 was interrupted and runs again`."""
        progress = Progress.of(state)
        again = progress.running
        parts = [self._counts(replace(progress, running=0))]
        if again:
            parts.append(
                "1 was interrupted and runs again" if again == 1 else f"{again} were interrupted and run again"
            )
        return ", ".join(parts)

    def _when_stopped(self, state: SweepState) -> list[str]:
        counts = self._counts(replace(Progress.of(state), running=0))
        return [f"search stopped: {counts}", *self._found(state), *self._best_params(state), f"in {state.folder}"]

    def _best_lines(self, state: SweepState) -> list[str]:
        wrapped = [
            line
            for params in self._best_params(state)
            for line in textwrap.wrap(
                params,
                max(20, self._console.width),
                subsequent_indent="  ",
                max_lines=_MOST_LINES,
                placeholder=" …",
                break_on_hyphens=False,
            )
        ]
        return [*self._found(state), *wrapped]

    def _best_params(self, state: SweepState) -> list[str]:
        return [] if state.best is None else [f"  {self._params(state.best)}"]

    def _found(self, state: SweepState) -> list[str]:
        if state.best is None:
            return ["no trial is done yet"]
        names = state.settings.metric
        found = ", ".join(f"{name} {metric_text(v)}" for name, v in zip(names, state.best.values, strict=False))
        several = f", one of {len(state.front)} on the front" if len(state.front) > 1 else ""
        return [f"best: {found} (trial {state.best.number}{several})"]

    def _times(self, state: SweepState) -> str:
        now = self._clock()
        elapsed = state.elapsed + now - self._came
        # A copy: the table is drawn in a thread of its own.
        running = {number: now - began for number, began in dict(self._began).items()}
        left = seconds_left(state, self._budget, running, elapsed)
        return f"{duration_text(elapsed)} gone" + ("" if left is None else f", about {duration_text(left)} left")

    def _table(self, state: SweepState, lines: int) -> list[RenderableType]:
        """At most so many lines of it."""
        trials = self._latest(state.trials, min(_MOST_ROWS, lines))
        while trials:
            table = trial_rows(state, trials, self._seconds, self._names, self._columns, self._console.width)
            too_many = len(trials) + lines_of_heading(table) - lines
            if too_many <= 0:
                return [table]
            trials = trials[too_many:]
        return []

    def _seconds(self, trial: Trial) -> float:
        began = self._began.get(trial.number)
        return trial.seconds if began is None else self._clock() - began

    def _latest(self, trials: tuple[Trial, ...], rows: int) -> list[Trial]:
        """What runs, and before it the last that ended."""
        if rows <= 0:
            return []
        running = [trial for trial in trials if trial.state == "running"][-rows:]
        ended = [trial for trial in trials if trial.state != "running"]
        return [*ended[max(0, len(ended) - rows + len(running)) :], *running]

    def _line(self, trial: Trial, state: SweepState) -> str:
        ended = Progress.of(state).ended
        place = f"[{ended}/{self._budget}]" if self._budget is not None else f"[{ended}]"
        if trial.known_from is not None:
            place = "[known]"  # it counts against no budget
        parts = [f"{place} trial {trial.number} {trial.state}"]
        names = state.settings.metric
        if value_of(trial) is not None:
            parts.append(", ".join(f"{name} {metric_text(v)}" for name, v in zip(names, trial.values, strict=False)))
            if state.best is not None:
                parts[-1] += f" (best {_values(state.best)}, trial {state.best.number})"
        parts.append(duration_text(trial.seconds) if trial.known_from is None else f"known from {trial.known_from}")
        if trial.reason:
            parts.append(one_line(trial.reason, _LINE_WIDTH))
        return "  ".join([*parts, self._params(trial)])

    def _params(self, trial: Trial) -> str:
        return one_line(params_text(trial.params, self._names), _LINE_WIDTH)

    def _say(self, line: str) -> None:
        from rich.text import Text

        # One line, however narrow the place: it may be a file.
        self._console.print(Text(line), soft_wrap=True)


def _values(trial: Trial) -> str:
    return ", ".join(metric_text(value) for value in trial.values)


def _cut(text: Text) -> Text:
    """On one line, whatever the width."""
    text.no_wrap, text.overflow = True, "ellipsis"
    return text
