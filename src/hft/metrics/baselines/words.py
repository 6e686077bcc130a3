"""Words of a text, as the word-matching baselines see them."""

from __future__ import annotations

import re

# As scikit-learn's and bm25s' default: runs of two and more word characters.
_WORD = re.compile(r"(?u)\b\w\w+\b")


def words(text: str | None) -> list[str]:
    """Case-folded words of two and more characters, in order, repeats kept; none for no text."""
    return _WORD.findall(text.casefold()) if text else []
