"""Claim: a source hands on its sessions as they come: the first batch within a second or so, and memory that does not
grow with the log, whether it is JSONL, gzip, CSV, Parquet or a database.

    python benchmarks/sources.py [--sessions 100000] [--items 20000] [--folder FOLDER] [--quick]

Makes a log (see make_sessions.py; --sessions 1000000 --items 200000 is the one that data_scale.py prepares), writes it
in each format, and reads it in a fresh process each:

- sessions/s: the whole of `read`, items and all, from opening files to columns in memory;
- first batch: seconds until the first 1,000 records of sessions are there, imports told apart;
- peak, streaming: the process's peak while records only pass by, of all sessions and of a tenth of them. What is flat
  is this; what `read` keeps of a session (ids, words, rows and weights as columns) is told as bytes a session.

`SQLite, three queries` has results and events as rows of their own, which the source joins. 100,000 sessions take
about two minutes.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from itertools import islice
from pathlib import Path
from typing import Any

from apart import run_apart
from make_sessions import make_sessions

MIB = 1 << 20
BATCH = 1000
KINDS = ("JSONL", "JSONL.gz", "CSV", "Parquet", "SQLite", "SQLite, three queries")
VARIABLE = "HFT_BENCHMARK_DATABASE"
# What streaming may hold more for ten times as many sessions: buffers fill, the allocator keeps pages.
MORE_BYTES = 48 << 20

ROWS = "SELECT session_id, query, results, events, timestamp FROM sessions ORDER BY number"
ALONE = "SELECT session_id, query, timestamp FROM sessions ORDER BY number"
SHOWN = "SELECT session_id, item_id FROM shown ORDER BY number"
DONE = "SELECT session_id, item_id FROM done ORDER BY number"
ITEMS = "SELECT item_id, title, text FROM items ORDER BY rowid"


def source_of(folder: str, kind: str) -> Any:
    """The source of a kind of file in a folder."""
    from hft.data import SessionFiles, SqlSessions

    if kind.startswith("SQLite"):
        os.environ[VARIABLE] = f"sqlite:///{Path(folder).resolve()}/log.db"
        if kind == "SQLite":
            return SqlSessions(VARIABLE, ROWS, ITEMS)
        return SqlSessions(VARIABLE, ALONE, ITEMS, results=SHOWN, events=DONE)
    suffix = {"JSONL": "jsonl", "JSONL.gz": "jsonl.gz", "CSV": "csv", "Parquet": "parquet"}[kind]
    return SessionFiles(f"{folder}/sessions.{suffix}", f"{folder}/items.jsonl")


def read(folder: str, kind: str) -> dict[str, float]:
    """Read everything; what is kept."""
    from hft.data import Quarantine

    source = source_of(folder, kind)
    started = time.perf_counter()
    data = source.read(Quarantine())
    seconds = time.perf_counter() - started
    kept = float(data.inputs.table.nbytes)
    return {"seconds": seconds, "sessions": float(len(data.inputs)), "kept": kept, "peak": _peak()}


def stream(folder: str, kind: str) -> dict[str, float]:
    """Let the records of sessions pass by."""
    from hft.data import Quarantine

    source = source_of(folder, kind)
    started = time.perf_counter()
    records = (record for part in source.session_parts(Quarantine()) for record in part.read())
    first = sum(1 for _ in islice(records, BATCH))
    seconds = time.perf_counter() - started
    return {"first": seconds, "records": float(first + sum(1 for _ in records)), "peak": _peak()}


def _peak() -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024.0 for line in lines if line.startswith("VmHWM:"))


def write_formats(folder: Path) -> None:
    """The sessions of sessions.jsonl in every other format."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with open(folder / "sessions.jsonl", "rb") as lines, gzip.open(folder / "sessions.jsonl.gz", "wb", 3) as packed:
        shutil.copyfileobj(lines, packed)
    with open(folder / "sessions.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["session_id", "query", "results", "events", "timestamp"])
        for row in rows_of(folder / "sessions.jsonl"):
            writer.writerow([*row[:2], "|".join(row[2]), "|".join(row[3]), row[4]])
    names = ["session_id", "query", "results", "events", "timestamp"]
    texts = pa.list_(pa.string())
    schema = pa.schema(list(zip(names, [pa.string(), pa.string(), texts, texts, pa.int64()], strict=True)))
    with pq.ParquetWriter(folder / "sessions.parquet", schema) as writer:
        rows = rows_of(folder / "sessions.jsonl")
        while block := list(islice(rows, 20_000)):
            columns = [
                pa.array(column, type=field.type)
                for column, field in zip(zip(*block, strict=True), schema, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
    with closing(sqlite3.connect(folder / "log.db")) as database:
        fill(database, folder)


def fill(database: sqlite3.Connection, folder: Path) -> None:
    """Sessions as one row each, and their results and events as rows too."""
    database.execute("PRAGMA journal_mode=OFF")
    database.execute(
        "CREATE TABLE sessions (number INTEGER PRIMARY KEY, session_id, query, results, events, timestamp)"
    )
    for table in ("shown", "done"):
        database.execute(f"CREATE TABLE {table} (number INTEGER PRIMARY KEY, session_id, item_id)")
    database.execute("CREATE TABLE items (item_id, title, text)")
    database.executemany(
        "INSERT INTO sessions VALUES (NULL, ?, ?, ?, ?, ?)",
        ((*row[:2], json.dumps(row[2]), json.dumps(row[3]), row[4]) for row in rows_of(folder / "sessions.jsonl")),
    )
    for table, place in (("shown", 2), ("done", 3)):
        pairs = ((row[0], item) for row in rows_of(folder / "sessions.jsonl") for item in row[place])
        database.executemany(f"INSERT INTO {table} VALUES (NULL, ?, ?)", pairs)
    with open(folder / "items.jsonl", encoding="utf-8") as lines:
        items = (json.loads(line) for line in lines)
        database.executemany("INSERT INTO items VALUES (:item_id, :title, :text)", items)
    database.commit()


def rows_of(path: Path) -> Iterator[tuple[Any, ...]]:
    """(id, query, results, events, timestamp) of each session."""
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            yield row["session_id"], row["query"], row["results"], row["events"], row["timestamp"]


def made(folder: Path, sessions: int, items: int) -> Path:
    """A folder with so many sessions in every format."""
    there = folder / f"sessions-{sessions}-{items}"
    if not (there / "log.db").is_file():
        make_sessions(there, sessions, items)
        write_formats(there)
    return there


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=100_000)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--folder", type=Path, help="keep the data there for the next time")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, help="rows of the table")
    parser.add_argument("--quick", action="store_true", help="5,000 sessions: does it run?")
    given = parser.parse_args()
    if given.quick:
        given.sessions, given.items = 5_000, 1_000
    with tempfile.TemporaryDirectory() if given.folder is None else nullcontext(given.folder) as place:
        folder = Path(place).resolve()
        whole, tenth = (made(folder, count, given.items) for count in (given.sessions, given.sessions // 10))
        log = folder / "log.txt"

        def apart(work: Callable[..., dict[str, float]], there: Path, kind: str) -> dict[str, float]:
            found: dict[str, float] = run_apart(work, log, folder=str(there), kind=kind)
            return found

        print(f"{given.sessions:,} sessions of 10 results over {given.items:,} items; {os.cpu_count()} cores")
        print(
            "| source | sessions/s | first batch | peak, streaming a tenth | peak, streaming all | peak, read | kept |"
        )
        print("|---|---|---|---|---|---|---|")
        flat = True
        for kind in given.kinds:
            few, many, all_of_it = apart(stream, tenth, kind), apart(stream, whole, kind), apart(read, whole, kind)
            assert many["records"] == all_of_it["sessions"] == given.sessions, (kind, many, all_of_it)
            flat &= many["peak"] - few["peak"] < MORE_BYTES
            print(
                f"| {kind} | {given.sessions / all_of_it['seconds']:,.0f} | {many['first']:.2f} s "
                f"| {few['peak'] / MIB:,.0f} MiB | {many['peak'] / MIB:,.0f} MiB | {all_of_it['peak'] / MIB:,.0f} MiB "
                f"| {all_of_it['kept'] / given.sessions:,.0f} bytes a session |",
                flush=True,
            )
        print(f"memory of streaming is flat: {'yes' if flat else 'NO'}")


if __name__ == "__main__":
    main()
