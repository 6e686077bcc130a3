"""The report as pictures (PNG). matplotlib is imported only here, when they are drawn."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hft.figures import save_figure
from hft.files import atomic_write
from hft.reporting.before_after import draw_before_after
from hft.reporting.learning_curves import draw_learning_curves
from hft.reporting.look import letters_may_lack

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEARNING_CURVES_FILE = "learning_curves.png"
BEFORE_AFTER_FILE = "before_after_{number}.png"

_DOTS_PER_INCH = 150


def save_pictures(report: Mapping[str, Any], folder: Path | str) -> list[Path]:
    """Draws what the report has material for: learning curves, and a before/after for each example.

    Args:
        report: `Report.to_dict()`.
        folder: made if it is missing.

    Returns:
        The files, `learning_curves.png` and `before_after_1.png`, ...; empty where there is nothing to draw.

    Raises:
        StorageError: the system refused a write.
    """
    paths = []
    if any(report["curves"].values()):
        paths.append(_save(draw_learning_curves(report), Path(folder) / LEARNING_CURVES_FILE))
    for number, example in enumerate(report["examples"], start=1):
        figure = draw_before_after(example, report["main_metric"])
        paths.append(_save(figure, Path(folder) / BEFORE_AFTER_FILE.format(number=number)))
    return paths


def _save(figure: Figure, path: Path) -> Path:
    with letters_may_lack(), atomic_write(path, mode="wb") as file:
        save_figure(figure, file, _DOTS_PER_INCH)
    return path
