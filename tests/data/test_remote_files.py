"""Files in stores: a real S3-protocol server on loopback, and stores that fail now and then."""

from __future__ import annotations

import gzip
import io
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import EndpointConnectionError
from fsspec.implementations.memory import MemoryFileSystem

from cutting_proxy import CuttingProxy
from hft.data import (
    BeirFolder,
    CategoryFiles,
    Quarantine,
    QuerySplitter,
    SessionFiles,
    SourceData,
    prepare_ranking_data,
)
from hft.data.sources.retrying import Retrying
from hft.errors import DataError
from hft.stores import StoreFolder
from s3_server import ENVIRONMENT, ask, put

ITEMS = [{"item_id": f"i{number}", "title": f"Title {number}", "text": f"text of {number} é"} for number in range(20)]


def sessions(first: int, count: int = 50) -> list[dict[str, Any]]:
    return [
        {
            "query": f"word{number} 🍎",
            "results": [f"i{(number + k) % 20}" for k in range(4)],
            "events": [f"i{number % 20}"],
        }
        for number in range(first, first + count)
    ]


def lines(rows: list[Any]) -> bytes:
    return b"".join(
        (row if isinstance(row, str) else json.dumps(row, ensure_ascii=False)).encode() + b"\n" for row in rows
    )


def parquet(rows: list[Any]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    return buffer.getvalue()


@pytest.fixture
def bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bucket `clicks` with a log in days; its address is in the environment."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    ask(s3_server, "POST", "/moto-api/reset")
    header = "query,results,events"
    csv = [header, *(f"{row['query']},{'|'.join(row['results'])},{row['events'][0]}" for row in sessions(100))]
    files = {
        "log/day=1/part.jsonl.gz": gzip.compress(lines(sessions(0))),
        "log/day=2/part.jsonl": lines([*sessions(50, 49), "{broken"]),
        "log/day=3/part.csv": lines(csv),
        "log/day=4/part.parquet": parquet(sessions(150)),
        "log/_SUCCESS": b"",
        "log/notes.txt": b"not data",
        "items.jsonl": lines(ITEMS),
    }
    put(s3_server, "clicks", files)
    return "s3://clicks"


def read(location: str, items: str, quarantine: Quarantine | None = None, **options: Any) -> SourceData:
    return SessionFiles(location, items, **{"retry_seconds": 0.0, **options}).read(quarantine or Quarantine(None, 0.1))


def test_a_folder_of_a_bucket_is_read_with_every_format_in_it(bucket: str, tmp_path: Path) -> None:
    with Quarantine(tmp_path / "quarantine.jsonl", 0.1) as quarantine:
        data = read(f"{bucket}/log/", f"{bucket}/items.jsonl", quarantine)
    assert data.inputs.queries == [f"word{n} 🍎" for n in (*range(99), *range(100, 200))]
    assert data.inputs[60].session_id == "day=2/part.jsonl:11"
    (entry,) = [json.loads(line) for line in (tmp_path / "quarantine.jsonl").read_text().splitlines()]
    assert (entry["file"], entry["line"]) == ("s3://clicks/log/day=2/part.jsonl", 50)
    assert quarantine.read["s3://clicks/log/day=3/part.csv"] == 50


@pytest.mark.parametrize(
    ("pattern", "count"), [("log/*/part.jsonl*", 99), ("log/**/*.parquet", 50), ("log/day=1/*", 50)]
)
def test_a_pattern_names_files_of_a_bucket(bucket: str, pattern: str, count: int) -> None:
    assert len(read(f"{bucket}/{pattern}", f"{bucket}/items.jsonl").inputs) == count


def test_the_same_log_on_disk_and_in_a_bucket_is_the_same_data(bucket: str, tmp_path: Path) -> None:
    folder = tmp_path / "log" / "day=1"
    folder.mkdir(parents=True)
    (folder / "part.jsonl").write_bytes(lines(sessions(0)))
    (tmp_path / "items.jsonl").write_bytes(lines(ITEMS))
    here = read(str(folder / "part.jsonl"), str(tmp_path / "items.jsonl"))
    there = read(f"{bucket}/log/day=1/part.jsonl.gz", f"{bucket}/items.jsonl")
    names = [name for name in here.inputs.table.column_names if name != "session_id"]
    assert here.inputs.table.select(names).equals(there.inputs.table.select(names))
    assert here.items.table.equals(there.items.table)


def test_labelled_texts_of_a_bucket_are_read_as_those_of_a_folder(bucket: str, s3_server: str, tmp_path: Path) -> None:
    rows = [{"text": f"text {number} é", "category": f"kind_{number % 3}"} for number in range(12)]
    files = {"train.jsonl": lines(rows[:8]), "test.parquet": parquet(rows[8:])}
    put(s3_server, "clicks", {f"texts/{name}": content for name, content in files.items()})
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    here, there = (CategoryFiles(folder, test="test.parquet") for folder in (tmp_path, f"{bucket}/texts"))  # type: ignore[arg-type]
    one, other = (source.read(Quarantine()) for source in (here, there))
    assert one.inputs.table.equals(other.inputs.table)
    assert one.items.table.equals(other.items.table)
    identity = there.identity()
    assert identity is not None
    assert sorted(identity.files) == ["test/test.parquet", "train/train.jsonl"]
    with pytest.raises(DataError, match=r"data\.source\.test: there is no s3://clicks/texts/none\.csv"):
        CategoryFiles(f"{bucket}/texts", test="none.csv").read(Quarantine())  # type: ignore[arg-type]


def test_a_labelled_collection_of_a_bucket_is_read_as_that_of_a_folder(
    bucket: str, s3_server: str, tmp_path: Path
) -> None:
    scores = ["query-id\tcorpus-id\tscore", "q1\td1\t1", "q1\td2\t0"]
    files = {
        "corpus.jsonl.gz": gzip.compress(lines([{"_id": f"d{n}", "title": "T", "text": f"é {n}"} for n in range(3)])),
        "queries.jsonl": lines([{"_id": "q1", "text": "one"}, {"_id": "q2", "text": "two"}]),
        "qrels/train.tsv": lines(scores),
        "qrels/test.tsv.gz": gzip.compress(lines([scores[0], "q2\td2\t1", "q2\td0\t0"])),
    }
    put(s3_server, "clicks", {f"beir/{name}": content for name, content in files.items()})
    (tmp_path / "qrels").mkdir()
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    here, there = (BeirFolder(folder, "shown") for folder in (tmp_path, f"{bucket}/beir/"))  # type: ignore[arg-type]
    one, other = (source.read(Quarantine()) for source in (here, there))
    assert len(one.inputs) == 2
    assert one.inputs.table.equals(other.inputs.table)
    assert one.items.table.equals(other.items.table)
    identity = there.identity()
    assert identity is not None
    assert sorted(identity.files) == ["corpus.jsonl", "qrels/test", "qrels/train", "queries.jsonl"]
    with pytest.raises(DataError, match=r"data\.source\.folder: no file matches s3://clicks/log/corpus\.jsonl"):
        BeirFolder(f"{bucket}/log").read(Quarantine())  # type: ignore[arg-type]


def test_what_was_prepared_from_a_bucket_is_kept_until_it_changes(
    bucket: str, s3_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []
    real = SessionFiles.read

    def counted(self: SessionFiles, quarantine: Quarantine) -> SourceData:
        reads.append(self.sessions)
        return real(self, quarantine)

    monkeypatch.setattr(SessionFiles, "read", counted)

    def prepare() -> int:
        source = SessionFiles(f"{bucket}/log/day=1", f"{bucket}/items.jsonl")
        store = StoreFolder(tmp_path / "stores", None, print)
        data = prepare_ranking_data(source, QuerySplitter(), candidates="shown", store=store)
        return sum(len(inputs) for inputs in data.splits.values())

    assert prepare() == prepare() == 50
    assert len(reads) == 1
    put(s3_server, "clicks", {"log/day=1/more.jsonl": lines(sessions(200, 5))})
    assert prepare() == 55
    put(s3_server, "clicks", {"log/day=1/more.jsonl": lines(sessions(300, 5))})
    assert prepare() == 55
    assert len(reads) == 3


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("s3://clicks/nothing.jsonl", r"there is no s3://clicks/nothing\.jsonl, or it is empty"),
        ("s3://nowhere/log.jsonl", r"data\.source\.sessions: .*s3://nowhere/log\.jsonl"),
        ("s3://clicks/*.csv", r"no file matches s3://clicks/\*\.csv"),
        ("s3://empty/", r"there is no s3://empty/, or it is empty"),
        ("s4://clicks/log", r"no store is known by s4://\. Did you mean s3"),
        ("s3://KEY:hidden-word@clicks/log", "the address carries a password"),
    ],
)
def test_what_is_not_there_is_told(bucket: str, s3_server: str, location: str, told: str) -> None:
    put(s3_server, "empty", {})
    with pytest.raises(DataError, match=told) as error:
        read(location, f"{bucket}/items.jsonl")
    assert "hidden-word" not in str(error.value)


