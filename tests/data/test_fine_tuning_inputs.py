from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hft.data import INPUTS_SCHEMA, FineTuningInput, FineTuningInputs, ItemsSet, Labels

Make = Callable[..., FineTuningInputs]


def test_a_session_reads_back_as_a_fine_tuning_input(make_inputs: Make) -> None:
    inputs = make_inputs([("fruit", "bca", [0, 2, 0])], timestamp=[12.5], batch_id=["monday"])
    assert inputs[0] == FineTuningInput(
        "s0", "fruit", ("b", "c", "a"), (0.0, 2.0, 0.0), timestamp=12.5, batch_id="monday"
    )
    assert inputs.table.schema.equals(INPUTS_SCHEMA)


def test_sessions_are_ragged_rows_of_flat_arrays(make_inputs: Make) -> None:
    inputs = make_inputs([("one", "ab", [1, 0]), ("two", "cde", [0, 0, 3])])
    assert inputs.offsets.tolist() == [0, 2, 5]
    assert inputs.flat_results.tolist() == [0, 1, 2, 3, 4]
    assert inputs.flat_events.tolist() == [1, 0, 0, 0, 3]
    assert inputs.flat_results.dtype == np.int32
    assert inputs.flat_events.dtype == np.float32
    assert inputs.has_event.tolist() == [True, True]


def test_select_keeps_order_and_takes_masks(make_inputs: Make) -> None:
    inputs = make_inputs([("one", "ab", [1, 0]), ("two", "cde", [0, 0, 3]), ("three", "fa", [0, 0])])
    assert inputs.select([2, 0]).queries == ["three", "one"]
    picked = inputs.select(np.array([False, True, True]))
    assert picked.queries == ["two", "three"]
    assert picked.flat_results.tolist() == [2, 3, 4, 5, 0]
    assert len(inputs.select([])) == 0
    assert inputs.select([]).offsets.tolist() == [0]


def test_results_and_events_must_match(items: ItemsSet, make_inputs: Make) -> None:
    table = make_inputs([("one", "ab", [1, 0])]).table
    events = pa.array([[1.0]], type=pa.list_(pa.float32()))
    with pytest.raises(ValueError, match="events"):
        FineTuningInputs(table.set_column(3, INPUTS_SCHEMA.field("events"), events), items)


def test_labels_are_the_known_relevance_else_the_events(make_inputs: Make) -> None:
    inputs = make_inputs([("one", "ab", [1, 0]), ("two", "cd", [0, 5])], judged=[{"f": 2.0, "b": 1.0}, None])
    labels = inputs.labels()
    assert labels.offsets.tolist() == [0, 2, 4]
    assert labels.rows.tolist() == [5, 1, 2, 3]
    assert labels.grades.tolist() == [2, 1, 0, 5]
    assert inputs.shown_gains().tolist() == [0, 1, 0, 5]
    assert inputs.is_judged.tolist() == [True, False]


_sessions = st.lists(
    st.tuples(
        st.lists(st.integers(0, 9), max_size=5, unique=True),
        st.one_of(st.none(), st.dictionaries(st.integers(0, 9), st.integers(0, 3), min_size=1, max_size=5)),
    ),
    max_size=8,
)


@given(_sessions)
def test_gains_of_shown_results_equal_a_look_up(sessions: list[tuple[list[int], dict[int, int] | None]]) -> None:
    items = ItemsSet.from_columns([str(row) for row in range(10)], ["text"] * 10)
    shown = [row for results, _ in sessions for row in results]
    judged = [known or {} for _, known in sessions]
    inputs = FineTuningInputs.from_columns(
        items,
        [str(number) for number in range(len(sessions))],
        ["query"] * len(sessions),
        offsets=np.cumsum([0] + [len(results) for results, _ in sessions]).astype(np.int64),
        results=np.array(shown, dtype=np.int32),
        events=np.array([row % 2 for row in shown], dtype=np.float32),
        judgements=Labels(
            np.cumsum([0] + [len(known) for known in judged]).astype(np.int64),
            np.array([row for known in judged for row in known], dtype=np.int32),
            np.array([grade for known in judged for grade in known.values()], dtype=np.float32),
        ),
    )
    expected = [row % 2 if known is None else known.get(row, 0) for results, known in sessions for row in results]
    assert inputs.shown_gains().tolist() == expected
