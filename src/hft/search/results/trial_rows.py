"""The trials of the live table, a row each: a column a parameter where they fit, else one for all that differ."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from hft.search.hooks import SweepState
from hft.search.results.ranking import value_of
from hft.search.results.values_as_text import duration_text, metric_text, one_line, params_text, value_text, wrapped
from hft.search.trial import Trial

if TYPE_CHECKING:
    from rich.table import Table

# Narrower than this, parameters would be a letter or two.
_WIDTH_WITH_PARAMS = 60
_METRIC_WIDTH, _TIME_WIDTH, _VALUE_WIDTH, _LINE_WIDTH = 7, 9, 22, 400
# The fewer lines the headings take, the better, as long as the table fits.
_HEADING_WIDTHS = (22, 12, 8)
_NO_EDGE = 10_000
_STYLES = {"done": "green", "running": "cyan", "pruned": "yellow", "failed": "red"}


def trial_rows(
    state: SweepState,
    trials: Sequence[Trial],
    seconds: Callable[[Trial], float],
    names: dict[str, str],
    differing: Sequence[str],
    width: int,
) -> Table:
    """The table.

    Args:
        state: of the sweep.
        trials: a row each.
        seconds: that a trial has run.
        names: of the parameters, as the table calls them.
        differing: keys in which the trials of the sweep differ; others are left out.
        width: of the terminal, in characters.
    """
    from hft.consoles import Console

    if width < _WIDTH_WITH_PARAMS:
        return _table(state, trials, seconds, [])
    cells = {key: [_value(trial, key) for trial in trials] for key in differing}
    for heading_width in _HEADING_WIDTHS:
        columns = [(_heading(names.get(key, key), values, heading_width), values) for key, values in cells.items()]
        table = _table(state, trials, seconds, columns)
        if Console(width=_NO_EDGE).measure(table).maximum <= width:
            return table
    of = [{key: trial.params[key] for key in differing if key in trial.params} for trial in trials]
    table = _table(state, trials, seconds, [("parameters", [one_line(params_text(p, names), _LINE_WIDTH) for p in of])])
    table.columns[-1].ratio, table.expand = 1, True
    return table


def lines_of_heading(table: Table) -> int:
    """How many lines stand above the first row."""
    return 1 + max((str(column.header).count("\n") + 1 for column in table.columns), default=1)


def _table(
    state: SweepState,
    trials: Sequence[Trial],
    seconds: Callable[[Trial], float],
    columns: Sequence[tuple[str, Sequence[str]]],
) -> Table:
    """Number, state, values, time, and more columns, a heading and cells each."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("trial", justify="right", min_width=5, no_wrap=True)
    table.add_column("", min_width=7, no_wrap=True)
    for metric in state.settings.metric:
        # Text, here and below: a user's word is no markup.
        name = Text(wrapped(one_line(metric, _LINE_WIDTH), _HEADING_WIDTHS[1]))
        table.add_column(name, justify="right", min_width=_METRIC_WIDTH, no_wrap=True)
    table.add_column("time", justify="right", min_width=_TIME_WIDTH, no_wrap=True)
    for heading, _ in columns:
        table.add_column(Text(heading), no_wrap=True, overflow="ellipsis")
    for row, trial in enumerate(trials):
        style = "bold green" if state.best is not None and state.best.number == trial.number else ""
        found = [value_of(trial, position) for position in range(len(state.settings.metric))]
        known = trial.known_from is not None
        table.add_row(
            str(trial.number),
            Text("known" if known else trial.state, style=_STYLES[trial.state]),
            *(Text("" if value is None else metric_text(value), style=style) for value in found),
            "" if known else duration_text(seconds(trial)),
            *(Text(cells[row]) for _, cells in columns),
        )
    return table


def _heading(name: str, cells: Sequence[str], width: int) -> str:
    """A parameter's name on lines as wide as the cells or `width`, no word of it cut that is not very long."""
    name = one_line(name, _LINE_WIDTH)
    longest = max(map(len, [*re.findall(r"[^_./ ]+[_./]?", name), *cells]), default=0)
    return wrapped(name, max(width, min(longest, _VALUE_WIDTH)))


def _value(trial: Trial, key: str) -> str:
    return one_line(value_text(trial.params[key]), _VALUE_WIDTH) if key in trial.params else ""
