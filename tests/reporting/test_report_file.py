"""report.json is written whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hft.checksums import read_sealed_json
from hft.errors import StorageError
from hft.reporting import write_report


def test_scripts_read_back_what_was_reported(report: dict[str, Any], tmp_path: Path) -> None:
    path = write_report(report, tmp_path / "run")
    assert path == tmp_path / "run" / "report.json"
    assert read_sealed_json(path) == report
    found = json.loads(path.read_text(encoding="utf-8"))
    assert {key: found[key] for key in report} == report


def test_a_number_that_is_none_leaves_the_old_report_as_it_was(report: dict[str, Any], tmp_path: Path) -> None:
    path = write_report(report, tmp_path)
    before = path.read_bytes()
    report["test"]["ndcg@10"]["tuned"] = float("nan")
    with pytest.raises(ValueError, match="JSON"):
        write_report(report, tmp_path)
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["report.json"]


def test_a_folder_that_cannot_be_made_is_a_storage_error(report: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(StorageError, match=r"report\.json"):
        write_report(report, tmp_path / "taken")
