"""Which positive is compared with which negative: index arithmetic only, no vectors yet."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Literal

import numpy as np

from hft.training.sessions import BoolArray, FloatArray, IntArray, SessionArrays, flat_rows, is_among

if TYPE_CHECKING:
    from hft.training.hard_negatives import MinedNegatives

Negatives = Literal["shown", "in_batch", "both"]


class ExamplesType(IntEnum):
    """Kinds of pairs that a stage of `examples_order` trains on.

    The difficulty of a pair is t * (rank of the positive - rank of the negative), with the model as it is at
    that step: hard below 0 (mis-ordered), medium from 0 to SOFT_EDGE, soft from SOFT_EDGE on. The rest of the name
    says which sessions the pairs come from: all of them, `positive` (sessions that are not irrelevant) or
    `negative` (irrelevant sessions; there are none while `not_irrelevant_only` is true).
    """

    MEDIUM_ALL = 1
    MEDIUM_POSITIVE = 2
    MEDIUM_NEGATIVE = 3
    HARD_ALL = 4
    HARD_POSITIVE = 5
    HARD_NEGATIVE = 6
    SOFT_ALL = 7
    SOFT_POSITIVE = 8
    SOFT_NEGATIVE = 9
    NEGATIVE_ONLY = 10
    ALL_EXAMPLES = 11


# Numbers up to so many times as many as the values are told apart by a table of all of them, others by sorting.
_SPAN_A_VALUE = 4
HARD_EDGE = 0.0
SOFT_EDGE = 0.1


def stage_of_epoch(examples_order: list[int], epoch: int, num_epochs: int) -> ExamplesType:
    """The kind of pairs that an epoch trains on, the epochs divided evenly among the codes, in order."""
    stage = min(epoch, num_epochs - 1) * len(examples_order) // num_epochs
    return ExamplesType(examples_order[stage])


@dataclass(frozen=True)
class PairPlan:
    """The texts of a batch and the pairs over them, all as indices.

    Args:
        query_rows: int64[queries], rows of the batch's distinct queries.
        item_rows: int64[items], rows of the batch's distinct items.
        positive_query, positive_item, negative_query, negative_item: int64[pairs], indices into the two above.
        positive_confidence, negative_confidence: float32[pairs].
        positive_index: int64[pairs], which positive a pair belongs to.
        is_irrelevant: bool[pairs], whether the negative comes from an irrelevant session.
        weight: float32[pairs], what the positive is worth beside others; None: all the same.
    """

    query_rows: IntArray
    item_rows: IntArray
    positive_query: IntArray
    positive_item: IntArray
    negative_query: IntArray
    negative_item: IntArray
    positive_confidence: FloatArray
    negative_confidence: FloatArray
    positive_index: IntArray
    is_irrelevant: BoolArray
    weight: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.positive_query)


@dataclass(frozen=True)
class _Entry:
    """Results of the batch's sessions: of each its session (index in the batch), query row, item row and so on."""

    session: IntArray
    query: IntArray
    item: IntArray
    confidence: FloatArray
    weight: FloatArray | None = None

    def take(self, index: IntArray | BoolArray) -> _Entry:
        weight = None if self.weight is None else self.weight[index]
        return _Entry(self.session[index], self.query[index], self.item[index], self.confidence[index], weight)

    def __len__(self) -> int:
        return len(self.session)


