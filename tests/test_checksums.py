"""A damaged file is told from a whole one, whichever of its bits was flipped."""

from __future__ import annotations

import json

import pytest
import yaml

from hft import checksums
from hft.checksums import (
    check_file,
    check_folder,
    file_checksum,
    read_sealed,
    sealed_json,
    sealed_row,
    sealed_yaml,
    unsealed_row,
    whole_lines,
    write_checksums,
)
from hft.errors import DamagedError

CONTENT = {"name": "größer", "value": 0.5, "list": [1, 2]}


def flipped(content: bytes):
    for place in range(len(content)):
        for bit in range(8):
            yield content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :]


def read_or_refused(path, parse):
    try:
        return parse(read_sealed(path))
    except (DamagedError, ValueError, yaml.YAMLError):
        return None


@pytest.mark.parametrize(
    ("write", "parse"),
    [
        (lambda c: sealed_yaml(yaml.dump(c)), yaml.safe_load),
        (lambda c: sealed_yaml("# @package _global_\n" + yaml.dump(c)), yaml.safe_load),
        (sealed_json, json.loads),
    ],
)
def test_each_flipped_bit_of_a_text_is_refused_or_leaves_its_content(tmp_path, write, parse):
    path = tmp_path / "record"
    whole = write(CONTENT).encode()
    path.write_bytes(whole)
    assert parse(read_sealed(path)) == CONTENT
    for content in flipped(whole):
        path.write_bytes(content)
        found = read_or_refused(path, parse)
        assert found is None or {key: found.get(key) for key in CONTENT} == CONTENT
    for size in range(200, len(whole)):
        path.write_bytes(whole[:size])
        assert read_or_refused(path, parse) is None


@pytest.mark.parametrize("write", [lambda c: sealed_yaml(yaml.dump(c)), sealed_json])
def test_a_text_changed_by_hand_is_read_when_its_line_with_the_checksum_is_deleted(tmp_path, write):
    path = tmp_path / "record"
    path.write_text(write(CONTENT).replace("0.5", "0.75"))
    with pytest.raises(DamagedError, match=r"record: is damaged, or was changed by hand.*delete its line"):
        read_sealed(path)
    path.write_text("".join(line for line in path.read_text().splitlines(True) if "checksum" not in line))
    assert yaml.safe_load(read_sealed(path)) == {**CONTENT, "value": 0.75}


def test_each_flipped_bit_of_a_row_is_refused():
    row = json.dumps(CONTENT, ensure_ascii=False)
    whole = sealed_row(row).encode()
    assert json.loads(whole) == {**CONTENT, "crc32": whole[11:19].decode()}
    assert unsealed_row(whole) == row.encode()
    for line in flipped(whole):
        with pytest.raises(ValueError, match="damaged"):
            unsealed_row(line)
    assert unsealed_row(row.encode()) == row.encode()  # of an earlier version


def test_a_torn_last_line_is_left_out_and_a_damaged_end_is_refused():
    row = sealed_row('{"step": 1}').encode()
    assert whole_lines(row + b"\n" + row) == [row]
    assert whole_lines(row + b"\n" + row[:-4]) == [row]
    for line in flipped(row + b"\n"):
        with pytest.raises(ValueError, match="damaged"):
            [unsealed_row(found) for found in whole_lines(line)]


def test_a_damaged_or_missing_file_of_a_folder_is_refused_with_what_to_do(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "weights").write_bytes(b"0123")
    (tmp_path / "README.md").write_text("free")
    write_checksums(tmp_path, except_for=("README.md",))
    (tmp_path / "README.md").write_text("changed")
    check_folder(tmp_path, "Train again.")
    (tmp_path / "sub" / "weights").write_bytes(b"0122")
    with pytest.raises(DamagedError, match=r"weights: is damaged: .* Train again\. If you .* delete .*checksums\.json"):
        check_folder(tmp_path, "Train again.")
    (tmp_path / "sub" / "weights").unlink()
    with pytest.raises(DamagedError, match=r"weights: cannot be read: No such file"):
        check_folder(tmp_path, "Train again.")
    (tmp_path / "checksums.json").unlink()
    check_folder(tmp_path, "Train again.")


def test_a_large_file_is_read_once_a_process_until_it_changes(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"content")
    checksum = file_checksum(path)
    check_file(path, checksum)
    with monkeypatch.context() as patch:
        patch.setattr(checksums, "file_checksum", lambda path: pytest.fail("read again"))
        check_file(path, checksum)
    path.write_bytes(b"kontent")
    with pytest.raises(DamagedError, match="is damaged"):
        check_file(path, checksum)
