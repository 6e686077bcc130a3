"""steps.jsonl keeps every digit, survives a crash, and knows which values an equal run repeats."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np
import pytest

from hft.errors import DataError
from hft.experiments import StepsWriter, read_steps, steps_hash


def write(path: Path, *rows: dict[str, object]) -> list[dict[str, object]]:
    with StepsWriter(path) as writer:
        for row in rows:
            writer.write(row)
    return read_steps(path)


def test_a_float_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    value = struct.unpack("d", struct.pack("Q", 0x3FD5555555555555))[0]
    (row,) = write(tmp_path / "steps.jsonl", {"step": 1, "train_loss": value, "rate": np.float32(0.1)})
    assert struct.pack("d", row["train_loss"]) == struct.pack("d", value)
    assert row["rate"] == float(np.float32(0.1))


def test_values_that_json_lacks_come_back(tmp_path: Path) -> None:
    (row,) = write(tmp_path / "steps.jsonl", {"step": 1, "a": math.nan, "b": math.inf, "c": -math.inf})
    assert math.isnan(row["a"])  # type: ignore[arg-type]
    assert (row["b"], row["c"]) == (math.inf, -math.inf)


def test_a_row_is_on_disk_before_the_writer_is_closed(tmp_path: Path) -> None:
    writer = StepsWriter(tmp_path / "steps.jsonl")
    writer.write({"step": 1})
    assert [row["step"] for row in read_steps(tmp_path / "steps.jsonl")] == [1]
    writer.close()


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "steps.jsonl"
    write(path, {"step": 1}, {"step": 2})
    path.write_bytes(path.read_bytes()[:-9])
    assert [row["step"] for row in read_steps(path)] == [1]


def test_a_writer_cuts_a_torn_line_off_before_it_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "steps.jsonl"
    write(path, {"step": 1}, {"step": 2})
    path.write_bytes(path.read_bytes()[:-9])
    assert [row["step"] for row in write(path, {"step": 2})] == [1, 2]


def test_a_resumed_run_drops_the_rows_that_come_again(tmp_path: Path) -> None:
    path = tmp_path / "steps.jsonl"
    write(path, {"step": 1}, {"step": 2}, {"step": 2, "validation_loss": 1.0})
    with StepsWriter(path, keep=1) as steps:
        assert [row["step"] for row in steps.rows] == [1]
    assert [row["step"] for row in read_steps(path)] == [1]


def test_a_row_that_comes_again_as_it_was_keeps_its_time(tmp_path: Path) -> None:
    """A store that has it already, with that time, would take it for another one."""
    path = tmp_path / "steps.jsonl"
    before = write(path, {"step": 1}, {"step": 2, "loss": 0.5, "time": 7.0}, {"step": 3, "loss": 0.5, "time": 8.0})
    with StepsWriter(path, keep=1) as steps:
        steps.write({"step": 2, "loss": 0.5})
        steps.write({"step": 3, "loss": 0.25, "time": 9.0})
        assert steps.count == 3
    now = read_steps(path)
    assert now[:2] == before[:2]
    assert now[2] == {"step": 3, "loss": 0.25, "time": 9.0}


@pytest.mark.parametrize("line", [b"not json", b"[1, 2]", b'{"loss": 1.0}'])
def test_a_broken_line_in_the_middle_is_named(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "steps.jsonl"
    path.write_bytes(b'{"step": 1}\n' + line + b'\n{"step": 3}\n')
    with pytest.raises(DataError, match=r"steps\.jsonl:2: "):
        read_steps(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"steps\.jsonl: the steps of the run cannot be read"):
        read_steps(tmp_path / "steps.jsonl")


def test_the_hash_leaves_out_what_times_a_run_and_sees_everything_else() -> None:
    row = {"step": 1, "train_loss": 0.5, "time": 1.0, "step_seconds": 2.0, "sessions_per_second": 3.0}
    slower = {**row, "time": 9.0, "step_seconds": 9.0, "sessions_per_second": 9.0}
    assert steps_hash([row]) == steps_hash([slower])
    assert steps_hash([row]) != steps_hash([{**row, "train_loss": math.nextafter(0.5, 1)}])
