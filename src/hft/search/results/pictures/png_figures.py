"""The pictures of a sweep as matplotlib figures: history, importance, slices, and the front of several metrics."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hft.search.results.pictures.axes import Axis, visible_range
from hft.search.results.pictures.colours import BLUE, GREY, INK, ORANGE
from hft.search.results.pictures.data import History, SweepView
from hft.search.results.pictures.figure_style import SMALL_SIZE, STAR, TEXT_SIZE, quiet, titled_figure
from hft.search.results.ranking import wanted
from hft.search.results.values_as_text import wrapped
from hft.search.trial import Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PANEL_INCHES, _PANELS_A_ROW = (3.1, 2.7), 4
# Dots of a choice are spread sideways, the same at each drawing: a share of the panel that leaves them on their tick.
_SPREAD = 0.012
_PRUNED: dict[str, Any] = {"s": 24, "marker": "v", "facecolors": "none", "edgecolors": GREY, "linewidths": 1.0}


def draw_history(view: SweepView) -> Figure:
    """Trials by number (a panel a metric): values, the best so far, pruned and failed ones."""
    metrics = view.state.settings.metric
    counts = {name: sum(trial.state == name for trial in view.state.trials) for name in ("done", "pruned", "failed")}
    subtitle = ", ".join(f"{count} {name}" for name, count in counts.items())
    if len({trial.stage for trial in view.state.trials}) > 1:
        subtitle += "; dashed: a new stage, whose values do not compare with those before"
    figure = titled_figure(9.5, 1.2 + 3.6 * len(metrics), "History of the search", subtitle)
    for metric, axes in enumerate(figure.subplots(len(metrics), 1, squeeze=False)[:, 0]):
        _draw_history(axes, view, metric)
    return figure


def _draw_history(axes: Axes, view: SweepView, metric: int) -> None:
    history = History.of(view.state, metric)
    with_values = (*history.done, *history.known, *history.pruned)
    values = [trial.values[metric] for trial in with_values] or [0.0]
    low, high = visible_range(values, view.state.settings.signs[metric])

    def dots(trials: tuple[Trial, ...], **style: Any) -> None:
        inside = [trial for trial in trials if low <= trial.values[metric] <= high]
        if inside:
            up = [trial.values[metric] for trial in inside]
            axes.scatter([trial.number for trial in inside], up, clip_on=False, **style)

    dots(history.done, label="done", s=30, color=BLUE, alpha=0.65, linewidths=0)
    dots(history.known, label="from the record", s=34, facecolors="white", edgecolors=BLUE, zorder=3)
    dots(history.pruned, label="pruned (last report)", s=30, marker="v", color=GREY, alpha=0.8, linewidths=0)
    for steps in history.best_so_far:
        axes.step(*zip(*steps, strict=True), where="post", color=ORANGE, linewidth=1.8, zorder=2, label="best so far")
        if steps is not history.best_so_far[0]:
            axes.axvline(steps[0][0] - 0.5, color=GREY, linestyle="--", linewidth=1)
    dots(tuple(trial for trial in view.shown if trial.number in view.marked), label="best", **STAR)
    # Above the marks of failed trials.
    _mark_beyond(axes, [(trial.number, trial.values[metric]) for trial in with_values], (low, high), floor=0.1)
    # At the lower edge, whatever the values are.
    for trials, marker, label in ((history.stopped, "v", "pruned"), (history.failed, "x", "failed")):
        if trials:
            axes.scatter(
                [trial.number for trial in trials], [0.025] * len(trials), transform=axes.get_xaxis_transform(),
                marker=marker, s=34, color=INK if marker == "x" else GREY, label=label, zorder=5,
            )  # fmt: skip
    _finish_history(axes, view, metric, (low, high))


def _mark_beyond(
    axes: Axes, points: Sequence[tuple[float, float]], ends: tuple[float, float], floor: float = 0.03
) -> None:
    """Arrows at the edge for what lies beyond it; `floor`: of the lower edge's, in shares of the height."""
    from matplotlib.markers import CARETDOWN, CARETUP, MarkerStyle

    low, high = ends
    below = [across for across, up in points if up < low]
    above = [across for across, up in points if up > high]
    for across, edge, marker in ((below, floor, CARETDOWN), (above, 0.985, CARETUP)):
        if across:
            axes.scatter(
                across, [edge] * len(across), transform=axes.get_xaxis_transform(), marker=MarkerStyle(marker), s=42,
                color=BLUE, linewidths=0, label="beyond the edge", clip_on=False, zorder=5,
            )  # fmt: skip


