"""Categories as paths: "Electronics > Phones > Cases" is three levels, "card_arrival" one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# Between the levels of a category's title, whatever the source wrote.
LEVEL_SEPARATOR = " > "


def path_of(category: str, separator: str | None) -> tuple[str, ...]:
    """The levels of a category as a source writes it, outermost first; one where there is no separator.

    Args:
        category: for example `Electronics>Phones`.
        separator: between levels; blanks around it do not matter. None: a category has one level.
    """
    parts = category.split(separator.strip() or separator) if separator else [category]
    return tuple(part.strip() for part in parts if part.strip())


def level_numbers(titles: Sequence[str], level: int) -> tuple[list[str], NDArray[np.int64]]:
    """(names of the distinct categories at a level, int64[titles] which of them each title is in).

    Args:
        titles: of categories, their levels separated by LEVEL_SEPARATOR.
        level: from 1; a category of fewer levels stands for itself.
    """
    heads = [LEVEL_SEPARATOR.join(title.split(LEVEL_SEPARATOR)[:level]) for title in titles]
    names = sorted(set(heads))
    number_of = {name: number for number, name in enumerate(names)}
    return names, np.array([number_of[head] for head in heads], dtype=np.int64)


def depth(titles: Sequence[str]) -> int:
    """Levels of the deepest category."""
    return max((title.count(LEVEL_SEPARATOR) + 1 for title in titles), default=0)
