"""Saves figures: names and texts of data stand in them with codes for controls and for what turns letters around."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

from hft.terminal import escaped

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save_figure(figure: Figure, file: IO[bytes], dpi: int) -> None:
    """Writes a figure as PNG.

    Args:
        figure: made without pyplot: drawn by Agg, it needs no display.
        file: open for writing.
        dpi: dots per inch.
    """
    from matplotlib.text import Text
    from matplotlib.ticker import FuncFormatter

    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        formatter = axis.get_major_formatter()
        if isinstance(formatter, FuncFormatter):  # labels that were given; they are made anew when they are drawn
            axis.set_major_formatter(FuncFormatter(lambda *where, label=formatter: escaped(label(*where))))
    for text in figure.findobj(Text):
        if isinstance(text, Text) and (shown := escaped(text.get_text())) != text.get_text():
            text.set_text(shown)
    figure.savefig(file, format="png", dpi=dpi, facecolor="white")