def _finish_history(axes: Axes, view: SweepView, metric: int, ends: tuple[float, float]) -> None:
    from matplotlib.ticker import MaxNLocator

    quiet(axes)
    low, high = ends
    # Room below for the marks of failed trials.
    axes.set_ylim(low - 0.08 * (high - low), high)
    last = max((trial.number for trial in view.state.trials), default=0)
    axes.set_xlim(-0.6, max(last, 1) + 0.6)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=12, integer=True))
    axes.set_xlabel("trial", fontsize=SMALL_SIZE, color=GREY)
    axes.set_title(view.metric_label(metric), fontsize=TEXT_SIZE, color=INK, loc="left")
    handles, labels = axes.get_legend_handles_labels()
    # One entry for the lines of all stages.
    entries = dict(zip(labels, handles, strict=True))
    axes.legend(
        list(entries.values()), list(entries), frameon=False, fontsize=SMALL_SIZE, labelcolor=INK, ncols=7,
        loc="lower right", bbox_to_anchor=(1.0, 1.0), handletextpad=0.3, columnspacing=0.9, borderaxespad=0.1,
    )  # fmt: skip


def draw_importance(view: SweepView, shares: Mapping[str, float]) -> Figure:
    """Bars, the largest above."""
    names = {axis.key: axis.name for axis in view.axes}
    height = 1.5 + 0.34 * len(shares)
    figure = titled_figure(7.5, height, "How much each parameter decides", view.scope())
    axes = figure.subplots()
    keys = list(shares)[::-1]
    # By place: two parameters may be called alike once they are wrapped.
    bars = axes.barh(range(len(keys)), [shares[key] for key in keys], color=BLUE, height=0.62)
    axes.set_yticks(range(len(keys)), [wrapped(names[key], 28) for key in keys])
    axes.bar_label(bars, [f"{shares[key]:.0%}" for key in keys], padding=4, fontsize=SMALL_SIZE, color=INK)
    quiet(axes, grid="x")
    axes.set_xlim(0, max(1e-9, *shares.values()) * 1.15)
    axes.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axes.set_xlabel("share in whether a trial is among the best (PED-ANOVA)", fontsize=SMALL_SIZE, color=GREY)
    axes.tick_params(axis="y", labelcolor=INK, length=0)
    return figure


def draw_slices(view: SweepView) -> Figure:
    """A panel a parameter (a row of panels a metric, with several): its value across, the metric up."""
    names, directions = view.state.settings.metric, view.state.settings.direction
    metrics = range(len(names))
    panels = [(metric, axis) for metric in metrics for axis in view.sliced]
    columns = min(_PANELS_A_ROW, max(2, len(view.sliced)))
    rows = math.ceil(len(panels) / columns)
    width, height = _PANEL_INCHES
    figure = titled_figure(
        columns * width,
        rows * height + 0.9,
        "Each parameter alone",
        view.scope(with_pruned=True) + "; star: best; arrow: beyond the edge",
    )
    grid = figure.subplots(rows, columns, squeeze=False)
    for place, panel in enumerate(grid.flat):
        if place >= len(panels):
            panel.set_axis_off()
            continue
        metric, axis = panels[place]
        _draw_slice(panel, view, axis, metric)
        panel.set_ylabel(f"{names[metric]}\n{wanted(directions[metric])}", fontsize=SMALL_SIZE, color=GREY)
    return figure


