"""All trials at once: parallel coordinates as a matplotlib figure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hft.search.results.pictures.axes import Axis, linear_ticks, visible_range
from hft.search.results.pictures.colours import INK, ORANGE, WORSE_TO_BETTER
from hft.search.results.pictures.data import SweepView
from hft.search.results.pictures.figure_style import SMALL_SIZE, titled_figure
from hft.search.results.ranking import wanted
from hft.search.results.values_as_text import number_text, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

# Where a parameter is absent, below the axis, in shares of its length.
_ABSENT = -0.12


def draw_parallel_coordinates(view: SweepView) -> Figure:
    """A line a trial through all its parameters to its value, the better the darker; the best is thick."""
    parameters = view.varying
    settings = view.state.settings
    n_axes = len(parameters) + len(settings.metric)
    subtitle = f"{view.scope()}; darker: better; orange: best"
    figure = titled_figure(max(8.5, 1.55 * n_axes), 5.4, "Parameters and what came of them", subtitle)
    axes = figure.subplots()
    axes.set_axis_off()
    ranges = [visible_range(view.values(metric), settings.signs[metric]) for metric in range(len(settings.metric))]
    shades = _shades(view, ranges[0])
    colours = _colour_map()
    order = sorted(range(len(view.shown)), key=lambda row: (view.shown[row].number in view.marked, shades[row]))
    for row in order:
        marked = view.shown[row].number in view.marked
        heights = [_height(axis, row) for axis in parameters]
        heights += [
            min(max((view.shown[row].values[metric] - low) / (high - low), 0.0), 1.0)
            for metric, (low, high) in enumerate(ranges)
        ]  # fmt: skip
        colour, width = (ORANGE, 2.6) if marked else (colours(shades[row]), 1.1)
        axes.plot(range(n_axes), heights, color=colour, linewidth=width, alpha=1.0 if marked else 0.8)
    for place, axis in enumerate(parameters):
        ticks = [(_share(axis, tick), text) for tick, text in axis.ticks]
        _draw_upright(axes, place, axis.name, ticks, absent=axis.is_conditional)
    for metric, (low, high) in enumerate(ranges):
        ticks = [((tick - low) / (high - low), number_text(tick)) for tick in linear_ticks(low, high)]
        name = f"{settings.metric[metric]}\n{wanted(settings.direction[metric])}"
        _draw_upright(axes, len(parameters) + metric, name, ticks, absent=False, bold=True)
    axes.set_xlim(-0.35, n_axes - 0.2)
    axes.set_ylim(_ABSENT - 0.06 if any(axis.is_conditional for axis in parameters) else -0.04, 1.17)
    return figure


def _draw_upright(
    axes: Axes, place: int, name: str, ticks: Sequence[tuple[float, str]], *, absent: bool, bold: bool = False
) -> None:
    axes.plot([place, place], [0, 1], color=INK, linewidth=1.0, zorder=4)
    title = "\n".join(wrapped(part, 17) for part in name.split("\n"))
    axes.text(
        place, 1.045, title, ha="center", va="bottom", fontsize=SMALL_SIZE + 0.5, color=INK,
        fontweight="bold" if bold else "normal",
    )  # fmt: skip
    every = math.ceil(len(ticks) / 16)
    for height, text in [*ticks[::every], *([(_ABSENT, "absent")] if absent else [])]:
        axes.plot([place - 0.02, place + 0.02], [height, height], color=INK, linewidth=1.0, zorder=4)
        axes.text(
            place + 0.05, height, text, fontsize=SMALL_SIZE - 0.5, va="center", color=INK, zorder=5,
            bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.6},
        )  # fmt: skip


def _height(axis: Axis, row: int) -> float:
    position = axis.positions[row]
    return _ABSENT if position is None else _share(axis, position)


def _share(axis: Axis, position: float) -> float:
    return (position - axis.low) / (axis.high - axis.low) if axis.high > axis.low else 0.5


def _shades(view: SweepView, ends: tuple[float, float]) -> list[float]:
    """0 for the worst that is shown to 1 for the best, by the first metric."""
    (low, high), sign = ends, view.state.settings.signs[0]
    shares = [min(max((value - low) / (high - low), 0.0), 1.0) for value in view.values(0)]
    return [1.0 - share if sign > 0 else share for share in shares]


def _colour_map() -> Colormap:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("worse_to_better", WORSE_TO_BETTER)
