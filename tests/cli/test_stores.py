"""`hft stores` shows what is kept between runs, and removes it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hft.checksums import write_checksums
from hft.cli import main
from hft.stores import StoreFolder, digest


@pytest.fixture
def stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StoreFolder:
    """Two entries of tokens and one of data, where runs of the current folder keep them."""
    monkeypatch.chdir(tmp_path)
    store = StoreFolder("outputs/stores", None)
    for kind, key, size in (("tokens", "a", 1500), ("tokens", "b", 500), ("data", "c", 300)):
        with store.publish(kind, digest(key)) as folder:
            (folder / "content").write_bytes(b"")
            write_checksums(folder)
            beside = (folder / "checksums.json").stat().st_size
            (folder / "content").write_bytes(b"x" * (size - beside))
    return store


def test_a_row_for_each_kind_and_one_for_all(stores: StoreFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stores"]) == 0
    head, data, tokens, together, where = capsys.readouterr().out.splitlines()
    assert head.split() == ["kind", "entries", "size", "last", "use"]
    assert data.split()[:4] == ["data", "1", "300", "B"]
    assert tokens.split()[:4] == ["tokens", "2", "2.0", "KB"]
    assert together.split() == ["all", "3", "2.3", "KB"]
    assert "outputs/stores" in where


def test_scripts_read_the_entries(stores: StoreFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stores", "--json", "--folder", str(stores.root)]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {(row["kind"], row["key"], row["bytes"]) for row in rows} == {
        ("tokens", digest("a"), 1500),
        ("tokens", digest("b"), 500),
        ("data", digest("c"), 300),
    }


def test_one_kind_is_cleared_or_all(stores: StoreFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stores", "--clear", "tokens"]) == 0
    assert "Freed 2.0 KB" in capsys.readouterr().out
    assert [entry.kind for entry in stores.entries()] == ["data"]
    assert main(["stores", "--clear", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["freed_bytes"] == 300
    assert stores.entries() == []


def test_a_kind_that_does_not_exist_is_refused(stores: StoreFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stores", "--clear", "token"]) == 2
    assert (
        "--clear token: there is no such kind. Choose one of activations, data, files, tokens"
        in capsys.readouterr().err
    )
    assert len(stores.entries()) == 3


def test_where_nothing_is_kept_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["stores"]) == 0
    assert "Nothing is kept under outputs/stores" in capsys.readouterr().out
    assert not (tmp_path / "outputs").exists()
