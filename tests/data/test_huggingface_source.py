"""Data sets of Hugging Face, from disk and from local files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pytest

from hft.data import (
    FineTuningInput,
    HuggingFaceSessions,
    ItemTemplate,
    Quarantine,
    QueryRetriever,
    QuerySplitter,
    SourceData,
    prepare_ranking_data,
)
from hft.errors import DataError
from hft.stores import StoreFolder

ITEMS = [{"item_id": name, "title": name.upper(), "text": f"نص {name}"} for name in "abc"]
SESSIONS = [
    {
        "session_id": f"s{number}",
        "query": f"بحث {number}",
        "results": ["a", "b", "c"],
        "events": ["b"],
        "timestamp": number,
    }
    for number in range(3000)
]


@pytest.fixture(autouse=True)
def without_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    splits = {"train": datasets.Dataset.from_list(SESSIONS), "items": datasets.Dataset.from_list(ITEMS)}
    datasets.DatasetDict(splits).save_to_disk(str(tmp_path / "saved"))
    return tmp_path / "saved"


def read(sessions: Path | str, items: Path | str, **options: Any) -> SourceData:
    return HuggingFaceSessions(str(sessions), str(items), **options).read(Quarantine())


def test_a_saved_data_set_is_read_by_its_splits(saved: Path) -> None:
    data = read(saved, saved, items_split="items")
    assert len(data.inputs) == 3000
    assert data.inputs[2999] == FineTuningInput("s2999", "بحث 2999", ("a", "b", "c"), (0.0, 1.0, 0.0), timestamp=2999.0)
    assert data.items.texts[0] == "A\nنص a"


def test_queries_and_texts_may_be_made_of_several_fields(saved: Path) -> None:
    parts = {"query_retriever": QueryRetriever(template="{query} {session_id}"), "item_text": ItemTemplate("{title}!")}
    data = read(saved, saved, items_split="items", **parts)
    assert data.inputs[7].query == "بحث 7 s7"
    assert list(data.items.texts) == ["A!", "B!", "C!"]


def test_a_saved_data_set_without_splits_is_read(saved: Path, tmp_path: Path) -> None:
    datasets.Dataset.from_list(ITEMS).save_to_disk(str(tmp_path / "items"))
    assert len(read(saved, tmp_path / "items").items) == 3


def test_a_folder_of_data_files_is_read(tmp_path: Path) -> None:
    for name, rows in (("sessions", SESSIONS[:20]), ("items", ITEMS)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert len(read(tmp_path / "sessions", tmp_path / "items").inputs) == 20


def test_what_was_prepared_is_kept_until_a_file_changes(saved: Path, tmp_path: Path) -> None:
    source = HuggingFaceSessions(str(saved), str(saved), items_split="items")
    said: list[str] = []
    store = StoreFolder(tmp_path / "stores", None, said.append)
    first = prepare_ranking_data(source, QuerySplitter(), candidates="shown", store=store)
    assert (tmp_path / "stores" / "data").is_dir()
    again = prepare_ranking_data(source, QuerySplitter(), candidates="shown", store=store)
    assert first.fingerprint() == again.fingerprint()
    assert said == []


def test_a_split_or_a_data_set_that_is_not_there_is_told(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"data\.source\.items: .* has no split 'none'\. There: train, items"):
        read(saved, saved, items_split="none")
    monkeypatch.setenv("HF_TOKEN", "hf_hidden_word")
    with pytest.raises(DataError, match=r"data\.source\.items: the data set 'someone/no-such-set'") as error:
        read(saved, "someone/no-such-set")
    assert "hf_hidden_word" not in str(error.value)


def test_a_value_that_has_no_form_in_python_costs_its_own_row(tmp_path: Path) -> None:
    rows = pa.Table.from_pylist(SESSIONS[:20]).drop_columns(["timestamp"])
    times = pa.array([2**62 if number == 7 else number for number in range(20)], pa.timestamp("us"))
    datasets.Dataset(rows.append_column("timestamp", times)).save_to_disk(str(tmp_path / "sessions"))
    datasets.Dataset.from_list(ITEMS).save_to_disk(str(tmp_path / "items"))
    data = read(tmp_path / "sessions", tmp_path / "items")
    assert [found.session_id for found in data.inputs] == [f"s{number}" for number in range(20) if number != 7]


@pytest.mark.parametrize("role", ["sessions", "items"])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("{here}/log.jsonl", r"data.source.{role}: .*log.jsonl is a file: use data=sessions data.source.{role}="),
        ("{here}/gone", "data.source.{role}: no such folder"),
        ("./gone", "no such folder"),
        ("~/gone-for-good", "no such folder"),
        ("logs/2026/web", "no such folder"),
        ("logs/web.parquet", "no such folder"),
    ],
)
def test_what_can_be_no_name_on_the_hub_is_refused_before_anybody_asks_it(
    name: str, message: str, role: str, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "log.jsonl").write_text("{}\n")
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: pytest.fail("the hub was asked"))
    places = {"sessions": str(saved), "items": str(saved), role: name.format(here=tmp_path)}
    source = HuggingFaceSessions(**places, items_split="items")
    for asked in (source.identity, lambda: source.read(Quarantine())):
        with pytest.raises(DataError, match=message.format(role=role)):
            asked()
