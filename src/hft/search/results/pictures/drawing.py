"""The pictures of a sweep, PNG and one interactive page, renewed while it runs. Drawn only here, imported only then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hft.figures import save_figure
from hft.files import atomic_write
from hft.search.hooks import SweepState
from hft.search.results.ranking import is_several

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from hft.search.results.pictures.data import SweepView

PICTURES_FOLDER = "pictures"
PAGE_FILE = "index.html"

# A sweep of short trials is not held up by its pictures: not more often than this, and a small share of the time.
_SECONDS_BETWEEN = 30.0
_LARGEST_SHARE = 0.02
_DOTS_PER_INCH = 130


class SweepPictures:
    """Draws `pictures/` in the sweep folder: history, parallel_coordinates, importance, slices (.png), with several
    metrics front.png, and index.html with all of them to point at.

    A picture that cannot be drawn is said in a line and never ends a sweep.

    Args:
        say: told what could not be drawn, a line each.
        clock: seconds.
    """

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._say, self._clock = say, clock
        self._next = clock() + _SECONDS_BETWEEN
        self._said: set[str] = set()

    def draw_if_due(self, state: SweepState) -> list[Path]:
        """Draws, unless it has just done so.

        Returns:
            the files, none where it was not due.
        """
        return self.draw(state) if self._clock() >= self._next else []

    def draw(self, state: SweepState) -> list[Path]:
        """Draws all that there is material for.

        Returns:
            the files.
        """
        if not state.is_search and not any(trial.values for trial in state.trials):
            return []  # jobs that return nothing have nothing to show
        start = self._clock()
        paths = []
        for name, write in self._pictures(state):
            path = state.folder / PICTURES_FOLDER / name
            try:
                write(path)
            except Exception as error:
                # Whatever a drawing library trips over, a picture is not worth a sweep.
                self._say_once(f"{path} is not drawn: {type(error).__name__}: {error}")
            else:
                paths.append(path)
        seconds = self._clock() - start
        self._next = self._clock() + max(_SECONDS_BETWEEN, seconds / _LARGEST_SHARE)
        return paths

    def _pictures(self, state: SweepState) -> Iterator[tuple[str, Callable[[Path], None]]]:
        from hft.search.results.pictures.data import MIN_TRIALS_FOR_IMPORTANCE, SweepView, importances
        from hft.search.results.pictures.parallel_figure import draw_parallel_coordinates
        from hft.search.results.pictures.png_figures import draw_front, draw_history, draw_importance, draw_slices

        try:
            view = SweepView.of(state)
            shares = importances(view)
        except Exception as error:
            self._say_once(f"no pictures of the sweep: {type(error).__name__}: {error}")
            return
        yield "history.png", partial(_save, partial(draw_history, view))
        if view.shown and view.varying:
            yield "parallel_coordinates.png", partial(_save, partial(draw_parallel_coordinates, view))
        if view.shown and view.axes:
            yield "slices.png", partial(_save, partial(draw_slices, view))
        if view.shown and is_several(state.settings):
            yield "front.png", partial(_save, partial(draw_front, view))
        if not isinstance(shares, str):
            yield "importance.png", partial(_save, partial(draw_importance, view, shares))
        elif state.ended is not None and len(view.shown) >= MIN_TRIALS_FOR_IMPORTANCE:
            # Of a small search nobody misses it.
            self._say_once(f"no picture of the parameters' importance: {shares}")
        yield PAGE_FILE, partial(_write_page, view, shares)

    def _say_once(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            self._say(line)


def _save(draw: Callable[[], Figure], path: Path) -> None:
    from hft.search.results.pictures.figure_style import plain_texts

    with plain_texts(), atomic_write(path, mode="wb", durable=False) as file:
        save_figure(draw(), file, _DOTS_PER_INCH)


def _write_page(view: SweepView, shares: Mapping[str, float] | str, path: Path) -> None:
    from hft.search.results.pictures.html_page import page

    with atomic_write(path, durable=False) as file:
        file.write(page(view, shares))
