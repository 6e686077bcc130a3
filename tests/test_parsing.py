"""What a stranger writes as YAML or JSON is read within bounds, or refused in words."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from hft.errors import DataError
from hft.parsing import DEEPEST, check_size, parse_json, parse_yaml

# Each level stands for four of the one before it.
ALIASES = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 4)}]\n" for i in range(1, 30))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (ALIASES, "alias"),
        ("a: &a [*a]", "alias"),
        ("[" * 100_000, "nests"),
        ("- " * 100_000, "nests"),
        ("? " * 100_000, "nests"),
        ("".join(" " * depth + "a:\n" for depth in range(DEEPEST + 2)), "nests"),
        ("".join(" " * depth + "a:\n" for depth in range(1000)), "nests"),
        (f"'{'k' * 900}{'k' * 101}' : 1", "key of 1,001 characters"),
        ("a: 1" + ":1" * 100_000, "number of"),
        ("a: " + "9" * 5000, "number of"),
        ("a: !!binary aGVsbG8=", "type binary"),
        ("a: 2020-13-45", "type timestamp"),
        ("a: !!python/object/apply:os.system [x]", "type"),
        ("<<: {a: 1}\nb: 2", "type merge"),
        ("a: 1\na: 2", "'a' twice"),
        ("{a: 1}: 2", "no text"),
        ("a: 1\n---\nb: 2", "single document"),
        ("a: \0", "control characters"),
    ],
)
def test_yaml_that_hft_does_not_write_is_refused_at_once(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_yaml(text)


@pytest.mark.parametrize("value", [None, {}, {"a": [1, 2.5, True, None, "x: y", {"b": "*c & d"}], "1": ".5"}])
def test_what_hft_writes_is_read_as_it_is(value: object) -> None:
    assert parse_yaml(yaml.safe_dump(value)) == value


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 70 + "1" + "}" * 70, "9" * 5000, "{", ""])
def test_json_that_hft_does_not_write_is_refused_at_once(text: str) -> None:
    with pytest.raises(ValueError, match=r"nests|digits|Expect"):
        parse_json(text)


def test_brackets_in_texts_are_no_nesting() -> None:
    assert parse_json('["' + "[" * 70 + '"]') == ["[" * 70]


def test_a_file_that_is_too_large_or_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * 11)
    check_size(tmp_path / "large", 11)
    with pytest.raises(DataError, match="11 bytes, more than the 10"):
        check_size(tmp_path / "large", 10)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="is no file"):
        check_size(tmp_path / "pipe")
