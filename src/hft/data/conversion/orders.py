"""Sessions whose results were sorted by something other than relevance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from hft.data.conversion.rule import Converted, lacking_note, lacks, without
from hft.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hft.data.inputs import FineTuningInputs

RELEVANCE = ("relevance", "score", "best_match", "default")


class OtherOrders:
    """What becomes of sessions that were sorted by price, date and the like: their clicks tell of more than relevance.

    A session that does not say what it was sorted by was sorted by relevance.

    Args:
        action: `keep` them as they are, `drop` them, or `down_weight` them: training counts their pairs less.
        weight: of such a session in training, where it is `down_weight`.
        relevance: values of `sort_by` that mean relevance, in any case of letters; null: relevance, score, best_match,
            default.
    """

    def __init__(
        self,
        action: Literal["keep", "drop", "down_weight"] = "keep",
        weight: Annotated[float, Field(gt=0.0, le=1.0)] = 0.3,
        relevance: list[str] | None = None,
    ) -> None:
        if relevance is not None and not relevance:
            raise ConfigError(
                "data.converter: OtherOrders has relevance=[], so that no order would be one by relevance. Name the "
                "values of sort_by that mean it, or give null."
            )
        self.action = action
        self.weight = weight
        self.relevance = sorted(name.casefold() for name in (RELEVANCE if relevance is None else relevance))

    def apply(self, inputs: FineTuningInputs) -> Converted:
        """Leaves them out, or gives them less weight."""
        if self.action == "keep":
            return Converted(inputs)
        if lacks(inputs, "sort_by"):
            return Converted(inputs, notes=(lacking_note("other orders", "sort_by", "a sort_by"),))
        other = self._others(inputs)
        reason = "sessions sorted by something other than relevance"
        if self.action == "drop" or not other.any():
            return without(inputs, other, reason)
        weights = np.where(other, inputs.weights * np.float32(self.weight), inputs.weights).astype(np.float32)
        return Converted(
            inputs.replace(weight=pa.array(weights)), changed={f"{reason} count {self.weight:g}": int(other.sum())}
        )

    def _others(self, inputs: FineTuningInputs) -> NDArray[np.bool_]:
        coded = inputs.table.column("sort_by").combine_chunks().dictionary_encode()
        is_other = [name.strip().casefold() not in self.relevance for name in coded.dictionary.to_pylist()]
        found = pc.fill_null(pa.array([*is_other, False]).take(coded.indices), False)
        return np.asarray(found.to_numpy(zero_copy_only=False), dtype=np.bool_)
