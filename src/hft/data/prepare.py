"""From a source to RankingData: read, split, hold out, show, leave out what nothing can be learned from."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from hft.data.assignment import Assignment, assignment_of
from hft.data.held_out import leaks, relevant_items, showable_items
from hft.data.kept import kept_or_prepared
from hft.data.leakage import leakage_of
from hft.data.parts_of_train import LEFT_OUT, fold_assigned, shared_train
from hft.data.pools import evaluation_pools
from hft.data.quarantine import Quarantine
from hft.data.ranking_data import RankingData
from hft.data.report import PreparationReport, SplitCounts
from hft.data.selection import Selected, Selection, selected, with_unclicked_flagged
from hft.data.splitters import SPLITS, TEST, TRAIN, QuerySplitter
from hft.data.text_length import MAX_TEXT_LENGTH, within_length
from hft.data.time_window import Window, time_window_of
from hft.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hft.data.conversion import SessionConverter
    from hft.data.inputs import FineTuningInputs
    from hft.data.source import SessionSource, SourceData, Splitter
    from hft.stores import StoreFolder


def prepare_ranking_data(
    source: SessionSource,
    splitter: Splitter,
    *,
    candidates: Literal["shown", "corpus"],
    converter: SessionConverter | None = None,
    batch_id: str | int | None = None,
    time_window: Sequence[str | float | None] | None = None,
    num_batches: Annotated[int, Field(ge=2)] | None = None,
    max_quarantined_share: Annotated[float, Field(ge=0.0, le=1.0)] = 0.01,
    max_text_length: Annotated[int, Field(ge=1)] | None = MAX_TEXT_LENGTH,
    quarantine_path: Path | str | None = None,
    no_event_is_irrelevant: bool = False,
    limit_sessions: Annotated[int, Field(ge=1)] | None = None,
    limit_items: Annotated[int, Field(ge=1)] | None = None,
    validation_pool: Annotated[int, Field(ge=1)] = 1000,
    train_share: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0,
    fold: Sequence[int] | None = None,
    seed: Annotated[int, Field(ge=0)] = 0,
    required_splits: Sequence[str] = SPLITS,
    keep_seen_queries: bool = False,
    keep_without_event: bool = False,
    look: Callable[[FineTuningInputs], object] | None = None,
    store: StoreFolder | None = None,
) -> RankingData:
    """Read a source and make it ready for training and evaluation.

    Sessions without an event teach nothing: they leave train, and leave evaluation too unless their relevance is
    known. A session whose query (by its near-duplicate key) is held out more strictly leaves its split.

    Args:
        source: where sessions and items come from.
        splitter: what is held out.
        candidates: what evaluation ranks: `shown` lists, or a pool of the `corpus`.
        converter: what becomes of the sessions of the batch and the window before they are split; None: nothing.
        batch_id: take only the sessions of this batch of clickstream; None takes all.
        time_window: take only the sessions from the first moment on and before the second (see time_window_of), those
            without a timestamp left out; null is an open end; None takes all.
        num_batches: make so many batches of sessions that carry no batch id (see with_batches); None makes none.
        max_quarantined_share: share of a file's lines that may be malformed, 0..1 (see Quarantine).
        max_text_length: characters of a query or of an item's text; a longer one is cut, and counted; None: none is.
        quarantine_path: where malformed lines are kept; None only counts them.
        no_event_is_irrelevant: flag sessions without an event as irrelevant. Of a source's own sessions, those whose
            relevance is known stay as they are; of simulated ones, each without a click is flagged, and evaluation
            measures it by its known relevance all the same.
        limit_sessions: keep at most so many sessions a split, by a seeded draw; None keeps all.
        limit_items: keep at most so many items in the pools that evaluation ranks; relevant ones always stay.
        validation_pool: items that validation ranks for each query (where candidates is `corpus`).
        train_share: share of the training sessions to learn from, above 0; a smaller share is part of a larger one.
            Validation, test and the pools stay as they are.
        fold: (i, k): of k folds of the training part the i-th, from 0, takes validation's place, whose own sessions are
            left out; None: no cross-validation. Test's sessions and lists stay as they are.
        seed: of the draws above.
        required_splits: splits that must not end up empty.
        keep_seen_queries: keep sessions whose query is held out from their split, to measure what that gives away.
        keep_without_event: keep sessions without an event: those of train in it, though no pair comes from them, for a
            click model that is fitted on sessions with clicks alone takes people for more eager than they are; those of
            validation and test beside (`RankingData.unclicked`), where nothing but a click model sees them.
        look: is shown the sessions that were taken (batch, window, converter), before they are split and those without
            an event are left out; nothing is taken from the store then.
        store: where what is prepared is kept for the next time; None keeps nothing. The data is the same either way.

    Raises:
        ConfigError: a time window that is none.
        DataError: nothing usable, too many malformed lines, an unknown batch, an empty window, a field that the
            splitter needs is not there, or a required split is empty.
        StorageError: the quarantine file cannot be written.
    """
    options = _Options(
        candidates=candidates,
        batch_id=None if batch_id is None else str(batch_id),
        num_batches=num_batches,
        time_window=None if time_window is None else time_window_of(time_window),
        max_quarantined_share=max_quarantined_share,
        max_text_length=max_text_length,
        no_event_is_irrelevant=no_event_is_irrelevant,
        limit_sessions=limit_sessions,
        limit_items=limit_items,
        validation_pool=validation_pool,
        train_share=train_share,
        fold=None if fold is None else tuple(fold),
        seed=seed,
        keep_seen_queries=keep_seen_queries,
        keep_without_event=keep_without_event,
    )
    where = None if quarantine_path is None else Path(quarantine_path)
    prepare = partial(_prepared, source, splitter, converter, options, where, tuple(required_splits), look)
    rules = {} if converter is None else converter.identity()
    if store is None or rules is None or look is not None:
        return prepare()
    return kept_or_prepared(
        prepare,
        source,
        splitter,
        store,
        options={**asdict(options), "converter": rules},
        quarantine_path=where,
        required_splits=tuple(required_splits),
    )


@dataclass(frozen=True)
class _Options:
    """As prepare_ranking_data takes them: all that decides what is prepared beside source and splitter."""

    candidates: Literal["shown", "corpus"]
    batch_id: str | None
    num_batches: int | None
    time_window: Window | None
    max_quarantined_share: float
    max_text_length: int | None
    no_event_is_irrelevant: bool
    limit_sessions: int | None
    limit_items: int | None
    validation_pool: int
    train_share: float
    fold: tuple[int, ...] | None
    seed: int
    keep_seen_queries: bool
    keep_without_event: bool


def _prepared(
    source: SessionSource,
    splitter: Splitter,
    converter: SessionConverter | None,
    options: _Options,
    quarantine_path: Path | None,
    required_splits: tuple[str, ...],
    look: Callable[[FineTuningInputs], object] | None,
) -> RankingData:
    started = time.perf_counter()
    with Quarantine(quarantine_path, options.max_quarantined_share, options.max_text_length) as quarantine:
        data = within_length(source.read(quarantine), quarantine, type(source).__name__)
    noise_words = tuple(getattr(splitter, "noise_words", ()))
    wanted = Selection(options.batch_id, options.num_batches, options.time_window, options.no_event_is_irrelevant)
    found = selected(data, wanted, converter, noise_words)
    dropped = found.dropped
    if look is not None:
        look(found.inputs)
    placed = assignment_of(found.inputs, data.items, splitter, dropped, keep_seen=options.keep_seen_queries)
    inputs, assigned = placed.inputs, placed.splits
    leaking = leaks(inputs, assigned, noise_words) & (not placed.seen_queries)
    dropped["sessions whose query is held out from their split"] += int(leaking.sum())
    needed = needed_of_test = relevant_items(inputs, np.where(leaking, LEFT_OUT, assigned))
    if options.fold is not None:
        assigned = np.where(leaking, LEFT_OUT, assigned).astype(np.int8)
        assigned = fold_assigned(inputs, assigned, splitter, options.fold)
        leaking = (assigned == LEFT_OUT) | (leaks(inputs, assigned, noise_words) & (not placed.seen_queries))
        needed = relevant_items(inputs, np.where(leaking, LEFT_OUT, assigned))
    splits, unclicked = {}, {}
    for number, name in enumerate(SPLITS):
        part = inputs.select((assigned == number) & ~leaking)
        rng = np.random.default_rng([options.seed, number])
        showable = showable_items(needed_of_test if number == TEST else needed, number)
        showable = placed.allowed(showable, number, folded=options.fold is not None)
        part, without = _complete(part, number, data, showable, options, rng, dropped)
        if without is not None:
            unclicked[name] = without
        splits[name] = shared_train(part, splitter, options.train_share) if number == TRAIN and len(part) else part
        if len(splits[name]) == 0 and name in required_splits:
            raise DataError(_empty_split_message(name, assigned, inputs, splitter))
    pools: dict[str, NDArray[np.int32]] = {}
    if options.candidates == "corpus":
        pools = evaluation_pools(
            splits["validation"], splits["test"], needed, options.validation_pool, options.limit_items, options.seed
        )
    report = _report(data, quarantine, found, placed, splits, pools, noise_words)
    report = replace(report, seconds=time.perf_counter() - started)
    return RankingData(
        data.items,
        splits["train"],
        splits["validation"],
        splits["test"],
        candidates=options.candidates,
        pools=pools,
        report=report,
        noise_words=noise_words,
        unclicked=unclicked,
    )


def _report(
    data: SourceData,
    quarantine: Quarantine,
    found: Selected,
    placed: Assignment,
    splits: dict[str, FineTuningInputs],
    pools: dict[str, NDArray[np.int32]],
    noise_words: tuple[str, ...],
) -> PreparationReport:
    held_out = {name: splits[name] for name in ("validation", "test") if len(splits[name]) and len(splits["train"])}
    return PreparationReport(
        items=len(data.items),
        read=dict(quarantine.read),
        quarantined=dict(quarantine.left_out),
        reasons=quarantine.told_reasons(),
        dropped={reason: count for reason, count in found.dropped.items() if count},
        converted=found.changed,
        splits={name: _count(part, len(pools[name]) if name in pools else None) for name, part in splits.items()},
        leakage={name: leakage_of(splits["train"], part, noise_words) for name, part in held_out.items()},
        learns_from=data.learns_from,
        notes=data.notes + found.notes + placed.notes,
        item_fields={name: list(fields) for name, fields in data.item_fields.items()},
        warnings=data.warnings,
        quarantine_file=None if quarantine.written is None else str(quarantine.written),
    )


def _complete(
    inputs: FineTuningInputs,
    split: int,
    data: SourceData,
    showable: NDArray[np.int32],
    options: _Options,
    rng: np.random.Generator,
    dropped: Counter[str],
) -> tuple[FineTuningInputs, FineTuningInputs | None]:
    """The sessions of a split: shown lists made where the source has none, useless ones left out, limited; and beside
    them those that a click model alone shall see, where there are any."""
    limit, before = options.limit_sessions, len(inputs)
    beyond = f"{SPLITS[split]} sessions beyond data.limit_sessions={limit}"
    if data.impressions is not None:
        inputs = _limited(inputs, limit, rng)
        dropped[beyond] += before - len(inputs)
        inputs = data.impressions(inputs, showable, None if split == TRAIN else 1)
        if options.no_event_is_irrelevant:
            inputs = with_unclicked_flagged(inputs, ~inputs.has_event)
    useful = inputs.is_irrelevant | inputs.has_event
    if split != TRAIN:
        useful = useful | inputs.has_positive_grade
    elif options.keep_without_event:
        useful = np.ones(len(inputs), dtype=np.bool_)
    others, inputs = inputs.select(~useful), inputs.select(useful)
    kept = _limited(inputs, limit, rng)
    dropped[beyond] += len(inputs) - len(kept)
    if not len(others):
        return kept, None
    if not (options.keep_without_event and len(kept)):
        dropped[f"{SPLITS[split]} sessions without an event"] += len(others)
        return kept, None
    dropped[f"{SPLITS[split]} sessions without an event (the click model alone reads them)"] += len(others)
    # As large a part of them as of the others, or the rates of clicks would be other ones.
    return kept, _limited(others, round(len(others) * len(kept) / len(inputs)), rng)


def _limited(inputs: FineTuningInputs, limit: int | None, rng: np.random.Generator) -> FineTuningInputs:
    if limit is None or len(inputs) <= limit:
        return inputs
    return inputs.select(np.sort(rng.permutation(len(inputs))[:limit]))


def _empty_split_message(name: str, assigned: NDArray[np.int8], inputs: FineTuningInputs, splitter: Splitter) -> str:
    counts = np.bincount(assigned[assigned >= 0], minlength=len(SPLITS))
    found = ", ".join(f"{split} {count}" for split, count in zip(SPLITS, counts, strict=True))
    other = "by_group" if isinstance(splitter, QuerySplitter) else "by_query"
    return (
        f"data.splitter ({type(splitter).__name__}): no session is left for {name} (sessions by split: "
        f"{found}; {len(inputs.coded_queries.used)} distinct queries). Training needs sessions with an event in train, "
        f"validation and test. Choose another splitter (data/splitter={other}), change its shares "
        f"(data.splitter.validation, data.splitter.test), or give more sessions."
    )


def _count(inputs: FineTuningInputs, pool: int | None) -> SplitCounts:
    return SplitCounts(
        sessions=len(inputs),
        queries=len(inputs.coded_queries.used),
        results=len(inputs.flat_results),
        events=int((inputs.flat_events > 0).sum()),
        irrelevant=int(inputs.is_irrelevant.sum()),
        pool=pool,
    )