def _draw_slice(axes: Axes, view: SweepView, axis: Axis, metric: int) -> None:
    values = view.values(metric)
    pruned = [
        (_spread(axis, len(view.shown) + row, position), trial.values[metric] if len(trial.values) > metric else None)
        for row, (trial, position) in enumerate(zip(view.pruned, axis.of_pruned, strict=True))
        if position is not None
    ]  # fmt: skip
    low, high = view.range_of_slices(metric)
    inside = [(across, up) for across, up in pruned if up is not None and low <= up <= high]
    if inside:
        axes.scatter([across for across, _ in inside], [up for _, up in inside], **_PRUNED)
    _mark_pruned_beyond(axes, pruned, (low, high))
    for best in (False, True):
        rows = [
            row for row, trial in enumerate(view.shown)
            if axis.positions[row] is not None and (trial.number in view.marked) is best
        ]  # fmt: skip
        across = [_spread(axis, row, axis.positions[row]) for row in rows]
        up = [values[row] for row in rows]
        axes.scatter(across, up, **(STAR if best else {"s": 24, "color": BLUE, "alpha": 0.55, "linewidths": 0}))
        _mark_beyond(axes, list(zip(across, up, strict=True)), (low, high))
    quiet(axes)
    axes.set_ylim(low, high)
    room = 0.5 if axis.kind == "choice" else 0.04 * (axis.high - axis.low) or 0.5
    axes.set_xlim(axis.low - room, axis.ticks[-1][0] + room if axis.kind == "choice" else axis.high + room)
    _mark_across(axes, axis)
    title = axis.name + (" (where present)" if axis.is_conditional else "")
    axes.set_title(wrapped(title, 34), fontsize=TEXT_SIZE, color=INK, loc="left")


def _mark_across(axes: Axes, axis: Axis) -> None:
    """Ticks of a slice; long words stand askew, and of very many only some are written."""
    every = math.ceil(len(axis.ticks) / 12)
    ticks = axis.ticks[::every]
    axes.set_xticks([place for place, _ in ticks], [text for _, text in ticks])
    letters = sum(len(text) + 1 for _, text in ticks)
    if letters > 34:
        for label in axes.get_xticklabels():
            label.set(rotation=30, ha="right", rotation_mode="anchor")
    axes.minorticks_off()


def _mark_pruned_beyond(axes: Axes, points: Sequence[tuple[float, float | None]], ends: tuple[float, float]) -> None:
    """Grey marks at the edge for pruned trials that reported nothing, or what lies beyond it."""
    low, high = ends
    for edge, across in (
        (0.02, [across for across, up in points if up is None or up < low]),
        (0.98, [across for across, up in points if up is not None and up > high]),
    ):
        if across:
            axes.scatter(across, [edge] * len(across), transform=axes.get_xaxis_transform(), clip_on=False, **_PRUNED)


def _spread(axis: Axis, row: int, position: float | None) -> float:
    assert position is not None
    if axis.kind != "choice":
        return position
    # The golden ratio's multiples fill an interval evenly in any number.
    return position + (((row + 1) * 0.618034) % 1.0 - 0.5) * 2 * _SPREAD * (axis.high - axis.low + 1.0)


def draw_front(view: SweepView) -> Figure:
    """A panel a pair of metrics; trials that no other beats in everything are stars."""
    settings = view.state.settings
    pairs = list(itertools.combinations(range(len(settings.metric)), 2))
    columns = min(3, len(pairs))
    rows = math.ceil(len(pairs) / columns)
    subtitle = view.scope() + "; star: no other trial is better in everything"
    figure = titled_figure(max(6.5, 4.6 * columns), 4.2 * rows + 0.8, "The metrics against each other", subtitle)
    grid = figure.subplots(rows, columns, squeeze=False)
    for place, axes in enumerate(grid.flat):
        if place >= len(pairs):
            axes.set_axis_off()
            continue
        pair = pairs[place]
        for best in (False, True):
            chosen = [trial.values for trial in view.shown if (trial.number in view.marked) is best]
            style = STAR if best else {"s": 30, "color": BLUE, "alpha": 0.55, "linewidths": 0}
            axes.scatter([v[pair[0]] for v in chosen], [v[pair[1]] for v in chosen], **style)
        quiet(axes, grid="both")
        axes.set_xlabel(view.metric_label(pair[0]), fontsize=TEXT_SIZE, color=INK)
        axes.set_ylabel(view.metric_label(pair[1]), fontsize=TEXT_SIZE, color=INK)
    return figure
