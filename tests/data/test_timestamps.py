"""Times since 1970 in seconds or less are read after their magnitude, whatever the file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hft.data import Quarantine, SessionFiles, SourceData, SqlSessions
from hft.errors import DataError

Write = Callable[[str, Any], Path]

# 2026-01-02T00:00:00.25Z, and how it is written.
SECONDS = 1767312000.25
WRITTEN = {
    "seconds": SECONDS,
    "milliseconds": 1767312000250,
    "microseconds": 1767312000250000,
    "nanoseconds": 1767312000250000000,
}


def sessions(*times: Any) -> list[dict[str, Any]]:
    return [{"query": f"q{n}", "results": ["a", "b"], "events": ["a"], "timestamp": t} for n, t in enumerate(times)]


@pytest.fixture
def items_file(write: Write) -> Path:
    return write("items.jsonl", [{"item_id": name, "text": f"text {name}"} for name in "ab"])


@pytest.fixture
def read(write: Write, items_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., SourceData]:
    """read(kind of the source, times)"""

    def read_times(kind: str, *times: Any) -> SourceData:
        lines, path = sessions(*times), tmp_path / f"sessions.{kind}"
        if kind == "sql":
            monkeypatch.setenv("HFT_DATABASE_URL", f"sqlite:///{tmp_path / 'log.db'}")
            database = sqlite3.connect(tmp_path / "log.db")
            database.execute("CREATE TABLE s (query, timestamp)")
            database.executemany("INSERT INTO s VALUES (?, ?)", [(line["query"], line["timestamp"]) for line in lines])
            database.commit()
            query = "SELECT query, timestamp, 'a|b' AS results, 'a' AS events FROM s ORDER BY query"
            items = "SELECT 'a' AS item_id, 'text a' AS text UNION SELECT 'b', 'text b' ORDER BY 1"
            return SqlSessions("HFT_DATABASE_URL", query, items).read(Quarantine(None, 0.0))
        if kind == "parquet":
            pq.write_table(pa.Table.from_pylist(lines), path)
        elif kind == "csv":
            write(
                path.name, ["query,results,events,timestamp", *(f"{x['query']},a|b,a,{x['timestamp']}" for x in lines)]
            )
        else:
            write(path.name, lines)
        return SessionFiles(path, items_file).read(Quarantine(None, 0.0))

    return read_times


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet", "sql"])
@pytest.mark.parametrize("unit", WRITTEN)
def test_the_unit_of_a_number_is_told_by_its_magnitude(unit: str, kind: str, read: Callable[..., SourceData]) -> None:
    # The first line takes the careful way, the others the short one.
    data = read(kind, *[WRITTEN[unit]] * 3)
    assert [session.timestamp for session in data.inputs] == pytest.approx([SECONDS] * 3, abs=1e-6)
    told = f"timestamps that are numbers beyond 100,000,000,000 were read as {unit} since 1970"
    assert data.notes == (() if unit == "seconds" else (told,))


def test_the_short_way_says_the_unit_too_and_texts_stay(read: Callable[..., SourceData]) -> None:
    data = read("jsonl", "2026-01-02T00:00:00.25Z", WRITTEN["milliseconds"], -5, "2026-01-02T00:00:00.25Z")
    assert [session.timestamp for session in data.inputs] == [SECONDS, SECONDS, -5.0, SECONDS]
    assert "milliseconds" in data.notes[0]


@pytest.mark.parametrize("time", ["24.12.2026 13:00", [], "soon"])
def test_what_is_no_time_says_what_is_expected(time: Any, read: Callable[..., SourceData]) -> None:
    with pytest.raises(DataError, match=r"'timestamp': expected an ISO 8601.*or seconds or milliseconds since 1970"):
        read("jsonl", *[time] * 3)
