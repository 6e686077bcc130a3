"""The console of every table and line that hft shows: no markup in texts, and nothing that a terminal would obey."""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO, Any

from rich.console import Console as RichConsole
from rich.console import ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from hft.terminal import escaped, own_stream


class Console(RichConsole):
    """A console of rich to which `[red]` in a name is a name."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"markup": False, "highlight": False, "emoji": False, **options})

    @property
    def file(self) -> IO[str]:
        """Where it writes; not through what escapes its colours too."""
        stream: IO[str] = own_stream(super().file)
        return stream

    @file.setter
    def file(self, new_file: IO[str]) -> None:
        self._file = new_file

    def render_str(self, text: str, **options: Any) -> Text:
        """A plain text, escaped before anybody measures it."""
        return super().render_str(escaped(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Segments of text, escaped; rich's own controls as they are."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(escaped(segment.text), segment.style)
