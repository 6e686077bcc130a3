"""What must stay out of training because it is held out: queries by their key, items by who alone needs
them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hft.data.near_duplicates import query_keys
from hft.data.splitters import SPLITS, TEST, TRAIN, VALIDATION

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hft.data.inputs import FineTuningInputs

SHARED = -1


def leaks(inputs: FineTuningInputs, assigned: NDArray[np.int8]) -> NDArray[np.bool_]:
    """`bool[sessions]`: sessions to leave out because a near-duplicate of their query is held out more
    strictly.

    Test is held out from validation and train, validation from train. A splitter by query never gives such
    sessions; splits given by a source, or by group, do.
    """
    keys = np.unique(np.array(query_keys(inputs.queries), dtype=object).astype(str), return_inverse=True)[1]
    strictest = np.zeros(int(keys.max(initial=-1)) + 1, dtype=np.int8)
    np.maximum.at(strictest, keys, assigned)
    return np.asarray(strictest[keys] > assigned, dtype=np.bool_)


def item_owners(inputs: FineTuningInputs, assigned: NDArray[np.int8]) -> NDArray[np.int8]:
    """`int8[items]`: the only split in which an item is relevant to a query, SHARED for all other items.

    An item owned by test must not enter a made-up training list: not even as a negative.
    """
    labels = inputs.labels()
    relevant = labels.grades > 0
    split_of_label = np.repeat(assigned, np.diff(labels.offsets))
    needed = np.zeros((len(SPLITS), len(inputs.items)), dtype=np.bool_)
    for split in (TRAIN, VALIDATION, TEST):
        needed[split, labels.rows[relevant & (split_of_label == split)]] = True
    owner = needed.argmax(axis=0).astype(np.int8)
    return np.where(needed.sum(axis=0) == 1, owner, np.int8(SHARED)).astype(np.int8)
