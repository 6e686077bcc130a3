"""What of a held-out split training has seen: queries, items, users, times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hft.data.coded_queries import CodedQueries
    from hft.data.inputs import FineTuningInputs

Leakage = dict[str, int]


def leakage_of(train: FineTuningInputs, inputs: FineTuningInputs, noise_words: Sequence[str] = ()) -> Leakage:
    """How much of a held-out split is in the training sessions too.

    Args:
        train: the training sessions.
        inputs: the sessions of validation or test, over the same items.
        noise_words: words that do not tell two queries apart.

    Returns:
        counts of the split: `sessions`; distinct `queries`, `queries_seen` (the same text is asked in training) and
        `queries_near_seen` (that or a near-duplicate); `items` shown and `items_shown` (in a training list), `relevant`
        items and `relevant_picked` (with an event in training); `items_new`: items shown or relevant that are in no
        training list, and `texts_seen`: those of them with the text of one that is. Where they are known: `users` and
        `users_seen`; `sessions_timed` and `sessions_not_later`: those not later than the last training session.
    """
    found = {"sessions": len(inputs), **_queries(train, inputs, noise_words), **_items(train, inputs)}
    users = [pc.drop_null(pc.unique(part.table.column("user_id"))) for part in (train, inputs)]
    if len(users[1]):
        seen = pc.is_in(users[1], value_set=users[0]).to_numpy(zero_copy_only=False)
        found |= {"users": len(users[1]), "users_seen": int(np.count_nonzero(seen))}
    before, ours = (part.timestamps[~np.isnan(part.timestamps)] for part in (train, inputs))
    if len(before) and len(ours):
        found |= {"sessions_timed": len(ours), "sessions_not_later": int((ours <= before.max()).sum())}
    return found


def leakage_line(split: str, found: Mapping[str, int]) -> str:
    """The counts of a split as a line for people."""
    parts = [
        f"queries {found['queries_seen']:,} of {found['queries']:,}"
        + (f" (with near-duplicates {found['queries_near_seen']:,})" if found["queries_near_seen"] else ""),
        f"items shown {found['items_shown']:,} of {found['items']:,}",
        f"relevant items that were picked {found['relevant_picked']:,} of {found['relevant']:,}",
    ]
    if found["texts_seen"]:
        parts.append(f"texts of new items under another id {found['texts_seen']:,} of {found['items_new']:,}")
    if "users" in found:
        parts.append(f"users {found['users_seen']:,} of {found['users']:,}")
    line = f"{split}, seen in train: " + ", ".join(parts)
    if found.get("sessions_not_later"):
        of = f"{found['sessions_not_later']:,} of {found['sessions_timed']:,}"
        line += f"; {of} sessions are not later than all of train"
    return line


def _queries(train: FineTuningInputs, inputs: FineTuningInputs, noise_words: Sequence[str]) -> Leakage:
    theirs, ours = train.coded_queries, inputs.coded_queries
    if theirs.distinct is ours.distinct:
        texts_seen = np.isin(ours.used, theirs.used)
        keys = ours.distinct.key_numbers(noise_words)
        near = np.isin(keys[ours.used], keys[theirs.used])
    else:
        columns = [queries.distinct.column.take(pa.array(queries.used)) for queries in (theirs, ours)]
        texts_seen = pc.is_in(columns[1], value_set=columns[0]).to_numpy(zero_copy_only=False)
        known = set(_used_keys(theirs, noise_words))
        near = np.array([key in known for key in _used_keys(ours, noise_words)], dtype=np.bool_)
    return {
        "queries": len(ours.used),
        "queries_seen": int(np.count_nonzero(texts_seen)),
        "queries_near_seen": int(np.count_nonzero(near)),
    }


def _used_keys(queries: CodedQueries, noise_words: Sequence[str]) -> list[str]:
    keys = queries.distinct.keys(noise_words)
    return [keys[number] for number in queries.used.tolist()]


def _items(train: FineTuningInputs, inputs: FineTuningInputs) -> Leakage:
    in_train, shown = _marked(train, train.flat_results), _marked(inputs, inputs.flat_results)
    picked = _marked(train, train.flat_results[train.flat_events > 0])
    labels = inputs.labels()
    relevant = _marked(inputs, labels.rows[labels.grades > 0])
    new = np.flatnonzero((shown | relevant) & ~in_train)
    texts = inputs.items.table.column("text")
    same = 0
    if len(new):
        known = texts.take(pa.array(np.flatnonzero(in_train)))
        found = pc.is_in(texts.take(pa.array(new)), value_set=known.combine_chunks())
        same = int(np.count_nonzero(found.to_numpy(zero_copy_only=False)))
    return {
        "items": int(shown.sum()),
        "items_shown": int((shown & in_train).sum()),
        "relevant": int(relevant.sum()),
        "relevant_picked": int((relevant & picked).sum()),
        "items_new": len(new),
        "texts_seen": same,
    }


def _marked(inputs: FineTuningInputs, rows: NDArray[np.int32]) -> NDArray[np.bool_]:
    found = np.zeros(len(inputs.items), dtype=np.bool_)
    found[rows] = True
    return found
