"""What must stay out of training because it is held out: queries by their key, items by who alone needs
them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hft.data.splitters import SPLITS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hft.data.inputs import FineTuningInputs


def leaks(inputs: FineTuningInputs, assigned: NDArray[np.int8], noise_words: Sequence[str] = ()) -> NDArray[np.bool_]:
    """`bool[sessions]`: sessions to leave out because a near-duplicate of their query is held out more
    strictly.

    Test is held out from validation and train, validation from train. A splitter by query never gives such
    sessions; splits given by a source, or by group, do.

    Args:
        inputs: all sessions.
        assigned: `int8[sessions]` their splits.
        noise_words: words that do not tell two queries apart.
    """
    keys = inputs.coded_queries.key_numbers(noise_words)
    strictest = np.zeros(int(keys.max(initial=-1)) + 1, dtype=np.int8)
    np.maximum.at(strictest, keys, assigned)
    return np.asarray(strictest[keys] > assigned, dtype=np.bool_)


def relevant_items(inputs: FineTuningInputs, assigned: NDArray[np.int8]) -> NDArray[np.bool_]:
    """`bool[splits, items]`: whether an item is relevant to some query of a split.

    Args:
        inputs: all sessions.
        assigned: `int8[sessions]` their splits; below 0 for sessions that are in none.
    """
    labels = inputs.labels()
    relevant = (labels.grades > 0) & np.repeat(assigned >= 0, np.diff(labels.offsets))
    split_of_label = np.repeat(assigned, np.diff(labels.offsets))
    needed = np.zeros((len(SPLITS), len(inputs.items)), dtype=np.bool_)
    needed[split_of_label[relevant], labels.rows[relevant]] = True
    return needed


def showable_items(needed: NDArray[np.bool_], split: int) -> NDArray[np.int32]:
    """`int32[items]`: rows that made-up lists of a split may show: relevant to this split, or to none at all.

    So what only test needs never enters a training list, not even as a negative.

    Args:
        needed: `bool[splits, items]` as relevant_items gives it.
        split: number of the split.
    """
    return np.flatnonzero(needed[split] | ~needed.any(axis=0)).astype(np.int32)
