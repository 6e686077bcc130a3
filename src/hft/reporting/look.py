"""How the pictures look: colours that colour-blind readers can tell apart, sizes, fonts, quiet axes."""

from __future__ import annotations

import functools
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hft.reporting.numbers import shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# From Okabe and Ito, "Color universal design", 2008: apart under every common colour blindness.
BLUE = "#0072B2"
ORANGE = "#D55E00"
GREEN = "#009E73"
INK = "#222222"
GREY = "#6F6F6F"
PALE = "#D9D9D9"

TITLE_SIZE = 13
TEXT_SIZE = 10.5
SMALL_SIZE = 9.5

# matplotlib brings the first one; the others are asked for scripts that it lacks, where they are installed.
_FAMILIES = (
    "DejaVu Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Microsoft YaHei", "PingFang SC",
    "Hiragino Sans", "Malgun Gothic", "WenQuanYi Micro Hei", "Noto Sans Arabic", "Noto Sans Devanagari",
    "Noto Sans Thai", "Arial Unicode MS", "Noto Emoji",
)  # fmt: skip
_LONGEST_LINE = 400
# Lines are wrapped somewhat short, for some are wider than the text's mean.
_LINE_FILL = 0.9


@functools.cache
def families() -> list[str]:
    """Font families to draw users' texts with, in the order in which a missing letter is looked for."""
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    return [name for name in _FAMILIES if name in installed] or ["sans-serif"]


def fit(text: str, width: float, size: float) -> str:
    """The text on one line, cut so that it takes at most `width` points at the font size."""
    line = shorten(text, _LONGEST_LINE)
    # Letters are drawn on whole dots, which makes narrow ones a little wider than they are measured.
    width *= 0.96
    taken = _width_of(line, size)
    while taken > width and len(line) > 1:
        # Proportional, so that it takes a step or two; at least one letter, so that it ends.
        line = shorten(line, min(len(line) - 1, max(1, int(len(line) * width / taken))))
        taken = _width_of(line, size)
    return line


def wrap(text: str, width: float, size: float, weight: str, max_lines: int) -> list[str]:
    """The text on at most `max_lines` lines of at most about `width` points each, at least one line."""
    line = shorten(text, _LONGEST_LINE)
    taken = _width_of(line, size, weight)
    # By the text's own mean letter: capitals and ideographs are wider than the rest.
    letters = max(1, int(_LINE_FILL * len(line) * width / taken)) if taken else _LONGEST_LINE
    lines = textwrap.wrap(line, letters) or [""]
    if len(lines) > max_lines:
        # Not left to textwrap, which drops the whole last line where it is one word.
        lines = [*lines[: max_lines - 1], lines[max_lines - 1][: letters - 1] + "…"]
    return lines


@contextmanager
def letters_may_lack() -> Iterator[None]:
    """Within, a letter that no font has is drawn as a box without a warning for each."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        yield


def quiet_axes(axes: Axes) -> None:
    """Leaves the left and bottom line and a pale grid."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(PALE)
    axes.tick_params(colors=GREY, labelsize=SMALL_SIZE)
    axes.grid(visible=True, axis="y", color=PALE, linewidth=0.6)
    axes.set_axisbelow(True)


def _width_of(text: str, size: float, weight: str = "normal") -> float:
    """Points that the text takes on one line."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    if not text.strip():
        return 0.0
    font = FontProperties(family=families(), size=size, weight=weight)
    with letters_may_lack():
        width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width)
