from __future__ import annotations

import json
from pathlib import Path

import pytest

from hft.data import Quarantine
from hft.data.quarantine import ALWAYS_ALLOWED
from hft.errors import DataError, StorageError


def entries(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_is_kept_with_its_place_and_reason(tmp_path: Path) -> None:
    path = tmp_path / "quarantine.jsonl"
    with Quarantine(path, 0.5) as quarantine:
        quarantine.saw("clicks.jsonl", 3)
        quarantine.add("clicks.jsonl", 2, "malformed JSON", "{'no'}")
        quarantine.add("clicks.jsonl", 3, "not UTF-8", b"caf\xe9")
        quarantine.mended("clicks.jsonl", 1, "a result was left out", "lone \ud800")
    assert entries(path) == [
        {"file": "clicks.jsonl", "line": 2, "reason": "malformed JSON", "raw": "{'no'}", "kept": False},
        {"file": "clicks.jsonl", "line": 3, "reason": "not UTF-8", "raw": "caf\\xe9", "kept": False},
        {"file": "clicks.jsonl", "line": 1, "reason": "a result was left out", "raw": "lone \ud800", "kept": True},
    ]
    assert quarantine.count == 2
    assert quarantine.written == path


def test_no_file_appears_without_a_malformed_line(tmp_path: Path) -> None:
    with Quarantine(tmp_path / "quarantine.jsonl", 0.5) as quarantine:
        quarantine.saw("clicks.jsonl", 3)
        quarantine.check("clicks.jsonl")
    assert list(tmp_path.iterdir()) == []
    assert quarantine.written is None


def test_too_large_a_share_stops_and_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "quarantine.jsonl"
    quarantine = Quarantine(path, 0.01)
    quarantine.saw("clicks.jsonl", 2000)
    for line in range(20):
        quarantine.add("clicks.jsonl", line, "malformed JSON", "{")
    quarantine.check("clicks.jsonl")
    quarantine.add("clicks.jsonl", 21, "malformed JSON", "{")
    with pytest.raises(DataError) as error:
        quarantine.check("clicks.jsonl")
    for part in (
        "clicks.jsonl",
        "21 of 2000",
        "1.1%",
        "1.0%",
        "data.max_quarantined_share",
        str(path),
        "malformed JSON",
    ):
        assert part in str(error.value)
    assert len(entries(path)) == 21


def test_the_share_is_told_for_each_file_alone() -> None:
    quarantine = Quarantine(None, 0.01)
    quarantine.saw("items.jsonl", 1000)
    quarantine.saw("clicks.jsonl", 10)
    quarantine.add("items.jsonl", 1, "no text", "{")
    for line in range(6):
        quarantine.add("clicks.jsonl", line, f"fault {line // 2}", "{")
    quarantine.check("items.jsonl")
    with pytest.raises(DataError, match=r"6 of 10.*frequent: fault 0 \(2\); fault 1 \(2\); fault 2 \(2\)\. ") as error:
        quarantine.check("clicks.jsonl")
    assert "no text" not in str(error.value)


@pytest.mark.parametrize(("read", "allowed"), [(1, 0), (3, 1), (60, ALWAYS_ALLOWED), (900, ALWAYS_ALLOWED), (2000, 20)])
def test_a_few_lines_are_allowed_whatever_their_share_but_not_half_of_a_file(read: int, allowed: int) -> None:
    quarantine, strict = Quarantine(None, 0.01), Quarantine(None, 0.0)
    for one in (quarantine, strict):
        one.saw("clicks.jsonl", read)
        for line in range(allowed):
            one.add("clicks.jsonl", line, "malformed JSON", "{")
    quarantine.check("clicks.jsonl")
    assert strict.is_too_full("clicks.jsonl") == (allowed > 0)
    quarantine.add("clicks.jsonl", read, "malformed JSON", "{")
    with pytest.raises(DataError, match=f"{allowed + 1} of {read} lines"):
        quarantine.check("clicks.jsonl")


def test_a_mended_line_does_not_count_for_the_share() -> None:
    quarantine = Quarantine(None, 0.0)
    quarantine.saw("clicks.jsonl", 1)
    quarantine.mended("clicks.jsonl", 1, "a result was left out", "{}")
    quarantine.check("clicks.jsonl")
    assert quarantine.reasons == {"a result was left out": 1}


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with (
        pytest.raises(StorageError, match=r"quarantine\.jsonl"),
        Quarantine(blocked / "quarantine.jsonl") as quarantine,
    ):
        quarantine.add("clicks.jsonl", 1, "malformed JSON", "{")
