"""A sweep as it runs: a table that stands still in a terminal, a line a trial everywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from hft.search.hooks import SweepHooks, SweepState
from hft.search.results.progress import Progress, budget_of, seconds_left
from hft.search.results.ranking import short_names, value_of
from hft.search.results.values_as_text import duration_text, metric_text, one_line, params_text
from hft.search.trial import Trial

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live
    from rich.table import Table
    from rich.text import Text

_MOST_ROWS = 10
# Lines of the table that are no trial: counts, bar, best, its parameters, time, heading and rule, and one to spare.
_OTHER_LINES = 8
# Narrower than this, parameters would be a letter or two.
_WIDTH_WITH_PARAMS = 60
_METRIC_WIDTH, _TIME_WIDTH = 14, 11
_REFRESHES_A_SECOND = 2
_STYLES = {"done": "green", "running": "cyan", "pruned": "yellow", "failed": "red"}
_LINE_WIDTH = 400


class LiveTable(SweepHooks):
    """Shows a sweep on stderr.

    Args:
        console: where to; None: stderr.
        clock: seconds.
    """

    def __init__(self, console: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        if console is None:
            from rich.console import Console

            console = Console(stderr=True)
        self._console, self._clock = console, clock
        self._in_place = console.is_terminal and not console.is_dumb_terminal
        self._state: SweepState | None = None
        self._budget: int | None = None
        self._names: dict[str, str] = {}
        # When the state came, and when each trial in flight began.
        self._came, self._began = clock(), dict[int, float]()
        self._live: Live | None = None

    def on_start(self, state: SweepState, *, resumed: bool) -> None:
        """Puts the table up."""
        self._budget = budget_of(state)
        self._take(state)
        if self._in_place:
            self._start()
        else:
            begins = "goes on" if resumed else "begins"
            self._say(f"search {begins}: {self._of_budget()}, {state.folder}")

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
        """Takes the table down."""
        self._take(state)
        self.stop()

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
        parts.append(_cut(Text(self._times(state), style="dim")))
        rows = min(_MOST_ROWS, self._console.height - _OTHER_LINES)
        if rows > 0 and state.trials:
            parts.append(self._table(state, rows))
        # Less is better than a table that scrolls: the first lines matter most.
        return Group(*parts[: max(1, self._console.height - 1)])

    def _take(self, state: SweepState) -> None:
        self._state, self._came = state, self._clock()
        keys = [parameter.key for parameter in state.space.parameters]
        others = {key for trial in state.trials[-_MOST_ROWS:] for key in trial.params} - set(keys)
        self._names = short_names([*keys, *sorted(others)])

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
        return f"{progress.ended} of {self._of_budget()}: {progress.in_words()}"

    def _of_budget(self) -> str:
        return f"{self._budget} trials" if self._budget is not None else "any number of trials"

    def _best_lines(self, state: SweepState) -> list[str]:
        if state.best is None:
            return ["no trial is done yet"]
        names = state.settings.metric
        found = ", ".join(f"{name} {metric_text(v)}" for name, v in zip(names, state.best.values, strict=False))
        several = f", one of {len(state.front)} on the front" if len(state.front) > 1 else ""
        return [f"best: {found} (trial {state.best.number}{several})", "  " + self._params(state.best)]

    def _times(self, state: SweepState) -> str:
        now = self._clock()
        elapsed = state.elapsed + now - self._came
        # A copy: the table is drawn in a thread of its own.
        running = {number: now - began for number, began in dict(self._began).items()}
        left = seconds_left(state, self._budget, running, elapsed)
        return f"{duration_text(elapsed)} gone" + ("" if left is None else f", about {duration_text(left)} left")

    def _table(self, state: SweepState, rows: int) -> Table:
        from rich import box
        from rich.table import Table
        from rich.text import Text

        wide = self._console.width >= _WIDTH_WITH_PARAMS
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, expand=wide)
        table.add_column("trial", justify="right", min_width=5, no_wrap=True)
        table.add_column("", min_width=7, no_wrap=True)
        for metric in state.settings.metric:
            table.add_column(
                _cut(Text(metric)), justify="right", min_width=min(len(metric), _METRIC_WIDTH), no_wrap=True
            )
        table.add_column("time", justify="right", min_width=_TIME_WIDTH, no_wrap=True)
        if wide:
            table.add_column("parameters", no_wrap=True, overflow="ellipsis", ratio=1)
        for trial in self._latest(state.trials, rows):
            cells = self._cells(trial, state)
            table.add_row(*(_cut(cell) for cell in (cells if wide else cells[:-1])))
        return table

    def _latest(self, trials: tuple[Trial, ...], rows: int) -> list[Trial]:
        """What runs, and before it the last that ended."""
        running = [trial for trial in trials if trial.state == "running"][-rows:]
        ended = [trial for trial in trials if trial.state != "running"]
        return [*ended[max(0, len(ended) - rows + len(running)) :], *running]

    def _cells(self, trial: Trial, state: SweepState) -> list[Text]:
        from rich.text import Text

        is_best = state.best is not None and state.best.number == trial.number
        began = self._began.get(trial.number)
        seconds = trial.seconds if began is None else self._clock() - began
        values = [
            "" if (value := value_of(trial, position)) is None else metric_text(value)
            for position in range(len(state.settings.metric))
        ]  # fmt: skip
        what = trial.reason if trial.state == "failed" and trial.reason else self._params(trial)
        word = "known" if trial.known_from is not None else trial.state
        return [
            Text(str(trial.number)),
            Text(word, style=_STYLES[trial.state]),
            *(Text(value, style="bold green" if is_best else "") for value in values),
            Text("" if trial.known_from is not None else duration_text(seconds)),
            Text(one_line(what, _LINE_WIDTH), style="red" if trial.state == "failed" else ""),
        ]

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
