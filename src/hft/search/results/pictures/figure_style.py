"""How the sweep's matplotlib figures look: sizes, titles, quiet axes, texts that stay on their place."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from hft.search.results.pictures.colours import GREY, INK, ORANGE, PALE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLE_SIZE, TEXT_SIZE, SMALL_SIZE = 12.5, 10.0, 8.5
STAR: dict[str, Any] = {"marker": "*", "s": 190, "color": ORANGE, "edgecolors": "white", "linewidths": 0.8, "zorder": 6}
_LETTERS_AN_INCH = 13


@contextmanager
def plain_texts() -> Iterator[None]:
    """Within, a dollar sign in a user's word begins no formula, and a letter that no font has is a silent box."""
    from matplotlib import rc_context

    with warnings.catch_warnings(), rc_context({"text.parse_math": False}):
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        yield


def titled_figure(width: float, height: float, title: str, subtitle: str) -> Figure:
    """An empty figure, in inches, with a bold title above and a sentence below."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(title, x=0.012, ha="left", fontsize=TITLE_SIZE, fontweight="bold", color=INK)
    sentence = textwrap.fill(subtitle, max(40, int(width * _LETTERS_AN_INCH)))
    figure.supxlabel(sentence, x=0.012, ha="left", fontsize=SMALL_SIZE, color=GREY)
    return figure


def quiet(axes: Axes, grid: Literal["both", "x", "y"] = "y") -> None:
    """Leaves the left and bottom line and a pale grid."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(PALE)
    axes.tick_params(colors=GREY, labelsize=SMALL_SIZE)
    axes.grid(visible=True, axis=grid, color=PALE, linewidth=0.6)
    axes.set_axisbelow(True)