def test_wrong_credentials_are_told_at_once_and_never_echoed(
    bucket: str, s3_server: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret-value")
    with caplog.at_level(logging.INFO):
        ask(s3_server, "POST", "/moto-api/reset-auth", b"0")
        try:
            with pytest.raises(DataError, match=r"is refused .*AWS_ACCESS_KEY_ID") as error:
                read(f"{bucket}/log", f"{bucket}/items.jsonl")
        finally:
            ask(s3_server, "POST", "/moto-api/reset-auth", b"inf")
    assert error.value.__cause__ is None
    assert "wrong-secret-value" not in str(error.value) + caplog.text
    assert slept == []


def test_missing_credentials_are_told(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(DataError, match=r"NoCredentialsError.*Check the credentials"):
        read(f"{bucket}/log", f"{bucket}/items.jsonl")


@pytest.mark.parametrize(("scheme", "extra"), [("s3", "s3"), ("gs", "gcs"), ("az", "azure")])
def test_a_missing_package_is_told_with_the_extra_to_install(
    scheme: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(fsspec, "get_filesystem_class", refuse)
    with pytest.raises(DataError, match=rf'pip install "hft\[{extra}\]"'):
        read(f"{scheme}://clicks/log", f"{scheme}://clicks/items.jsonl")


def test_a_truncated_file_of_a_bucket_is_told(bucket: str, s3_server: str) -> None:
    whole = gzip.compress(lines(sessions(0, 2000)))
    put(s3_server, "clicks", {"cut.jsonl.gz": whole[: len(whole) // 2], "cut.parquet": parquet(sessions(0))[:-20]})
    with pytest.raises(DataError, match=r"s3://clicks/cut\.jsonl\.gz: the gzip file is cut off or damaged after line"):
        read(f"{bucket}/cut.jsonl.gz", f"{bucket}/items.jsonl")
    with pytest.raises(DataError, match=r"s3://clicks/cut\.parquet: cannot be read as Parquet"):
        read(f"{bucket}/cut.parquet", f"{bucket}/items.jsonl")


def test_a_connection_cut_in_the_middle_of_a_file_loses_and_doubles_nothing(
    bucket: str, s3_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(s3_server, "clicks", {"large.jsonl": lines(sessions(0, 20_000))})
    proxy = CuttingProxy(int(s3_server.rpartition(":")[2]), cut_after=700_000, cuts=3)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.port}")
    try:
        data = read(f"{bucket}/large.jsonl", f"{bucket}/items.jsonl", retries=8)
    finally:
        proxy.close()
    assert data.inputs.queries == [f"word{number} 🍎" for number in range(20_000)]
    assert proxy.connections > 3


class FlakyStore(MemoryFileSystem):
    """A store that fails at every third request, gives half of what is asked for at others, and counts."""

    protocol = "flaky"
    requests: ClassVar[int] = 0
    failures: ClassVar[int] = 0
    always: ClassVar[bool] = False

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.removeprefix("flaky://")))

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **options: Any) -> bytes:
        kind = type(self)
        kind.requests += 1
        if kind.always or kind.requests % 3 == 0:
            kind.failures += 1
            raise (ConnectionResetError if kind.failures % 2 else TimeoutError)("the line went dead")
        assert start is not None
        assert end is not None
        if kind.requests % 3 == 1:
            end = start + max((end - start) // 2, 1)
        found: bytes = super().cat_file(path, start, end, **options)
        return found


@pytest.fixture
def flaky(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    fsspec.register_implementation("flaky", FlakyStore, clobber=True)
    monkeypatch.setattr("hft.data.sources.record_files.RANGE_BYTES", 10_000)
    FlakyStore.requests, FlakyStore.failures, FlakyStore.always = 0, 0, False
    store = FlakyStore()
    store.pipe_file("/log/sessions.jsonl", lines(sessions(0, 2000)))
    store.pipe_file("/log/sessions.jsonl.gz", gzip.compress(lines(sessions(0, 2000)), 1))
    store.pipe_file("/log/sessions.parquet", parquet(sessions(0, 2000)))
    store.pipe_file("/items.jsonl", lines(ITEMS))
    yield "flaky://"
    MemoryFileSystem.store.clear()


@pytest.mark.parametrize("name", ["sessions.jsonl", "sessions.jsonl.gz", "sessions.parquet"])
def test_a_flaky_store_loses_and_doubles_nothing(flaky: str, name: str) -> None:
    data = read(f"{flaky}/log/{name}", f"{flaky}/items.jsonl")
    assert data.inputs.queries == [f"word{number} 🍎" for number in range(2000)]
    assert FlakyStore.failures >= 1


@pytest.mark.parametrize("name", ["items.jsonl", "items.csv", "items.parquet"])
def test_a_store_that_stays_away_is_told_after_so_many_attempts(flaky: str, name: str) -> None:
    FlakyStore().pipe_file(f"/{name}", parquet(ITEMS) if name.endswith("parquet") else lines(ITEMS))
    FlakyStore.always = True
    with pytest.raises(DataError, match=rf"{re.escape(name)} cannot be read .*the line went dead.*run it again"):
        read(f"{flaky}/log/sessions.jsonl", f"{flaky}/{name}", retries=3)
    assert FlakyStore.failures == 4


@pytest.mark.parametrize("name", ["sessions.jsonl", "sessions.csv", "sessions.parquet"])
def test_a_store_that_goes_away_in_the_middle_of_a_file_is_told(
    flaky: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the store's own package, which is no OSError."""
    rows = [{name: "|".join(cell) if isinstance(cell, list) else cell for name, cell in row.items()}
            for row in sessions(0, 20_000)]  # fmt: skip
    table = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
    contents = {".jsonl": lines(sessions(0, 20_000)), ".csv": lines(table), ".parquet": parquet(rows)}
    content = contents[Path(name).suffix]
    FlakyStore().pipe_file(f"/log/{name}", content)

    def cut(self: FlakyStore, path: str, start: int = 0, end: int | None = None, **options: Any) -> bytes:
        if path.endswith(name) and len(content) // 3 <= start < len(content) * 2 // 3:
            raise EndpointConnectionError(endpoint_url="http://127.0.0.1")
        return MemoryFileSystem.cat_file(self, path, start, end, **options)

    monkeypatch.setattr(FlakyStore, "cat_file", cut)
    with pytest.raises(DataError, match=rf"log/{re.escape(name)} cannot be read \(EndpointConnectionError"):
        read(f"{flaky}/log/{name}", f"{flaky}/items.jsonl", retries=2)


def test_a_file_that_changes_while_it_is_read_is_refused(flaky: str) -> None:
    source = SessionFiles(f"{flaky}/log/sessions.jsonl", f"{flaky}/items.jsonl", retry_seconds=0.0)
    source.identity()  # it has looked
    FlakyStore().pipe_file("/log/sessions.jsonl", lines(sessions(0, 1999)))
    with pytest.raises(DataError, match=r"sessions\.jsonl: it was changed while it was read"):
        source.read(Quarantine())


def test_pauses_grow_are_drawn_by_a_seed_and_have_an_end() -> None:
    def pauses(seed: int) -> list[float]:
        found: list[float] = []
        retrying = Retrying(retries=9, pause=0.5, seed=seed, sleep=found.append)
        attempts = [retrying.waits(attempt, TimeoutError()) for attempt in range(1, 11)]
        assert attempts == [True] * 9 + [False]
        return found

    once = pauses(1)
    assert once == pauses(1) != pauses(2)
    bounds = [min(0.5 * 2**number, 30.0) for number in range(9)]
    assert all(bound / 2 <= pause <= bound for pause, bound in zip(once, bounds, strict=True))


@pytest.mark.parametrize("error", [FileNotFoundError(), PermissionError(), ValueError("a bug")])
def test_what_another_attempt_does_not_mend_is_not_tried_again(error: Exception) -> None:
    slept: list[float] = []
    assert not Retrying(sleep=slept.append).waits(1, error)
    assert slept == []
