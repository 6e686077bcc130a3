"""Parts of the training sessions: a nested share to learn from, and folds for cross-validation.

Both go by what the splitter holds out by (a group, a query's near-duplicate key), so that sessions which belong
together stay together. The hashes are salted: they tell nothing of the split's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hft.data.near_duplicates import stable_fraction
from hft.data.splitters import TRAIN, VALIDATION
from hft.errors import ConfigError, DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hft.data.inputs import FineTuningInputs
    from hft.data.source import Splitter

# An assignment of sessions that no split takes.
LEFT_OUT = -1


def shared_train(train: FineTuningInputs, splitter: Splitter, share: float) -> FineTuningInputs:
    """The training sessions whose key falls below a share: those of a smaller share are among those of a larger one.

    Args:
        train: the training sessions.
        splitter: says which sessions belong together.
        share: above 0, at most 1.

    Raises:
        DataError: none is left.
    """
    if share >= 1.0:
        return train
    keys = _keys(train, splitter)
    below = {key: stable_fraction(f"share:{key}") < share for key in set(keys)}
    kept = train.select(np.array([below[key] for key in keys], dtype=np.bool_))
    if not kept.has_event.any():
        raise DataError(
            f"data.train_share={share:g}: no session with an event is left to learn from, of {len(train)} training "
            f"sessions in {len(below)} groups that stay together. Choose a larger share."
        )
    return kept


def fold_assigned(
    inputs: FineTuningInputs, assigned: NDArray[np.int8], splitter: Splitter, fold: Sequence[int]
) -> NDArray[np.int8]:
    """The assignment of one cross-validation run: a fold of train is validation, the sessions of validation are out.

    Keys are dealt to the folds in the order of their hashes, so that folds are of one size, and the same for the same
    sessions.

    Args:
        inputs: all sessions.
        assigned: `int8[sessions]` their splits; LEFT_OUT for those that are out already.
        splitter: says which sessions belong together.
        fold: number of the fold, from 0, and how many there are.

    Raises:
        ConfigError: there is no such fold.
        DataError: train has fewer keys than folds.
    """
    number, count = fold
    if count < 2 or not 0 <= number < count:
        raise ConfigError(
            f"data.fold=[{number}, {count}]: expected [i, k] with k of 2 or more folds and i from 0 to k - 1."
        )
    in_train = assigned == TRAIN
    keys = np.array(_keys(inputs.select(in_train), splitter), dtype=object)
    order = sorted(set(keys), key=lambda key: stable_fraction(f"fold:{key}"))
    if len(order) < count:
        raise DataError(
            f"search.folds={count}: the training part has {len(order)} groups of sessions that stay together, fewer "
            "than folds. Choose fewer folds, or another splitter (data/splitter=by_query)."
        )
    fold_of = {key: place % count for place, key in enumerate(order)}
    here = np.array([fold_of[key] == number for key in keys], dtype=np.bool_)
    found = assigned.copy()
    found[assigned == VALIDATION] = LEFT_OUT
    found[np.flatnonzero(in_train)[here]] = VALIDATION
    return found


def _keys(inputs: FineTuningInputs, splitter: Splitter) -> list[str]:
    keys = getattr(splitter, "keys", None)
    if keys is not None:
        found: list[str] = keys(inputs)
        return found
    return inputs.coded_queries.keys(tuple(getattr(splitter, "noise_words", ())))
