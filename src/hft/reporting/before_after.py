"""Before and after: one query's top results by the starting and the tuned model, relevant ones marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hft.reporting import look
from hft.reporting.numbers import format_value

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_RESULTS = 10
_QUERY_LINES = 3
_WIDTH_INCHES, _ROW_INCHES, _LINE_INCHES, _EDGE_INCHES = 11.0, 0.33, 0.24, 0.18
# The column heading stands above the first row, in rows.
_HEADING_ROWS = 1.1
_SIDE_SHARE, _GAP_SHARE, _TEXT_LEFT = 0.016, 0.016, 40.0
_POINTS = 72.0


def draw_before_after(example: Mapping[str, Any], main_metric: str) -> Figure:
    """Two columns of results, best first; one over the whole width where there is no tuned model.

    Args:
        example: a QueryExample as a dictionary.
        main_metric: what `start` and `tuned` of the example are values of.
    """
    from matplotlib.figure import Figure

    if example["tuned"] is None:
        columns = [("the model as it is", example["start"], example["before"])]
    else:
        columns = [("before", example["start"], example["before"]), ("after", example["tuned"], example["after"])]
    rows = max(min(MAX_RESULTS, len(results)) for _, _, results in columns)
    page = (1 - 2 * _SIDE_SHARE) * _WIDTH_INCHES * _POINTS
    query = look.wrap(example["query"], page, look.TITLE_SIZE, "bold", _QUERY_LINES)
    query_inches = len(query) * _LINE_INCHES + 1.5 * _EDGE_INCHES
    height = query_inches + _ROW_INCHES * (rows + _HEADING_ROWS) + _EDGE_INCHES
    figure = Figure(figsize=(_WIDTH_INCHES, height))
    figure.text(
        _SIDE_SHARE, 1 - _EDGE_INCHES / height, "\n".join(query), fontsize=look.TITLE_SIZE, fontweight="bold",
        color=look.INK, va="top", parse_math=False, fontfamily=look.families(),
    )  # fmt: skip
    width = (1 - 2 * _SIDE_SHARE - _GAP_SHARE * (len(columns) - 1)) / len(columns)
    for column, (name, value, results) in enumerate(columns):
        left = _SIDE_SHARE + column * (width + _GAP_SHARE)
        axes = figure.add_axes((left, _EDGE_INCHES / height, width, 1 - (query_inches + _EDGE_INCHES) / height))
        # One unit is a point across and a row down.
        axes.set_xlim(0, width * _WIDTH_INCHES * _POINTS)
        axes.set_ylim(rows, -_HEADING_ROWS)
        _draw_column(axes, f"{name}: {main_metric} {format_value(value)}", results[:MAX_RESULTS])
    return figure


def _draw_column(axes: Axes, heading: str, results: Sequence[Mapping[str, Any]]) -> None:
    axes.set_axis_off()
    axes.text(0, -0.6, heading, fontsize=look.TEXT_SIZE + 1, color=look.INK, va="center", parse_math=False)
    axes.text(
        axes.get_xlim()[1], -0.6, "\N{CHECK MARK} relevant", fontsize=look.SMALL_SIZE, color=look.GREEN,
        va="center", ha="right", fontfamily="DejaVu Sans",
    )  # fmt: skip
    for position, result in enumerate(results):
        _draw_result(axes, position, result)


def _draw_result(axes: Axes, position: int, result: Mapping[str, Any]) -> None:
    relevant, middle, right = result["gain"] > 0, position + 0.5, axes.get_xlim()[1]
    if relevant:
        # A band and a tick: not a colour alone.
        axes.axhspan(position + 0.04, position + 0.96, color=look.GREEN, alpha=0.16, linewidth=0)
        axes.text(
            23, middle, "\N{CHECK MARK}", fontsize=look.SMALL_SIZE, color=look.GREEN, va="center",
            fontfamily="DejaVu Sans",
        )  # fmt: skip
    number_colour = look.GREEN if relevant else look.GREY
    axes.text(17, middle, f"{position + 1}", fontsize=look.SMALL_SIZE, color=number_colour, ha="right", va="center")
    axes.text(
        _TEXT_LEFT, middle, look.fit(result["text"], right - _TEXT_LEFT - 4, look.SMALL_SIZE),
        fontsize=look.SMALL_SIZE, color=look.INK if relevant else look.GREY, va="center", parse_math=False,
        clip_on=True, fontfamily=look.families(),
    )  # fmt: skip
