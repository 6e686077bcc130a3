"""Prepared data that is kept equals data prepared anew, and nothing that decides on it goes unnoticed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hft.data import (
    BeirFolder,
    GroupSplitter,
    PythonDocs,
    QuerySplitter,
    RankingData,
    SessionFiles,
    SourceData,
    prepare_ranking_data,
)
from hft.data import identity as identities
from hft.errors import DataError
from hft.stores import StoreFolder

Prepare = Callable[..., RankingData]
NAMES = [f"item {number}" for number in range(30)]


def session_lines(count: int = 120) -> list[Any]:
    rng = np.random.default_rng(0)
    lines: list[Any] = []
    for number in range(count):
        shown = [NAMES[row] for row in rng.choice(30, 4, replace=False)]
        lines.append({"query": f"word{number % 50} é", "results": shown, "events": shown[:1], "timestamp": number})
    lines[7] = "{broken"
    lines[9]["results"].append("gone")
    return lines


@pytest.fixture
def files(write: Callable[[str, Any], Path]) -> tuple[Path, Path]:
    items = [{"item_id": name, "title": name.upper(), "text": f"text of {name}"} for name in NAMES]
    return write("log/sessions.jsonl", session_lines()), write("log/items.jsonl", items)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files of sessions that were read, each time one was."""
    found: list[Path] = []
    read = SessionFiles.read

    def counted(self: SessionFiles, quarantine: Any) -> SourceData:
        found.append(self.sessions)
        return read(self, quarantine)

    monkeypatch.setattr(SessionFiles, "read", counted)
    return found


def prepare(files: tuple[Path, Path], store: StoreFolder | None, **options: Any) -> RankingData:
    source = {name: options.pop(name) for name in ("event_weights", "fields") if name in options}
    splitter = options.pop("splitter", QuerySplitter())
    given = {"candidates": "corpus", "validation_pool": 9, **options}
    return prepare_ranking_data(SessionFiles(*files, **source), splitter, store=store, **given)


def content(data: RankingData) -> dict[str, Any]:
    """All that a run takes from its data, worked out anew where it may have been kept."""
    anew = replace(data)
    report = data.report.to_dict() | {"seconds": None, "quarantine_file": None}
    rows = {name: data.query_rows(inputs).tolist() for name, inputs in data.splits.items()}
    texts = data.query_texts
    return {
        "fingerprint": anew.fingerprint(),
        "kept fingerprint": data.fingerprint(),
        "report": report,
        "tables": {name: inputs.table.to_pylist() for name, inputs in data.splits.items()},
        "offsets": {name: inputs.offsets.tolist() for name, inputs in data.splits.items()},
        "rows": rows,
        "queries": {name: inputs.queries for name, inputs in data.splits.items()},
        "texts": texts.texts,
        "keys": texts.keys(data.noise_words),
        "numbers": texts.key_numbers(data.noise_words).tolist(),
        "items": data.items.table.to_pylist(),
        "item keys": data.item_key.tolist(),
        "pools": {name: pool.tolist() for name, pool in data.pools.items()},
        "noise words": data.noise_words,
    }


def test_kept_data_equals_data_prepared_anew(
    files: tuple[Path, Path], store: StoreFolder, reads: list[Path], tmp_path: Path
) -> None:
    plain = prepare(files, None, quarantine_path=tmp_path / "plain.jsonl", splitter=QuerySplitter(noise_words=["é"]))
    for number in range(3):
        kept = tmp_path / f"run {number}" / "quarantine.jsonl"
        data = prepare(files, store, quarantine_path=kept, splitter=QuerySplitter(noise_words=["é"]))
        assert content(data) == content(plain)
        assert data.report.quarantine_file == str(kept)
        assert kept.read_text() == (tmp_path / "plain.jsonl").read_text()
    assert len(reads) == 2  # one for `plain`, one for the store
    assert plain.report.reasons
    assert plain.report.quarantined == {str(files[0]): 1}


