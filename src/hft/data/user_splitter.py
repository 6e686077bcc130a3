"""Holds out by user: the model is judged on people from whom it learned nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from hft.data.parts_of_train import LEFT_OUT
from hft.data.splitters import ShareSplitter, by_hash
from hft.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hft.data.inputs import FineTuningInputs
    from hft.data.items import ItemsSet


class UserSplitter(ShareSplitter):
    """All sessions of a user are in one split, by a stable hash of the user: the same in every batch and iteration.

    Users ask what others ask, so queries of test may be in train: results are reported apart for those.

    Args:
        validation: share of the users for validation.
        test: share of the users for test.
        anonymous: sessions without a user: `refuse` the data, or `drop` them (they may be anybody's, also of those who
            are held out).
        seen_queries: sessions of train may have queries of test. False leaves these sessions out.
        noise_words: words that do not tell two queries apart, where a query of one split is looked for in another.
            None: only stop words are such.
        salt: another text holds out others; to measure on several splits. A project keeps to one.
    """

    left_out_reason: ClassVar[str] = "sessions without a user, of whom a splitter by user cannot tell"

    def __init__(
        self,
        validation: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.1,
        test: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.2,
        anonymous: Literal["refuse", "drop"] = "refuse",
        seen_queries: bool = True,
        noise_words: list[str] | None = None,
        salt: str = "",
    ) -> None:
        super().__init__(validation, test, noise_words, salt)
        self.anonymous = anonymous
        self.seen_queries = seen_queries

    def keys(self, inputs: FineTuningInputs) -> list[str]:
        """What each session is held out by: its user."""
        return [f"{self.salt}user:{user}" for user in inputs.table.column("user_id").to_pylist()]

    def assign(self, inputs: FineTuningInputs, items: ItemsSet) -> NDArray[np.int8]:
        """`int8[sessions]`: 0 train, 1 validation, 2 test; -1 for a session without a user where these are dropped.

        Raises:
            DataError: no session has a user, or one has none and these are refused.
        """
        unknown = inputs.user_numbers < 0
        count = int(unknown.sum())
        if count == len(inputs) or (count and self.anonymous == "refuse"):
            drop = "" if count == len(inputs) else ", leave these out (data.splitter.anonymous=drop)"
            raise DataError(
                f"data.splitter: UserSplitter needs the user of every session, but {count} of {len(inputs)} have none. "
                f"Name the field that holds it (for session files: data.source.fields.user_id){drop}, or choose "
                f"data/splitter=by_query."
            )
        assigned = by_hash(self.keys(inputs), self.validation, self.test)
        assigned[unknown] = LEFT_OUT
        return assigned
