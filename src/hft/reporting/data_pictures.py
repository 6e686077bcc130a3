"""What a log looks like, as pictures (PNG). matplotlib is imported only here, when they are drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hft.figures import save_figure
from hft.files import atomic_write
from hft.reporting import look

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POSITIONS_FILE = "events_by_position.png"
SESSIONS_FILE = "sessions.png"
LENGTHS_FILE = "lengths.png"
TIME_FILE = "time.png"

_DOTS_PER_INCH = 150
_PANEL_INCHES = (4.3, 3.2)


def save_data_pictures(found: Mapping[str, Any], folder: Path | str) -> list[Path]:
    """Draws the events by position, the sizes of sessions, the lengths of texts, and the sessions over time.

    Args:
        found: as hft.data.describe_data gives it.
        folder: made if it is missing.

    Returns:
        The files; what the data does not tell (no timestamp) has none.

    Raises:
        StorageError: the system refused a write.
    """
    sizes = {
        "results a session": found["results"],
        "events a session": found["events"]["a_session"],
        "sessions a query": found["queries"]["sessions_a_query"],
    }
    if found["users"] is not None:
        sizes["sessions a user"] = found["users"]["sessions_a_user"]
    lengths = {
        f"{unit} {'a query' if side == 'queries' else 'an item'}": found["lengths"][side][unit]
        for side in ("queries", "items")
        for unit in ("words", "tokens")
    }
    figures: dict[str, Figure] = {}
    if found["positions"]:
        figures[POSITIONS_FILE] = _figure([lambda axes: _draw_positions(axes, found["positions"])], width=1.9)
    figures[SESSIONS_FILE] = _figure([_histogram(name, values, look.BLUE) for name, values in sizes.items()])
    figures[LENGTHS_FILE] = _figure([_histogram(name, values, look.GREEN) for name, values in lengths.items()])
    if found["time"] is not None and len(found["time"]["sessions"]) > 1:
        figures[TIME_FILE] = _figure([lambda axes: _draw_time(axes, found["time"])], width=1.9)
    return [_save(figure, Path(folder) / name) for name, figure in figures.items()]


def _figure(panels: Sequence[Callable[[Axes], None]], width: float = 1.0) -> Figure:
    from matplotlib.figure import Figure

    columns = min(len(panels), 2)
    rows = -(-len(panels) // columns)
    size = (_PANEL_INCHES[0] * columns * width, _PANEL_INCHES[1] * rows)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for place, panel in zip(axes, panels, strict=False):
        panel(place)
    for place in axes[len(panels) :]:
        place.set_axis_off()
    return figure


def _draw_positions(axes: Axes, positions: Sequence[Mapping[str, float]]) -> None:
    look.quiet_axes(axes)
    places = [found["position"] for found in positions]
    axes.bar(places, [found["rate"] for found in positions], color=look.BLUE, width=0.8)
    axes.set_title("share of results with an event, by position", fontsize=look.TEXT_SIZE, color=look.INK, loc="left")
    axes.set_xlabel("position in the list", fontsize=look.SMALL_SIZE, color=look.GREY)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")


def _histogram(name: str, values: Mapping[str, Any], colour: str) -> Callable[[Axes], None]:
    from matplotlib.ticker import MaxNLocator

    def draw(axes: Axes) -> None:
        look.quiet_axes(axes)
        axes.set_title(name, fontsize=look.TEXT_SIZE, color=look.INK, loc="left")
        if not values["counts"]:
            axes.text(0.5, 0.5, "none", transform=axes.transAxes, ha="center", color=look.GREY)
            return
        widths = [end - start for start, end in zip(values["edges"], values["edges"][1:], strict=False)]
        # A bar of one whole number stands over it.
        shift = 0.5 if widths[0] == 1 else 0.0
        lefts = [edge - shift for edge in values["edges"][:-1]]
        axes.bar(lefts, values["counts"], width=widths, align="edge", color=colour, edgecolor="white", linewidth=0.4)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        axes.axvline(values["median"], color=look.ORANGE, linewidth=1.4)
        above = f", up to {values['max']:,.0f}" if values["max"] > values["edges"][-1] else ""
        axes.set_xlabel(f"median {values['median']:,.4g}{above}", fontsize=look.SMALL_SIZE, color=look.GREY)

    return draw


def _draw_time(axes: Axes, time: Mapping[str, Any]) -> None:
    look.quiet_axes(axes)
    days, counts = zip(*time["sessions"], strict=True)
    axes.bar(range(len(days)), counts, color=look.BLUE, width=0.8)
    step = max(1, len(days) // 6)
    axes.set_xticks(range(0, len(days), step), days[::step])
    each = "day" if time["days_a_bin"] == 1 else f"{time['days_a_bin']:g} days"
    axes.set_title(f"sessions by {each}", fontsize=look.TEXT_SIZE, color=look.INK, loc="left")


def _save(figure: Figure, path: Path) -> Path:
    with look.letters_may_lack(), atomic_write(path, mode="wb") as file:
        save_figure(figure, file, _DOTS_PER_INCH)
    return path