class PairPlanner:
    """Makes the plan of a batch of sessions.

    Args:
        sessions: the split that batches are drawn from.
        negatives: where negatives come from, as in hft.settings.SettingsScalars.
        not_irrelevant_only: leave irrelevant sessions out.
        negative_downsampling: share of each session's shown negatives to keep; rounded up.

    Attributes:
        mined: hard negatives that join those of each positive; None: there are none. See hft.training.hard_negatives.
    """

    def __init__(
        self,
        sessions: SessionArrays,
        *,
        negatives: Negatives,
        not_irrelevant_only: bool = True,
        negative_downsampling: float = 1.0,
    ) -> None:
        self.sessions = sessions
        self.negatives = negatives
        self.not_irrelevant_only = not_irrelevant_only
        self.negative_downsampling = negative_downsampling
        self.mined: MinedNegatives | None = None
        self._known_positives = sessions.known_positives()

    def usable_sessions(self) -> IntArray:
        """Sessions that give pairs: not irrelevant ones with an event, and irrelevant ones where they are used."""
        picked = np.zeros(len(self.sessions), dtype=np.bool_)
        results, owners = self.sessions.events_of_sessions()
        if self.sessions.weights is not None:
            owners = owners[self.sessions.weights[results] > 0]
        picked[owners] = True
        picked &= ~self.sessions.is_irrelevant
        usable = picked if self.not_irrelevant_only else picked | self.sessions.is_irrelevant
        return np.flatnonzero(usable)

    def plan(self, rows: IntArray, rng: np.random.Generator) -> PairPlan:
        """Pairs of the given sessions.

        Args:
            rows: int64[sessions of the batch].
            rng: the draw of negatives and of the positives that irrelevant sessions are paired with.
        """
        positives, shown, own, irrelevant = self._entries(rows, rng)
        pairs = []
        if self.negatives in ("shown", "both"):
            within = _pairs_within_sessions(positives, shown)
            # A click that is not believed is weak evidence for a result, which is a negative of the others still.
            pairs.append(within if self.sessions.believed is None else within.of_two_items())
        if self.negatives in ("in_batch", "both"):
            pairs.append(self._pairs_across_sessions(positives, shown, own, rows))
        if self.mined is not None:
            pairs.append(self._pairs_with_mined(positives, self.mined, pairs))
        if len(irrelevant):
            pairs.append(_pairs_with_irrelevant(positives, irrelevant, len(rows), rng))
        return _assemble(pairs)

    def _entries(self, rows: IntArray, rng: np.random.Generator) -> tuple[_Entry, _Entry, _Entry, _Entry]:
        """(positives, kept shown negatives, all results, kept results of irrelevant sessions) of the batch."""
        sessions = self.sessions
        flat, owners = flat_rows(rows, sessions.offsets)
        entries = _Entry(
            owners,
            sessions.query_rows[rows].astype(np.int64)[owners],
            sessions.item_rows[flat].astype(np.int64),
            sessions.confidences_of(rows, flat),
            sessions.weights_of(flat),
        )
        irrelevant = sessions.is_irrelevant[rows][owners]
        clicked = (sessions.events[flat] > 0) & ~irrelevant
        picked = clicked if entries.weight is None else clicked & (entries.weight > 0)
        positive = clicked if sessions.believed is None else clicked & sessions.believed[flat]
        # An item that some session of this query has picked is no negative here, nor is its double.
        codes = sessions.pair_code(sessions.query_keys[rows][owners], sessions.item_rows[flat])
        negative = ~is_among(codes, self._known_positives)
        if sessions.may_be_negative is not None:
            negative &= sessions.may_be_negative[flat]
        negative |= irrelevant
        kept = _downsample(owners, negative & ~positive, self.negative_downsampling, rng)
        nothing = np.zeros(len(owners), dtype=bool)
        use_irrelevant = nothing if self.not_irrelevant_only else irrelevant & kept
        return entries.take(picked), entries.take(kept & ~irrelevant), entries, entries.take(use_irrelevant)

    def _pairs_across_sessions(self, positives: _Entry, shown: _Entry, own: _Entry, rows: IntArray) -> _Pairs:
        """Each positive with the distinct items of the batch that are no known positive of its query.

        With `both`, all results shown with a positive (`own`) are left to the pairs within its session: one that
        downsampling dropped there must not come back because another session of the batch kept it.
        """
        sessions = self.sessions
        candidates = np.unique(
            np.concatenate((positives.item, shown.item)) if self.negatives == "both" else positives.item
        )
        keys = sessions.query_keys[rows][positives.session]
        codes = sessions.pair_code(keys[:, None], np.broadcast_to(candidates, (len(positives), len(candidates))))
        allowed = ~is_among(codes, self._known_positives)
        if sessions.believed is not None:
            own_keys, keys_there = sessions.item_keys[positives.item], sessions.item_keys[candidates]
            allowed &= own_keys[:, None] != keys_there[None, :]
        if self.negatives == "both":
            place = np.minimum(np.searchsorted(candidates, own.item), len(candidates) - 1)
            here = candidates[place] == own.item if len(candidates) else np.zeros(len(own), dtype=bool)
            is_own = np.zeros((len(rows), len(candidates)), dtype=bool)
            is_own[own.session[here], place[here]] = True
            allowed &= ~is_own[positives.session]
        positive, candidate = np.nonzero(allowed)
        taken = positives.take(positive)
        ones = np.ones(len(positive), dtype=np.float32)
        negatives = _Entry(taken.session, taken.query, candidates[candidate], ones)
        return _Pairs(taken, negatives, positive, np.zeros(len(positive), dtype=bool))

    def _pairs_with_mined(self, positives: _Entry, mined: MinedNegatives, others: list[_Pairs]) -> _Pairs:
        """Each positive with its hard negatives, but those that it is paired with already: no pair counts twice."""
        items, positive = mined.of(positives.query, positives.item)
        size = len(self.sessions.item_keys)
        there = [part.positive_index * size + part.negative.item for part in others]
        is_new = ~np.isin(positive * size + items, np.concatenate(there)) if there else np.ones(len(items), dtype=bool)
        items, positive = items[is_new], positive[is_new]
        taken = positives.take(positive)
        negatives = _Entry(taken.session, taken.query, items, np.ones(len(items), dtype=np.float32))
        return _Pairs(taken, negatives, positive, np.zeros(len(items), dtype=bool))