def test_rows_are_those_of_the_sorted_distinct_queries(files: tuple[Path, Path], store: StoreFolder) -> None:
    for data in (prepare(files, None), prepare(files, store)):
        texts = data.query_texts.texts
        assert texts == sorted({query for inputs in data.splits.values() for query in inputs.queries})
        for inputs in data.splits.values():
            assert [texts[row] for row in data.query_rows(inputs)] == inputs.table.column("query").to_pylist()
        part = data.train.select([3, 1]).replace(query=[texts[0], texts[-1]])
        assert data.query_rows(part).tolist() == [0, len(texts) - 1]
        with pytest.raises(KeyError):
            data.query_rows(data.train.select([0]).replace(query=["never asked"]))


def test_kept_columns_are_mapped_and_not_copied(files: tuple[Path, Path], store: StoreFolder) -> None:
    import pyarrow as pa

    prepare(files, store)
    before = pa.total_allocated_bytes()
    data = prepare(files, store)
    assert len(data.train.flat_results) > 0
    assert pa.total_allocated_bytes() - before < 4096
    assert not data.train.flat_results.flags.owndata
    assert not data.train.flat_results.flags.writeable


def test_moved_files_are_known_by_their_content_and_told_by_their_new_place(
    files: tuple[Path, Path], store: StoreFolder, reads: list[Path], tmp_path: Path
) -> None:
    first = prepare(files, store, quarantine_path=tmp_path / "first.jsonl")
    (tmp_path / "elsewhere").mkdir()
    moved = tuple(Path(shutil.copy(file, tmp_path / "elsewhere")) for file in files)
    data = prepare((moved[0], moved[1]), store, quarantine_path=tmp_path / "second.jsonl")
    assert len(reads) == 1
    assert data.fingerprint() == first.fingerprint()
    assert data.report.read == {str(moved[1]): 30, str(moved[0]): 120}
    assert data.report.quarantined == {str(moved[0]): 1}
    lines = [(tmp_path / name).read_text().splitlines() for name in ("first.jsonl", "second.jsonl")]
    told = [[json.loads(line) for line in part] for part in lines]
    assert {entry["file"] for entry in told[1]} == {str(moved[0])}
    assert [entry | {"file": str(files[0])} for entry in told[1]] == told[0]


def test_another_name_of_the_file_is_another_content_as_ids_are_made_of_it(
    files: tuple[Path, Path], store: StoreFolder, reads: list[Path]
) -> None:
    prepare(files, store)
    renamed = files[0].rename(files[0].with_name("clicks.jsonl"))
    assert prepare((renamed, files[1]), store).train.session_ids[0].startswith("clicks.jsonl:")
    assert len(reads) == 2


