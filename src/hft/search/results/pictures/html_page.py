"""The pictures of a sweep as one interactive page that needs nothing from elsewhere: plotly's script stands in it."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hft.search.hooks import SweepState
from hft.search.results.pictures.axes import Axis, visible_range
from hft.search.results.pictures.colours import BLUE, GREY, INK, ORANGE, PALE, WORSE_TO_BETTER
from hft.search.results.pictures.data import History, SweepView
from hft.search.results.ranking import is_several
from hft.search.results.values_as_text import metric_text, one_line, value_text
from hft.search.trial import Trial
from hft.terminal import escaped_line

if TYPE_CHECKING:
    import plotly.graph_objects as go

_PANELS_A_ROW = 3
_HISTORY_PIXELS, _PARALLEL_PIXELS, _PANEL_PIXELS, _BAR_PIXELS = 380, 460, 290, 30
# Where a parameter is absent, below the axis, in shares of its length.
_ABSENT = -0.12
_HOVER_WIDTH = 60
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #222; margin: 1.5rem auto; max-width: 1280px; padding: 0 1rem }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin: 2rem 0 0 } p { margin: .3rem 0; color: #555 }
table { border-collapse: collapse; margin: .6rem 0 } td, th { text-align: left; padding: .15rem 1.2rem .15rem 0 }
"""


def page(view: SweepView, shares: Mapping[str, float] | str) -> str:
    """The page: the best, then every picture.

    Args:
        view: of the sweep.
        shares: importance by key, or in words why there is none.
    """
    from plotly.offline import get_plotlyjs

    state = view.state
    parts = [
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8>",
        f"<title>Search {_shown(state.folder.name)}</title><style>{_STYLE}</style>",
        f"<script>{get_plotlyjs()}</script></head><body>",
        f"<h1>Search {_shown(state.folder.name)}</h1>",
        _best_table(state),
        _section("History", "Point at a trial to see its parameters.", history_figure(view)),
    ]
    if view.shown and view.varying:
        parts.append(
            _section(
                "Parameters and what came of them",
                f"A line a trial, the better the darker; {view.scope()}. Drag along an axis to keep a range.",
                parallel_figure(view),
            )
        )
    if isinstance(shares, str):
        parts.append(f"<h2>Importance</h2><p>Left out: {_shown(shares)}.</p>")
    else:
        text = "Share of each parameter in whether a trial is among the best (PED-ANOVA)."
        parts.append(_section("Importance", text, importance_figure(view, shares)))
    if view.shown and view.axes:
        parts.append(
            _section("Each parameter alone", f"{view.scope(with_pruned=True)}; star: best.", slices_figure(view))
        )
    return "\n".join([*parts, "</body></html>\n"])


