"""Sessions that are added one by one become columns."""

from __future__ import annotations

from hft.data import ClickLog, ItemsSet
from hft.data.session_columns import SessionColumns


def test_a_session_says_where_its_results_stood_where_some_were_left_out(items: ItemsSet) -> None:
    columns = SessionColumns(items, block=2)
    for number, positions in enumerate((None, [0, 3], None, None, [1, 2])):
        columns.append(
            f"s{number}", "query", [0, 1], [1.0, 0.0], None, None, False, None, None, None, positions=positions
        )
    inputs = columns.finish()
    assert ClickLog.of(inputs).positions.tolist() == [0, 1, 0, 3, 0, 1, 0, 1, 1, 2]
    assert not inputs.select([0, 2]).is_cut
