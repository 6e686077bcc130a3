"""The columns of sessions, and one session as an object."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

INPUTS_SCHEMA = pa.schema(
    [
        pa.field("session_id", pa.string(), nullable=False),
        pa.field("query", pa.string(), nullable=False),
        pa.field("results", pa.list_(pa.int32()), nullable=False),
        pa.field("events", pa.list_(pa.float32()), nullable=False),
        pa.field("ranks", pa.list_(pa.float32())),
        pa.field("timestamp", pa.float64()),
        pa.field("is_irrelevant", pa.bool_(), nullable=False),
        pa.field("judged", pa.list_(pa.int32())),
        pa.field("grades", pa.list_(pa.float32())),
        pa.field("group", pa.string()),
        pa.field("batch_id", pa.string()),
        pa.field("split", pa.string()),
        pa.field("user_id", pa.string()),
        pa.field("sort_by", pa.string()),
        pa.field("user_agent", pa.string()),
        pa.field("dwell", pa.list_(pa.float32())),
        pa.field("weight", pa.float32()),
        # Where each result stood in the list as it was shown, from 0; null: results are that list.
        pa.field("positions", pa.list_(pa.int32())),
        # True: `is_irrelevant` for want of an event (data.no_event_is_irrelevant), not by the source; null: no.
        pa.field("irrelevant_unclicked", pa.bool_()),
    ]
)
# Columns that count for a fingerprint only where a session has something in them: they came after fingerprints of data
# had been recorded.
LATER_COLUMNS = ("user_id", "sort_by", "user_agent", "dwell", "weight", "positions", "irrelevant_unclicked")


@dataclass(frozen=True)
class FineTuningInput:
    """One session.

    Args:
        session_id: the source's id of the session.
        query: the query's text.
        results: ids of the items shown, in the order shown.
        events: for each result the weight of the events on it, 0 where there was none.
        ranks: for each result the rank (similarity or distance) that the shown order came from, where known.
        timestamp: seconds since the epoch, where known.
        is_irrelevant: the source flags the session as irrelevant; it then has no events.
        batch_id: the batch of clickstream that the session came with, where known.
        user_id: who asked, where known.
        sort_by: what the results were sorted by, where known.
        dwell: for each result the seconds that the user stayed with it, None where nothing is known of it; None for a
            session of which nothing is known.
        weight: how much the session counts in training, above 0, at most 1.
    """

    session_id: str
    query: str
    results: tuple[str, ...]
    events: tuple[float, ...]
    ranks: tuple[float, ...] | None = None
    timestamp: float | None = None
    is_irrelevant: bool = False
    batch_id: str | None = None
    user_id: str | None = None
    sort_by: str | None = None
    dwell: tuple[float | None, ...] | None = None
    weight: float = 1.0
