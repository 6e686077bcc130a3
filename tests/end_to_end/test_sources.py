"""Whole runs from a database and from a store, by overrides only; no record of theirs has a secret in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hft.cli import main
from postgres_server import PASSWORD, PostgresServer
from s3_server import ENVIRONMENT, put
from small_collections import items, sessions, write_session_files


@pytest.fixture(scope="module")
def postgres(postgres_server: PostgresServer) -> PostgresServer:
    """With the log of small_collections."""
    import psycopg

    postgres_server.do(
        "CREATE TABLE items (item_id text PRIMARY KEY, title text, text text)",
        "CREATE TABLE searches (id text PRIMARY KEY, words text)",
        "CREATE TABLE shown (search text, place int, item text)",
        "CREATE TABLE clicks (search text, item text, kind text)",
    )
    with psycopg.connect(postgres_server.address(), autocommit=True) as connection, connection.cursor() as cursor:
        cursor.executemany("INSERT INTO items VALUES (%(item_id)s, %(title)s, %(text)s)", items())
        for row in sessions():
            cursor.execute("INSERT INTO searches VALUES (%s, %s)", (row["session_id"], row["query"]))
            shown = [(row["session_id"], place, item) for place, item in enumerate(row["results"])]
            cursor.executemany("INSERT INTO shown VALUES (%s, %s, %s)", shown)
            picked = [(row["session_id"], item, "click") for item in row["events"]]
            cursor.executemany("INSERT INTO clicks VALUES (%s, %s, %s)", picked)
    return postgres_server


def without_secret(place: Path, secret: str) -> bool:
    """Whether no file of a run holds it; there are some."""
    files = [path for path in place.rglob("*") if path.is_file()]
    assert [path for path in files if path.name == "run.yaml"]
    return not any(secret.encode() in path.read_bytes() for path in files)


def test_a_run_from_a_database(
    postgres: PostgresServer, place: Path, tiny_model: list[str], two_steps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_LOG", postgres.address("reader", PASSWORD))
    queries = {
        "sessions": "SELECT id AS session_id, words AS query FROM searches ORDER BY id",
        "results": "SELECT search AS session_id, item AS item_id FROM shown ORDER BY search, place",
        "events": "SELECT search AS session_id, item AS item_id, kind AS type FROM clicks ORDER BY search, item",
        "items": "SELECT item_id, title, text FROM items ORDER BY item_id",
    }
    named = [f'data.source.{name}="{query}"' for name, query in queries.items()]
    assert main(["train", "data=sql", "data.source.url_env=SHOP_LOG", *named, *tiny_model, *two_steps]) == 0
    assert without_secret(place, PASSWORD)


def test_a_run_from_a_bucket(
    s3_server: str,
    place: Path,
    tmp_path: Path,
    tiny_model: list[str],
    two_steps: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    files = tmp_path / "files"
    write_session_files(files)
    for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL": s3_server}.items():
        monkeypatch.setenv(name, value)
    put(s3_server, "shop", {f"log/{name}": files / name for name in ("sessions.jsonl", "items.jsonl")})
    given = ["data.source.sessions=s3://shop/log/sess*.jsonl", "data.source.items=s3://shop/log/items.jsonl"]
    assert main(["train", "data=sessions", *given, *tiny_model, *two_steps]) == 0
    assert without_secret(place, ENVIRONMENT["AWS_SECRET_ACCESS_KEY"])