@dataclass(frozen=True)
class _Pairs:
    positive: _Entry
    negative: _Entry
    positive_index: IntArray
    is_irrelevant: BoolArray

    def of_two_items(self) -> _Pairs:
        """The pairs whose positive and negative are not one item."""
        kept = self.positive.item != self.negative.item
        return _Pairs(
            self.positive.take(kept), self.negative.take(kept), self.positive_index[kept], self.is_irrelevant[kept]
        )


def _downsample(owners: IntArray, eligible: BoolArray, share: float, rng: np.random.Generator) -> BoolArray:
    """Keep ceil(share * n) of each owner's n eligible entries, drawn at random; bool[entries]."""
    if share >= 1.0:
        return eligible
    index = np.flatnonzero(eligible)
    order = index[np.lexsort((rng.random(len(index)), owners[index]))]
    sorted_owners = owners[order]
    counts = np.bincount(sorted_owners, minlength=int(owners.max(initial=0)) + 1)
    place = np.arange(len(order)) - (np.cumsum(counts) - counts)[sorted_owners]
    kept = np.zeros(len(owners), dtype=bool)
    kept[order[place < np.ceil(share * counts[sorted_owners] - 1e-9)]] = True
    return kept


def _pairs_within_sessions(positives: _Entry, shown: _Entry) -> _Pairs:
    """Every positive of a session with every kept negative of the same session."""
    num_sessions = int(max(positives.session.max(initial=-1), shown.session.max(initial=-1))) + 1
    offsets = np.concatenate(([0], np.cumsum(np.bincount(shown.session, minlength=num_sessions))))
    negative, positive = flat_rows(positives.session, offsets)
    return _Pairs(positives.take(positive), shown.take(negative), positive, np.zeros(len(positive), dtype=bool))


def _pairs_with_irrelevant(positives: _Entry, irrelevant: _Entry, batch: int, rng: np.random.Generator) -> _Pairs:
    """Results of each irrelevant session with the positives of one other session, drawn at random."""
    offsets = np.concatenate(([0], np.cumsum(np.bincount(positives.session, minlength=batch))))
    with_positives = np.flatnonzero(np.diff(offsets))
    if not len(with_positives):
        nothing = np.zeros(0, dtype=np.int64)
        return _Pairs(positives.take(nothing), irrelevant.take(nothing), nothing, np.zeros(0, dtype=bool))
    drawn = with_positives[rng.integers(len(with_positives), size=batch)]
    positive, negative = flat_rows(drawn[irrelevant.session], offsets)
    # A positive counts once for each irrelevant session it stands against: those are other lists.
    index = len(positives) + irrelevant.session[negative] * max(len(positives), 1) + positive
    return _Pairs(positives.take(positive), irrelevant.take(negative), index, np.ones(len(positive), dtype=bool))


def _assemble(pairs: list[_Pairs]) -> PairPlan:
    positive_query = np.concatenate([part.positive.query for part in pairs])
    negative_query = np.concatenate([part.negative.query for part in pairs])
    positive_item = np.concatenate([part.positive.item for part in pairs])
    negative_item = np.concatenate([part.negative.item for part in pairs])
    queries, query_index = _distinct(np.concatenate((positive_query, negative_query)))
    items, item_index = _distinct(np.concatenate((positive_item, negative_item)))
    _, positive_index = _distinct(np.concatenate([part.positive_index for part in pairs]))
    size = len(positive_query)
    weights = [part.positive.weight for part in pairs if part.positive.weight is not None]
    return PairPlan(
        query_rows=queries,
        item_rows=items,
        positive_query=query_index[:size],
        positive_item=item_index[:size],
        negative_query=query_index[size:],
        negative_item=item_index[size:],
        positive_confidence=np.concatenate([part.positive.confidence for part in pairs]),
        negative_confidence=np.concatenate([part.negative.confidence for part in pairs]),
        positive_index=positive_index.astype(np.int64),
        is_irrelevant=np.concatenate([part.is_irrelevant for part in pairs]),
        weight=np.concatenate(weights) if weights else None,
    )


def _distinct(values: IntArray) -> tuple[IntArray, IntArray]:
    """The distinct values, ascending, and for each value which of them it is.

    As np.unique gives them; where pairs are many and values few, in time that is linear.
    """
    lowest, highest = (int(values.min()), int(values.max())) if len(values) else (0, -1)
    span = highest - lowest + 1
    if span > _SPAN_A_VALUE * len(values):
        distinct, index = np.unique(values, return_inverse=True)
        return distinct, index
    shifted = values - lowest
    is_there = np.zeros(span, dtype=bool)
    is_there[shifted] = True
    number: IntArray = np.cumsum(is_there) - 1
    return (np.flatnonzero(is_there) + lowest).astype(values.dtype), number[shifted]
