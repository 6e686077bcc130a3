"""Which of the sessions that were read a run takes: a batch, a window of time, what the converter leaves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hft.data.batches import select_batch, with_batches
from hft.data.time_window import Window, select_window
from hft.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hft.data.conversion import SessionConverter
    from hft.data.inputs import FineTuningInputs
    from hft.data.source import SourceData


@dataclass(frozen=True)
class Selection:
    """What to take.

    Args:
        batch_id: the sessions of this batch only; None takes all.
        num_batches: so many batches are made of sessions without batch ids; None makes none.
        time_window: [from, to) in seconds since the epoch; None takes all.
        no_event_is_irrelevant: sessions without an event are flagged as irrelevant.
    """

    batch_id: str | None
    num_batches: int | None
    time_window: Window | None
    no_event_is_irrelevant: bool


@dataclass(frozen=True)
class Selected:
    """The sessions taken, and the counts of what was left out or changed on the way."""

    inputs: FineTuningInputs
    dropped: Counter[str]
    changed: dict[str, int]
    notes: tuple[str, ...]


def selected(
    data: SourceData, selection: Selection, converter: SessionConverter | None, noise_words: Sequence[str]
) -> Selected:
    """The sessions that a run takes of a source's.

    The converter sees the sessions of the batch and the window only: what it says of a batch is the same whatever
    batches came since.

    Raises:
        DataError: nothing is left, or nothing to learn from.
    """
    inputs, dropped = data.inputs, Counter(data.dropped)
    changed: dict[str, int] = {}
    notes: tuple[str, ...] = ()
    if selection.num_batches is not None:
        inputs = with_batches(inputs, selection.num_batches, noise_words)
    if selection.batch_id is not None:
        inputs = select_batch(inputs, selection.batch_id)
    if selection.time_window is not None and len(inputs):
        inputs, left_out = select_window(inputs, selection.time_window)
        dropped.update(left_out)
    if converter is not None:
        converted = converter.convert(inputs)
        inputs, changed, notes = converted.inputs, dict(converted.changed), converted.notes
        dropped.update(converted.dropped)
    inputs = _with_irrelevant(inputs, selection.no_event_is_irrelevant)
    _require_evidence(inputs, dropped, changed)
    return Selected(inputs, dropped, changed, notes)


def _with_irrelevant(inputs: FineTuningInputs, no_event_is_irrelevant: bool) -> FineTuningInputs:
    """Irrelevant sessions lose their events; by option a session without an event is irrelevant."""
    flagged = inputs.is_irrelevant
    if no_event_is_irrelevant:
        inputs = with_unclicked_flagged(inputs, ~inputs.has_event & ~inputs.is_judged)
        flagged = inputs.is_irrelevant
    if not flagged.any():
        return inputs
    events = np.where(np.repeat(flagged, np.diff(inputs.offsets)), np.float32(0), inputs.flat_events)
    return inputs.with_events(events.astype(np.float32))


def with_unclicked_flagged(inputs: FineTuningInputs, unclicked: NDArray[np.bool_]) -> FineTuningInputs:
    """The sessions with those without an event (`bool[sessions]`) flagged as irrelevant, as `irrelevant_unclicked`
    says of each that its source did not flag."""
    added = unclicked & ~inputs.is_irrelevant
    if not added.any():
        return inputs
    return inputs.replace(is_irrelevant=inputs.is_irrelevant | added, irrelevant_unclicked=added)


def _require_evidence(inputs: FineTuningInputs, dropped: Counter[str], changed: dict[str, int]) -> None:
    if len(inputs) == 0:
        raise DataError("data.source: no session is left. See what was left out: " + _reasons(dropped))
    if not inputs.has_event.any() and not (inputs.flat_grades > 0).any():
        why = f" What the converter changed: {_reasons(Counter(changed))} (data.converter)." if changed else ""
        raise DataError(
            f"data.source: none of the {len(inputs)} sessions has an event, so there is nothing to learn "
            f"from. Expected at least one result that somebody picked. Check that the events are read "
            f"(for session files: data.source.fields.events).{why}"
        )


def _reasons(dropped: Counter[str]) -> str:
    return "; ".join(f"{count} {reason}" for reason, count in dropped.items() if count) or "nothing was read"
