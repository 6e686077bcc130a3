"""What sets the inputs of a split apart, for results by slice: what of them training has seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from hft.data.arrow import one_array

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hft.data.inputs import FineTuningInputs


@dataclass(frozen=True)
class Qualities:
    """What training has seen of each input.

    Args:
        query_seen: `bool[sessions]`: a near-duplicate of the query is among the training queries.
        items_seen: `bool[sessions]`: each of the items relevant to it had an event in training.
        user_seen: `bool[sessions]`: its user has a session in training; None where no session here says whose it is.
    """

    query_seen: NDArray[np.bool_]
    items_seen: NDArray[np.bool_]
    user_seen: NDArray[np.bool_] | None = None


def seen_in_training(train: FineTuningInputs, inputs: FineTuningInputs, noise_words: Sequence[str] = ()) -> Qualities:
    """What training has seen of the inputs of another split.

    Args:
        train: the training sessions, as they are trained on.
        inputs: sessions over the same items. One without a relevant item counts as not seen.
        noise_words: words that do not tell two queries apart.
    """
    train_keys, ours = train.coded_queries.distinct.keys(noise_words), inputs.coded_queries
    seen = {train_keys[number] for number in train.coded_queries.used.tolist()}
    is_seen = np.array([key in seen for key in ours.distinct.keys(noise_words)], dtype=np.bool_)
    query_seen = is_seen[ours.codes]
    learned = np.zeros(len(inputs.items), dtype=np.bool_)
    learned[train.flat_results[train.flat_events > 0]] = True
    labels = inputs.labels()
    relevant = labels.grades > 0
    owner = np.repeat(np.arange(len(inputs)), np.diff(labels.offsets))[relevant]
    count = np.bincount(owner, minlength=len(inputs))
    known = np.bincount(owner[learned[labels.rows[relevant]]], minlength=len(inputs))
    return Qualities(query_seen, (count > 0) & (known == count), _users_seen(train, inputs))


def _users_seen(train: FineTuningInputs, inputs: FineTuningInputs) -> NDArray[np.bool_] | None:
    users = inputs.table.column("user_id")
    if users.null_count == len(inputs):
        return None
    known = pc.drop_null(pc.unique(train.table.column("user_id")))
    return np.asarray(one_array(pc.is_in(users, value_set=known)).to_numpy(zero_copy_only=False), dtype=np.bool_)
