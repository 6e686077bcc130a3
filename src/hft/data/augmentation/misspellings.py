"""Slips of the fingers, by the keyboard of the script that a word is written in."""

from __future__ import annotations

import re
from random import Random
from typing import Annotated, Literal

import regex
from pydantic import Field

from hft.data.augmentation.base import TextAugmenter

Slip = Literal["neighbour", "swap", "drop", "double"]

_GRAPHEME = regex.compile(r"\X")
_WORD = re.compile(r"\S+")
# Rows of letter keys, from the top, as they lie above each other; a blank is a key of something else.
_KEYBOARDS = {
    "latin": ("qwertyuiop", "asdfghjkl", "zxcvbnm"),
    "cyrillic": ("йцукенгшщзхъ", "фывапролджэ", "ячсмитьбю"),
    "greek": (" ςερτυθιοπ", "ασδφγηξκλ", "ζχψωβνμ"),
    "hebrew": ("  קראטוןםפ", "שדגכעיחלךף", "זסבהנמצתץ"),
    "arabic": ("ضصثقفغعهخحجد", "شسيبلاتنمكط", "ئءؤرىةوزظ"),
}
# How far each row begins to the right of the top one, in keys.
_SHIFTS = (0.0, 0.25, 0.75)
# Keys whose middles are no further apart touch each other.
_TOUCHING = 1.25


class Misspellings(TextAugmenter):
    """Misspells words, each by one slip.

    `neighbour` hits a key beside the right one, on the keyboard of the letter's own script: a letter of a script that
    is not among the keyboards is not replaced. `swap` changes two letters' places, `drop` leaves one out, `double`
    types one twice. Letters are what a reader takes for one, accents and vowel points in; digits, marks and emoji stay.

    Args:
        share: of the words that are misspelt, 0..1; one of a text at least.
        slips: of which one is drawn for each word.
        min_letters: shorter words stay as they are.
        keyboards: that are known: latin, cyrillic, greek, hebrew, arabic; None: all of them.
    """

    def __init__(
        self,
        share: Annotated[float, Field(gt=0.0, le=1.0)] = 0.2,
        slips: Annotated[list[Slip], Field(min_length=1)] | None = None,
        min_letters: Annotated[int, Field(ge=2)] = 4,
        keyboards: list[Literal["latin", "cyrillic", "greek", "hebrew", "arabic"]] | None = None,
    ) -> None:
        self.share = share
        self.slips: list[Slip] = ["neighbour", "swap", "drop"] if slips is None else list(slips)
        self.min_letters = min_letters
        self._neighbours: dict[str, str] = {}
        for name in _KEYBOARDS if keyboards is None else keyboards:
            self._neighbours.update(_touching(_KEYBOARDS[name]))

    def __call__(self, text: str, draw: Random) -> str:
        """See TextAugmenter."""
        words = [(match.span(), letters) for match in _WORD.finditer(text) if (letters := self._letters(match.group()))]
        if not words:
            return text
        chosen = [draw.random() < self.share for _ in words]
        if not any(chosen):
            chosen[draw.randrange(len(words))] = True
        found, at = [], 0
        for ((start, end), places), is_chosen in zip(words, chosen, strict=True):
            if is_chosen:
                found += [text[at:start], self._misspelt(text[start:end], places, draw)]
                at = end
        return "".join([*found, text[at:]])

    def _letters(self, word: str) -> list[tuple[int, int]]:
        """(start, end) of each letter; none of a word that is too short."""
        if len(word) < self.min_letters:
            return []
        places = [match.span() for match in _GRAPHEME.finditer(word) if word[match.start()].isalpha()]
        return places if len(places) >= self.min_letters else []

    def _misspelt(self, word: str, letters: list[tuple[int, int]], draw: Random) -> str:
        slip = draw.choice(self.slips)
        number = draw.randrange(len(letters))
        start, end = letters[number]
        if slip == "neighbour":
            return word[:start] + self._neighbour(word[start:end], draw) + word[end:]
        if slip == "drop":
            return word[:start] + word[end:]
        if slip == "double":
            return word[:end] + word[start:end] + word[end:]
        if number + 1 == len(letters):
            number -= 1
        (start, middle), (second, end) = letters[number], letters[number + 1]
        if middle != second:  # something that is no letter stands between them
            return word
        return word[:start] + word[second:end] + word[start:middle] + word[end:]

    def _neighbour(self, letter: str, draw: Random) -> str:
        near = self._neighbours.get(letter.lower())
        if near is None:
            return letter
        other = draw.choice(near)
        return other.upper() if letter.isupper() else other


def _touching(rows: tuple[str, ...]) -> dict[str, str]:
    """For each letter those whose keys touch its key."""
    keys = [(row, place + _SHIFTS[row], key) for row, line in enumerate(rows) for place, key in enumerate(line)]
    return {
        key: "".join(
            other
            for below, across, other in keys
            if other != key and other != " " and abs(below - row) <= 1 and abs(across - place) <= _TOUCHING
        )
        for row, place, key in keys
        if key != " "
    }
