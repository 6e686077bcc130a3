"""Taking one batch of clickstream."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

import numpy as np

from hft.errors import DataError

if TYPE_CHECKING:
    from hft.data.inputs import FineTuningInputs

_MOST_NAMED = 10


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
            f"(for session files: data.source.fields.batch_id)."
        )
    near = difflib.get_close_matches(batch_id, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    more = f" and {len(known) - _MOST_NAMED} more" if len(known) > _MOST_NAMED else ""
    raise DataError(
        f"data.batch_id: no session of batch {batch_id!r}. Batches there: {', '.join(known[:_MOST_NAMED])}{more}.{hint}"
    )
