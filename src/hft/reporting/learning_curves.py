"""Learning curves: loss and main metric of train and validation over the steps, the verdict as title."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hft.reporting import look

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TITLE_WIDTH = 92
# Losses of single steps jump about; a mean over this share of them shows where they go.
_SMOOTHING_SHARE = 0.05
_SIZE_INCHES = (9.5, 4.6)

Curve = Sequence[Sequence[float]]


def draw_learning_curves(report: Mapping[str, Any]) -> Figure:
    """Loss on the left, the main metric on the right, validation's best marked, `verdict` above.

    Args:
        report: `Report.to_dict()`; of its curves `train_loss`, `validation_loss`, and `train_` and
            `validation_` + main metric are drawn, as far as they are there.
    """
    from matplotlib.figure import Figure

    metric, curves = report["main_metric"], report["curves"]
    figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
    losses, metrics = figure.subplots(1, 2)
    figure.suptitle(
        textwrap.fill(_sentence(report["verdict"] or "learning curves"), _TITLE_WIDTH),
        fontsize=look.TITLE_SIZE - 1,
        color=look.INK,
        x=0.012,
        ha="left",
        fontweight="bold",
    )
    _draw_losses(losses, curves)
    _draw_metric(metrics, curves, metric, report["direction"])
    return figure


def _draw_losses(axes: Axes, curves: Mapping[str, Curve]) -> None:
    train, validation = curves.get("train_loss", ()), curves.get("validation_loss", ())
    if train:
        steps, values = _columns(train)
        window = max(1, round(len(values) * _SMOOTHING_SHARE))
        if window > 1:
            axes.plot(steps, values, color=look.BLUE, alpha=0.25, linewidth=0.8)
        axes.plot(steps, _trailing_mean(values, window), color=look.BLUE, linewidth=2, label="train")
    if validation:
        axes.plot(*_columns(validation), color=look.ORANGE, linewidth=2, marker="o", markersize=4, label="validation")
    _finish(axes, "loss (lower is better)", empty=not train and not validation)


def _draw_metric(axes: Axes, curves: Mapping[str, Curve], metric: str, direction: str) -> None:
    train, validation = curves.get(f"train_{metric}", ()), curves.get(f"validation_{metric}", ())
    if train:
        axes.plot(*_columns(train), color=look.BLUE, linewidth=2, marker="s", markersize=4, label="train")
    if validation:
        steps, values = _columns(validation)
        axes.plot(steps, values, color=look.ORANGE, linewidth=2, marker="o", markersize=4, label="validation")
        best = (max if direction == "maximize" else min)(range(len(values)), key=values.__getitem__)
        axes.plot(
            steps[best], values[best], marker="*", markersize=15, color=look.ORANGE, linestyle="none",
            markeredgecolor="white", label=f"best: {values[best]:.3f} at step {steps[best]:g}", zorder=5,
        )  # fmt: skip
    wanted = "higher" if direction == "maximize" else "lower"
    _finish(axes, f"{metric} ({wanted} is better)", empty=not train and not validation)


def _finish(axes: Axes, title: str, *, empty: bool) -> None:
    from matplotlib.ticker import MaxNLocator

    look.quiet_axes(axes)
    axes.set_title(title, fontsize=look.TEXT_SIZE, color=look.INK, loc="left")
    axes.set_xlabel("optimizer step", fontsize=look.SMALL_SIZE, color=look.GREY)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axes.margins(y=0.12)
    if empty:
        axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", color=look.GREY)
        return
    # Below the axes it can hide no curve.
    axes.legend(
        frameon=False, fontsize=look.SMALL_SIZE, labelcolor=look.INK, ncols=3, loc="upper left",
        bbox_to_anchor=(-0.02, -0.13), handlelength=1.6, columnspacing=1.4,
    )  # fmt: skip


def _columns(curve: Curve) -> tuple[list[float], list[float]]:
    return [point[0] for point in curve], [point[1] for point in curve]


def _trailing_mean(values: Sequence[float], window: int) -> list[float]:
    means, total = [], 0.0
    for position, value in enumerate(values):
        total += value
        if position >= window:
            total -= values[position - window]
        means.append(total / min(position + 1, window))
    return means


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