@pytest.mark.parametrize("remembered", [False, True])
def test_a_changed_file_is_read_again(
    files: tuple[Path, Path],
    store: StoreFolder,
    reads: list[Path],
    remembered: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if remembered:
        monkeypatch.setattr(identities, "_REMEMBERED_BYTES", 0)
        monkeypatch.setattr(identities, "_UNSETTLED_SECONDS", -1.0)
    before = prepare(files, store)
    assert prepare(files, store).fingerprint() == before.fingerprint()
    assert len(reads) == 1
    times = os.stat(files[0])
    changed = files[0].read_text().replace("word1 ", "wort1 ")
    files[0].write_text(changed)
    os.utime(files[0], ns=(times.st_atime_ns, times.st_mtime_ns))  # of the same size and time, too
    assert os.stat(files[0]).st_size == times.st_size
    after = prepare(files, store)
    assert len(reads) == 2
    assert after.fingerprint() != before.fingerprint()
    assert content(after) == content(prepare(files, None))


def test_a_large_file_that_stays_is_not_hashed_again(
    files: tuple[Path, Path], store: StoreFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identities, "_REMEMBERED_BYTES", 0)
    hashed = []
    digest_of = identities.file_digest
    monkeypatch.setattr(identities, "file_digest", lambda *args: hashed.append(1) or digest_of(*args))
    prepare(files, store)
    assert len(hashed) == 2
    prepare(files, store)
    assert len(hashed) == 4  # written a moment ago: they might have changed within a tick of the clock
    monkeypatch.setattr(identities, "_UNSETTLED_SECONDS", -1.0)
    prepare(files, store)
    prepare(files, store)
    assert len(hashed) == 6
    for remembered in (store.root / "files").glob("*/content"):
        remembered.write_text("cut")
    prepare(files, store)
    assert len(hashed) == 8


@pytest.mark.parametrize(
    "options",
    [
        {"seed": 1},
        {"candidates": "shown"},
        {"limit_sessions": 5},
        {"limit_items": 9},
        {"validation_pool": 12},
        {"train_share": 0.5},
        {"fold": [0, 2]},
        {"num_batches": 2, "batch_id": 1},
        {"no_event_is_irrelevant": True},
        {"keep_without_event": True},
        {"max_quarantined_share": 0.5},
        {"keep_seen_queries": True},
        {"event_weights": {"click": 2.0}},
        {"fields": {"text": ["title", "text"]}},
        pytest.param({"splitter": QuerySplitter(salt="other")}, id="splitter of another salt"),
        pytest.param({"splitter": QuerySplitter(noise_words=["é"])}, id="splitter with noise words"),
    ],
    ids=str,
)
def test_another_option_is_another_content(
    files: tuple[Path, Path], store: StoreFolder, reads: list[Path], options: dict[str, Any]
) -> None:
    prepare(files, store)
    for _ in range(2):
        assert content(prepare(files, store, **options)) == content(prepare(files, None, **options))
    assert len(reads) == 4  # the first, the other once, and twice without a store


def test_other_code_is_another_content(
    files: tuple[Path, Path], store: StoreFolder, reads: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(files, store)
    monkeypatch.setattr(identities, "code_version", lambda: "later")
    prepare(files, store)
    assert len(reads) == 2


def damage_all() -> list[Any]:
    names = ["manifest.json", "items.arrow", "train.arrow", "queries.arrow", "test.offsets.npy", "item_key.npy"]
    kinds: list[tuple[str, Callable[[Path], object]]] = [
        ("gone", lambda path: path.unlink()),
        ("cut", lambda path: path.write_bytes(path.read_bytes()[:-9])),
        ("zeros", lambda path: path.write_bytes(bytes(path.stat().st_size))),
    ]
    return [pytest.param(name, harm, id=f"{name} {kind}") for name in names for kind, harm in kinds]


@pytest.mark.parametrize(("name", "harm"), damage_all())
def test_a_damaged_entry_is_made_again_and_said_once(
    files: tuple[Path, Path],
    store: StoreFolder,
    reads: list[Path],
    said: list[str],
    name: str,
    harm: Callable[[Path], object],
) -> None:
    whole = content(prepare(files, store))
    (path,) = (store.root / "data").glob(f"*/{name}")
    harm(path)
    assert content(prepare(files, store)) == whole
    assert len(reads) == 2
    assert len(said) == 1
    assert "made again" in said[0]
    assert content(prepare(files, store)) == whole
    assert len(reads) == 2


def test_two_processes_that_prepare_at_once_end_with_one_entry(files: tuple[Path, Path], store: StoreFolder) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from hft.data import QuerySplitter, SessionFiles, prepare_ranking_data\n"
        "from hft.stores import StoreFolder\n"
        "store = StoreFolder(Path(sys.argv[3]), None, print)\n"
        "sys.stdin.readline()\n"
        "for _ in range(2):\n"
        "    source = SessionFiles(*sys.argv[1:3])\n"
        "    data = prepare_ranking_data(source, QuerySplitter(), candidates='shown', store=store)\n"
        "print(data.fingerprint())\n"
    )
    command = [sys.executable, "-c", code, str(files[0]), str(files[1]), str(store.root)]
    running = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in running:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    told = [process.communicate()[0] for process in running]
    expected = prepare(files, None, candidates="shown", validation_pool=1000).fingerprint()
    assert told == [f"{expected}\n"] * 2
    assert [entry.kind for entry in store.entries()] == ["data"]


def test_no_room_is_said_and_the_data_is_the_same(files: tuple[Path, Path], tmp_path: Path, said: list[str]) -> None:
    tight = StoreFolder(tmp_path / "tight", 10, said.append)
    assert content(prepare(files, tight)) == content(prepare(files, None))
    assert said == ["stores.disk_budget: no room for the prepared data; the next run reads its files again."]


def test_a_folder_that_cannot_be_written_is_said_and_the_data_is_the_same(
    files: tuple[Path, Path], tmp_path: Path, said: list[str]
) -> None:
    (tmp_path / "blocked").write_text("a file")
    blocked = StoreFolder(tmp_path / "blocked", None, said.append)
    assert content(prepare(files, blocked)) == content(prepare(files, None))
    assert len(said) == 1


def test_what_was_read_while_it_changed_is_not_kept(
    files: tuple[Path, Path], store: StoreFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = SessionFiles.read

    def changing(self: SessionFiles, quarantine: Any) -> SourceData:
        data = read(self, quarantine)
        files[0].write_text(files[0].read_text() + json.dumps(session_lines()[0]) + "\n")
        return data

    monkeypatch.setattr(SessionFiles, "read", changing)
    assert len(prepare(files, store).splits) == 3
    assert not list((store.root / "data").glob("*"))


def test_code_of_others_is_asked_each_time(files: tuple[Path, Path], store: StoreFolder, reads: list[Path]) -> None:
    class Mine(SessionFiles):
        pass

    class MySplitter(QuerySplitter):
        pass

    for _ in range(2):
        prepare(files, store, splitter=MySplitter())
        prepare_ranking_data(Mine(*files), QuerySplitter(), candidates="shown", store=store)
    assert len(reads) == 4
    assert not (store.root / "data").exists()


def test_an_empty_split_is_told_as_on_the_first_reading(files: tuple[Path, Path], store: StoreFolder) -> None:
    lenient = {"splitter": QuerySplitter(0.0001, 0.2), "required_splits": ("train", "test")}
    for _ in range(2):
        assert len(prepare(files, store, **lenient).validation) == 0
    told = []
    for folder in (None, store):
        with pytest.raises(DataError) as error:
            prepare(files, folder, splitter=QuerySplitter(0.0001, 0.2))
        told.append(str(error.value))
    assert told[0] == told[1]
    assert "no session is left for validation" in told[0]


def test_a_file_that_is_missing_is_told_as_ever(files: tuple[Path, Path], store: StoreFolder) -> None:
    with pytest.raises(DataError, match=r"data\.source\.sessions: .*nowhere"):
        prepare((files[0].with_name("nowhere.jsonl"), files[1]), store)


def test_collections_with_simulated_clicks_are_kept_too(write: Callable[[str, Any], Path], store: StoreFolder) -> None:
    words = [f"{first} {second}" for first in ("red", "green", "blue") for second in ("apple", "pear", "plum", "fig")]
    write("beir/corpus.jsonl", [{"_id": f"d{n}", "title": "", "text": f"{w} number {n}"} for n, w in enumerate(words)])
    write("beir/queries.jsonl", [{"_id": f"q{n}", "text": word} for n, word in enumerate(words)])
    rows = {"train": words[:6], "test": words[6:]}
    for split, part in rows.items():
        lines = [f"q{words.index(word)}\td{words.index(word)}\t1" for word in part]
        folder = write(f"beir/qrels/{split}.tsv", ["query-id\tcorpus-id\tscore", *lines]).parents[1]
    module = 'def {0}():\n    """Do {0} it.\n\n    It does {0} as {0}s and {0}ing with {0}er until {0}ed.\n    """\n'
    source = write("docs/part0.py", [module.format("work0")]).parent
    for number in range(1, 12):
        (source / f"part{number}.py").write_text(module.format(f"work{number}"))
    docs = PythonDocs(folder=source, min_query_words=2, min_item_words=3)
    for given, splitter in ((BeirFolder(folder), QuerySplitter(0.2, 0.3)), (docs, GroupSplitter(0.3, 0.3))):
        options: dict[str, Any] = {"candidates": "corpus", "required_splits": ("train",)}
        plain = prepare_ranking_data(given, splitter, **options)
        for _ in range(2):
            assert content(prepare_ranking_data(given, splitter, **options, store=store)) == content(plain)
    assert [entry.kind for entry in store.entries()] == ["data", "data"]
    (source / "part3.py").write_text(module.format("another"))
    assert (
        prepare_ranking_data(docs, GroupSplitter(0.3, 0.3), **options, store=store).fingerprint() != plain.fingerprint()
    )
