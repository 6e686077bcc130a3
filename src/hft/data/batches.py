"""Taking one batch of clickstream, and making batches of a log that has none."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from hft.data.near_duplicates import stable_fraction
from hft.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hft.data.inputs import FineTuningInputs

_MOST_NAMED = 10


def with_batches(inputs: FineTuningInputs, num_batches: int, noise_words: Sequence[str] = ()) -> FineTuningInputs:
    """The same sessions with batch ids `0` to `num_batches - 1`, by a stable hash of the query: near-duplicate queries
    are in one batch. To try iterations on a log that came as one.

    Args:
        inputs: all sessions.
        num_batches: how many.
        noise_words: words that do not tell two queries apart.

    Raises:
        DataError: the sessions have batch ids already.
    """
    if inputs.table.column("batch_id").null_count < len(inputs):
        raise DataError(
            "data.num_batches: the sessions have batch ids of their own. Take one of them (data.batch_id), and set "
            "data.num_batches=null."
        )
    queries = inputs.coded_queries
    number_of = [str(int(stable_fraction(f"batch:{key}") * num_batches)) for key in queries.distinct.keys(noise_words)]
    numbers = pa.array(number_of, type=pa.string()).take(pa.array(queries.codes))
    return inputs.replace(batch_id=numbers)


def select_batch(inputs: FineTuningInputs, batch_id: str) -> FineTuningInputs:
    """The sessions of one batch.

    Raises:
        DataError: no session carries this batch id; names those that there are.
    """
    ids: list[str | None] = inputs.table.column("batch_id").to_pylist()
    mask = np.array([found == batch_id for found in ids], dtype=np.bool_)
    if mask.any():
        return inputs.select(mask)
    known = sorted({found for found in ids if found is not None})
    if not known:
        raise DataError(
            f"data.batch_id: {batch_id!r} was asked for, but no session carries a batch id. "
            f"Leave data.batch_id out, or name the field that holds it "
            f"(for session files: data.source.fields.batch_id). To try iterations on one log, make some: "
            f"data.num_batches=3."
        )
    near = difflib.get_close_matches(batch_id, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    more = f" and {len(known) - _MOST_NAMED} more" if len(known) > _MOST_NAMED else ""
    raise DataError(
        f"data.batch_id: no session of batch {batch_id!r}. Batches there: {', '.join(known[:_MOST_NAMED])}{more}.{hint}"
    )
