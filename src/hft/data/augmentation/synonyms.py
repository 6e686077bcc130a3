"""Synonyms by a table of the user's."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random
from typing import Annotated

from pydantic import Field, FilePath

from hft.data.augmentation.base import TextAugmenter
from hft.errors import DataError

_WORD = re.compile(r"\w+(?:['’-]\w+)*")


class Synonyms(TextAugmenter):
    """Puts synonyms in the place of words and phrases, by a table.

    A line of the table is `tv, television, telly`, where each stands for each, or `tv => television, telly`, where only
    the left is replaced, as Solr and OpenSearch have them. Empty lines and lines that begin with # are passed over.
    Case is not looked at; of phrases that overlap the longest counts.

    Args:
        table: the file, UTF-8.
        share: of the words and phrases found that are replaced, 0..1.

    Raises:
        DataError: a line says nothing to replace, the file is not UTF-8, or it has no line at all.
    """

    def __init__(self, table: FilePath, share: Annotated[float, Field(gt=0.0, le=1.0)] = 0.5) -> None:
        self.table = Path(table)
        self.share = share
        self._others = _read(self.table)
        self._longest = max(len(phrase) for phrase in self._others)

    def __call__(self, text: str, draw: Random) -> str:
        """See TextAugmenter."""
        words = [match.span() for match in _WORD.finditer(text)]
        keys = [text[start:end].casefold() for start, end in words]
        found, at, number = [], 0, 0
        while number < len(words):
            longest = min(self._longest, len(words) - number)
            count = next((n for n in range(longest, 0, -1) if tuple(keys[number : number + n]) in self._others), 0)
            if count and draw.random() < self.share:
                other = draw.choice(self._others[tuple(keys[number : number + count])])
                found += [text[at : words[number][0]], other]
                at = words[number + count - 1][1]
            number += max(count, 1)
        return "".join([*found, text[at:]])


def _read(table: Path) -> dict[tuple[str, ...], list[str]]:
    try:
        lines = table.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{table}: is not UTF-8 at byte {error.start}.") from error
    except OSError as error:
        raise DataError(f"{table}: cannot be read as a table of synonyms: {error.strerror}.") from error
    others: dict[tuple[str, ...], list[str]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        left, arrow, right = line.partition("=>")
        replaced, by = (_phrases(left), _phrases(right)) if arrow else (_phrases(line), _phrases(line))
        is_json = line.lstrip()[:1] in "{["
        if is_json or not replaced or not by or (not arrow and len(by) < 2):
            raise DataError(
                f"{table}:{number}: found {line.strip()!r}. Expected 'tv, television, telly' or 'tv => television'."
            )
        for phrase in replaced:
            known = others.setdefault(_key(phrase), [])
            known += [other for other in by if _key(other) != _key(phrase) and other not in known]
    others = {phrase: known for phrase, known in others.items() if phrase and known}
    if not others:
        raise DataError(f"{table}: holds no synonym. Expected lines such as 'tv, television, telly'.")
    return others


def _phrases(cell: str) -> list[str]:
    return [phrase.strip() for phrase in cell.split(",") if phrase.strip()]


def _key(phrase: str) -> tuple[str, ...]:
    return tuple(match.group().casefold() for match in _WORD.finditer(phrase))