def history_figure(view: SweepView) -> go.Figure:
    """Trials by number, a panel a metric."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    metrics = view.state.settings.metric
    titles = [_shown(view.metric_label(metric)) for metric in range(len(metrics))]
    figure = make_subplots(rows=len(metrics), cols=1, shared_xaxes=True, subplot_titles=titles, vertical_spacing=0.12)
    for metric in range(len(metrics)):
        history = History.of(view.state, metric)
        with_values = (*history.done, *history.known, *history.pruned)
        low, high = visible_range([t.values[metric] for t in with_values] or [0.0], _sign(view, metric))
        floor = low - 0.05 * (high - low)
        best = [trial for trial in view.shown if trial.number in view.marked]
        series: tuple[tuple[str, Sequence[Trial], str, str, int], ...] = (
            ("done", history.done, "circle", BLUE, 8), ("from the record", history.known, "circle-open", BLUE, 8),
            ("pruned", (*history.pruned, *history.stopped), "triangle-down", GREY, 8),
            ("failed", history.failed, "x", INK, 8), ("best", best, "star", ORANGE, 15),
        )  # fmt: skip
        for number, steps in enumerate(history.best_so_far):
            line = go.Scatter(
                x=[step[0] for step in steps], y=[step[1] for step in steps], mode="lines", name="best so far",
                line={"color": ORANGE, "shape": "hv"}, hoverinfo="skip", showlegend=metric == number == 0,
            )  # fmt: skip
            figure.add_trace(line, row=metric + 1, col=1)
        for name, trials, symbol, colour, size in series:
            up = [min(max(t.values[metric], floor), high) if len(t.values) > metric else floor for t in trials]
            dots = _dots(
                [t.number for t in trials], up, trials, view, {"symbol": symbol, "color": colour, "size": size}
            )
            dots.update(name=name, showlegend=metric == 0 and bool(trials))
            figure.add_trace(dots, row=metric + 1, col=1)
        figure.update_yaxes(range=[low - 0.1 * (high - low), high], row=metric + 1, col=1)
    figure.update_xaxes(title_text="trial", row=len(metrics), col=1)
    return _finished(figure, _HISTORY_PIXELS * len(metrics))


def parallel_figure(view: SweepView) -> go.Figure:
    """All trials through all parameters that vary."""
    import plotly.graph_objects as go

    settings = view.state.settings
    dimensions = [_dimension(axis) for axis in view.varying]
    for metric, name in enumerate(settings.metric):
        low, high = visible_range(view.values(metric), settings.signs[metric])
        values = [min(max(value, low), high) for value in view.values(metric)]
        dimensions.append({"label": _shown(name), "values": values, "range": [low, high]})
    better_last = settings.signs[0] < 0
    colours = WORSE_TO_BETTER if better_last else WORSE_TO_BETTER[::-1]
    line = {
        "color": dimensions[len(view.varying)]["values"], "colorscale": list(colours), "showscale": True,
        "colorbar": {"title": {"text": _shown(view.metric_label(0)), "side": "right"}, "thickness": 12},
    }  # fmt: skip
    figure = go.Figure(go.Parcoords(dimensions=dimensions, line=line, labelangle=-18, labelside="top"))
    figure = _finished(figure, _PARALLEL_PIXELS)
    return figure.update_layout(margin={"t": 100, "b": 30, "l": 80, "r": 60})


def importance_figure(view: SweepView, shares: Mapping[str, float]) -> go.Figure:
    """Bars, the largest above."""
    import plotly.graph_objects as go

    names = {axis.key: axis.name for axis in view.axes}
    keys = list(shares)[::-1]
    bars = go.Bar(
        x=[shares[key] for key in keys], y=list(range(len(keys))), orientation="h", marker={"color": BLUE},
        text=[f"{shares[key]:.0%}" for key in keys], textposition="outside", hoverinfo="skip", cliponaxis=False,
    )  # fmt: skip
    figure = go.Figure(bars)
    labels = [_shown(one_line(names[key], 40)) for key in keys]
    figure.update_yaxes(tickvals=list(range(len(keys))), ticktext=labels, showgrid=False)
    figure.update_xaxes(tickformat=".0%", rangemode="tozero")
    return _finished(figure, 120 + _BAR_PIXELS * len(keys))


def slices_figure(view: SweepView) -> go.Figure:
    """A panel a parameter and metric."""
    from plotly.subplots import make_subplots

    settings = view.state.settings
    panels = [(metric, axis) for metric in range(len(settings.metric)) for axis in view.sliced]
    columns = min(_PANELS_A_ROW, len(panels))
    rows = math.ceil(len(panels) / columns)
    titles = [
        _shown(axis.name) + (f": {_shown(settings.metric[metric])}" if is_several(settings) else "")
        for metric, axis in panels
    ]  # fmt: skip
    spacing = min(0.3 / rows, 0.16)
    figure = make_subplots(rows=rows, cols=columns, subplot_titles=titles, vertical_spacing=spacing)
    for place, (metric, axis) in enumerate(panels):
        row, column = place // columns + 1, place % columns + 1
        for is_best, style in ((False, {"color": BLUE, "size": 7, "opacity": 0.6}), (True, _STAR)):
            at = [
                position for position, trial in enumerate(view.shown)
                if axis.positions[position] is not None and (trial.number in view.marked) is is_best
            ]  # fmt: skip
            trials = [view.shown[position] for position in at]
            across = [axis.positions[position] for position in at]
            dots = _dots(across, [trial.values[metric] for trial in trials], trials, view, style)
            figure.add_trace(dots.update(showlegend=False), row=row, col=column)
        low, high = view.range_of_slices(metric)
        at = [number for number, position in enumerate(axis.of_pruned) if position is not None]
        trials = [view.pruned[number] for number in at]
        up = [min(max(t.values[metric], low), high) if len(t.values) > metric else low for t in trials]
        dots = _dots([axis.of_pruned[number] for number in at], up, trials, view, _PRUNED)
        figure.add_trace(dots.update(showlegend=False), row=row, col=column)
        every = math.ceil(len(axis.ticks) / 8)
        figure.update_xaxes(
            tickvals=[tick for tick, _ in axis.ticks[::every]], row=row, col=column,
            ticktext=[_shown(text) for _, text in axis.ticks[::every]],
        )  # fmt: skip
        figure.update_yaxes(range=[low, high], row=row, col=column)
    return _finished(figure, 80 + _PANEL_PIXELS * rows)


_STAR = {"symbol": "star", "color": ORANGE, "size": 14}
_PRUNED = {"symbol": "triangle-down-open", "color": GREY, "size": 7}


def _dimension(axis: Axis) -> dict[str, Any]:
    """Of parallel coordinates: absent values stand below the axis."""
    length = axis.high - axis.low or 1.0
    absent = axis.low + _ABSENT * length
    ticks = [*([(absent, "absent")] if axis.is_conditional else []), *axis.ticks]
    return {
        "label": _shown(one_line(axis.name, 28)),
        "values": [absent if position is None else position for position in axis.positions],
        "tickvals": [place for place, _ in ticks],
        "ticktext": [_shown(text) for _, text in ticks],
        "range": [absent if axis.is_conditional else axis.low, axis.low + length],
    }


def _dots(
    across: Sequence[Any], up: Sequence[float], trials: Sequence[Trial], view: SweepView, marker: Mapping[str, Any]
) -> go.Scatter:
    import plotly.graph_objects as go

    texts = [_hover(trial, view) for trial in trials]
    return go.Scatter(
        x=list(across),
        y=list(up),
        mode="markers",
        marker=dict(marker),
        text=texts,
        hovertemplate="%{text}<extra></extra>",
    )


def _hover(trial: Trial, view: SweepView) -> str:
    values = [f"{name}: {metric_text(v)}" for name, v in zip(view.state.settings.metric, trial.values, strict=False)]
    params = [f"{key} = {value_text(value)}" for key, value in trial.params.items()]
    lines = [f"trial {trial.number}, {trial.state}", *values, *params, *([trial.reason] if trial.reason else [])]
    return "<br>".join(_shown(one_line(line, _HOVER_WIDTH)) for line in lines)


def _best_table(state: SweepState) -> str:
    if state.best is None:
        return "<p>No trial is done.</p>"
    best = state.best
    rows = [(name, metric_text(value)) for name, value in zip(state.settings.metric, best.values, strict=False)]
    rows += [(key, value_text(value)) for key, value in best.params.items()]
    cells = "".join(f"<tr><td>{_shown(key)}</td><td>{_shown(value)}</td></tr>" for key, value in rows)
    several = f"one of {len(state.front)} that no other beats in everything" if len(state.front) > 1 else "the best"
    return f"<table><tr><th>trial {best.number}</th><th>{several}</th></tr>{cells}</table>"


def _section(title: str, text: str, figure: go.Figure) -> str:
    drawn = figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        config={"displaylogo": False, "responsive": True},
        include_mathjax=False,
    )
    return f"<h2>{_shown(title)}</h2><p>{_shown(text)}</p>{drawn}"


def _finished(figure: go.Figure, height: int) -> go.Figure:
    figure.update_layout(
        height=height, template="plotly_white", margin={"t": 50, "b": 50, "l": 60, "r": 30},
        font={"color": INK, "size": 12}, legend={"orientation": "h", "y": -0.2},
    )  # fmt: skip
    figure.update_xaxes(gridcolor=PALE, zeroline=False, automargin=True)
    figure.update_yaxes(gridcolor=PALE, zeroline=False, automargin=True)
    return figure


def _shown(text: str) -> str:
    """Text of configs and trials for HTML."""
    return html.escape(escaped_line(text))


def _sign(view: SweepView, metric: int) -> float:
    return view.state.settings.signs[metric]
