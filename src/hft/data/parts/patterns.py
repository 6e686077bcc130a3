"""Parts at a separator, or where a regular expression matches."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field

from hft.data.parts.base import ItemSplitter
from hft.errors import ConfigError


class SeparatorSplitter(ItemSplitter):
    """Parts between separators.

    Args:
        separator: a text; the default is an empty line.
        max_parts: the most of an item; None: all.
    """

    def __init__(
        self,
        separator: Annotated[str, Field(min_length=1)] = "\n\n",
        max_parts: Annotated[int, Field(ge=1)] | None = None,
    ) -> None:
        super().__init__(max_parts)
        self.separator = separator

    def parts_of(self, text: str) -> list[str]:
        """See ItemSplitter."""
        return text.split(self.separator)


class RegexSplitter(ItemSplitter):
    """Parts between the matches of a regular expression, or the matches themselves.

    Args:
        pattern: as Python's `re` has it; `^` and `$` are the ends of lines.
        keep: `between` the matches (what matches is lost, so let it match the separator only: `(?=^# )` loses nothing),
            or the `matches`.
        max_parts: the most of an item; None: all.

    Raises:
        ConfigError: the pattern is no regular expression.
    """

    def __init__(
        self,
        pattern: Annotated[str, Field(min_length=1)],
        keep: Literal["between", "matches"] = "between",
        max_parts: Annotated[int, Field(ge=1)] | None = None,
    ) -> None:
        super().__init__(max_parts)
        try:
            self.pattern = re.compile(pattern, re.MULTILINE)
        except re.error as error:
            raise ConfigError(
                f"data.item_splitter.pattern: {pattern!r} is no regular expression: {error}. Mend it; a backslash in "
                "double quotes is doubled."
            ) from error
        self.keep = keep

    def parts_of(self, text: str) -> list[str]:
        """See ItemSplitter."""
        spans = [match.span() for match in self.pattern.finditer(text)]
        if self.keep == "matches":
            return [text[start:end] for start, end in spans]
        ends = [0, *(edge for span in spans for edge in span), len(text)]
        return [text[start:end] for start, end in zip(ends[::2], ends[1::2], strict=True)]
