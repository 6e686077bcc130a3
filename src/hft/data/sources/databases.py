"""Rows of a query of a database, streamed; one that breaks off is asked again, and goes on where it was."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hft.data.sources.retrying import Retrying
from hft.errors import ConfigError, DataError
from hft.redaction import redacted

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine

# What SQLAlchemy takes for a parameter: queries have none, but may have `'{"a":1}'`.
_PARAMETER = re.compile(r"(?<![:\w\\]):(\w+)(?!:)")
_CONNECT_SECONDS = 20
# A server that lets nobody in has no room for the moment, or the password is wrong: that cannot be told apart, and many
# attempts with a wrong one lock some accounts.
_REFUSED_RETRIES = 2
_SQLITE_PASSING = {5, 6}  # busy, locked
# PostgreSQL's classes of states: connection, resources, operator intervention, and what a repetition mends.
_PASSING_STATES = ("08", "53", "57P", "40001", "40P01")


@dataclass
class Database:
    """A database by the name of the variable of the environment that holds its address.

    Args:
        url_env: name of the variable: `postgresql://user:password@host/name`, `sqlite:////path/to/file.db`, or another
            that SQLAlchemy knows.
        rows_at_once: rows that are asked for at a time.
        retries: attempts after the first.
        pause: seconds before the first of them.
    """

    url_env: str
    rows_at_once: int = 5000
    retries: int = 5
    pause: float = 0.5
    retrying: Retrying = field(init=False)

    def __post_init__(self) -> None:
        self.retrying = Retrying(self.retries, self.pause)

    def rows(self, query: str, key: str) -> Iterator[dict[str, Any]]:
        """The rows of a query, by the names of their columns.

        After a break the query is asked again and the rows that were given are passed over, if they are the same and
        come in the same order; otherwise nothing can be told of what would be missed or come twice.

        Args:
            query: in the database's own words.
            key: config key that holds it, for messages.

        Raises:
            ConfigError: the variable is not set or holds no address.
            DataError: the query or the credentials are refused, or the connection breaks too often.
        """
        url = self._url()
        engine = self._engine(url)
        given, marks, attempt = 0, blake2b(digest_size=16), 0
        while True:
            connected = False
            try:
                with engine.connect() as connection:
                    connected = True
                    again, passed = blake2b(digest_size=16), 0
                    for columns, block in self._blocks(connection, query, key):
                        # A break comes between two blocks: each that was given was given whole.
                        mark = repr(block).encode("utf-8", "surrogatepass")
                        passed += len(block)
                        if passed <= given:
                            again.update(mark)
                            if passed == given and again.digest() != marks.digest():
                                raise DataError(_other_order(key, given))
                            continue
                        if passed - len(block) < given:
                            raise DataError(_other_order(key, given))
                        marks.update(mark)
                        given, attempt = passed, 0
                        for row in block:
                            yield dict(zip(columns, row, strict=True))
                    if passed < given:
                        raise DataError(_other_order(key, given))
                return
            except (DataError, GeneratorExit):
                raise
            except Exception as error:
                attempt += 1
                is_hopeless = not _passes(error) or (_is_refused(error) and attempt > _REFUSED_RETRIES)
                if is_hopeless or not self.retrying.waits(attempt, ConnectionError()):
                    raise DataError(self._in_words(key, url, error, given, connected)) from None
            finally:
                engine.dispose()

    def _blocks(self, connection: Any, query: str, key: str) -> Iterator[tuple[list[str], Sequence[Any]]]:
        """(names of the columns, so many rows at a time)."""
        from sqlalchemy import text

        # A query may come with somebody else's config: it may read, and no more.
        if connection.dialect.name == "postgresql":
            connection = connection.execution_options(postgresql_readonly=True)
        elif connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA query_only = ON")
        connection = connection.execution_options(stream_results=True, yield_per=self.rows_at_once)
        result = connection.execute(text(_PARAMETER.sub(r"\\:\1", query.strip().rstrip(";"))))
        if not result.returns_rows:
            raise DataError(f"{key}: the query gives no rows. Expected a SELECT.")
        columns = list(result.keys())
        twice = sorted({name for name in columns if columns.count(name) > 1})
        if twice:
            raise DataError(f"{key}: two columns of the query are called {twice[0]!r}. Name one otherwise (AS).")
        for block in result.partitions(self.rows_at_once):
            yield columns, block

    def _url(self) -> URL:
        address = os.environ.get(self.url_env, "")
        if not address:
            raise ConfigError(
                f"data.source.url_env: the environment has no variable {self.url_env}. Set it to the database's "
                f"address: export {self.url_env}=postgresql://user:password@host/name (or sqlite:////path/to/file.db)."
            )
        try:
            from sqlalchemy import make_url
            from sqlalchemy.exc import ArgumentError
        except ImportError:
            raise DataError(_MISSING_PACKAGE) from None
        try:
            url = make_url(address)
        except (ArgumentError, ValueError):  # neither's message may be told: it may hold the password
            raise ConfigError(
                f"data.source.url_env: {self.url_env} holds no address of a database. Expected "
                f"dialect://user:password@host/name; write @ : / in a password as %40 %3A %2F."
            ) from None
        if url.drivername in ("postgres", "postgresql"):
            url = url.set(drivername="postgresql+psycopg")
        is_file = url.get_backend_name() == "sqlite" and url.database and not url.database.startswith("file:")
        if is_file and not Path(url.database or "").is_file():  # SQLite would make an empty one
            raise DataError(f"data.source.url_env: {self.url_env} names {url.database}, and there is no such file.")
        return url

    def _engine(self, url: URL) -> Engine:
        from sqlalchemy import create_engine
        from sqlalchemy.exc import NoSuchModuleError
        from sqlalchemy.pool import NullPool

        options = {"connect_timeout": _CONNECT_SECONDS} if url.get_backend_name() == "postgresql" else {}
        try:
            return create_engine(url, poolclass=NullPool, connect_args=options, hide_parameters=True)
        except NoSuchModuleError:
            known = "postgresql, sqlite, mysql, mariadb, oracle, mssql, or one whose dialect is installed"
            raise ConfigError(
                f"data.source.url_env: {self.url_env} names the database {url.drivername!r}, which is not known. "
                f"Expected: {known}."
            ) from None
        except ImportError as error:
            if url.get_backend_name() == "postgresql":
                raise DataError(_MISSING_PACKAGE) from None
            raise DataError(f"data.source.url_env: {url.drivername} needs a package: {error}. Install it.") from None

    def _in_words(self, key: str, url: URL, error: Exception, given: int, connected: bool) -> str:
        """What to say of an error; neither password nor parameters are in it."""
        original = getattr(error, "orig", None) or error
        told = " ".join(redacted(str(original), str(url.password or "")).split())
        where = f"{url.get_backend_name()} at {url.host or url.database or 'its default place'}"
        if _is_refused(error):
            return (
                f"data.source.url_env: {where}, named by {self.url_env}, does not let the user in: {told}. "
                "Check user, password and database, or whether it takes more connections."
            )
        if not connected:
            return f"data.source.url_env: no connection to {where}, named by {self.url_env} ({told})."
        if _passes(error):
            return (
                f"{key}: the connection to {where} broke after row {given} and {self.retries} further attempts "
                f"({told}). Nothing of it is used. Run it again, or raise data.source.retries."
            )
        return f"{key}: {where} refuses the query after row {given} ({told})."


_MISSING_PACKAGE = 'data.source: reading a database needs packages that are not installed. Run: pip install "hft[sql]"'


def _other_order(key: str, given: int) -> str:
    return (
        f"{key}: the connection broke after row {given}, and asked again the database gives other rows, or the same in "
        f"another order. Let the query end with ORDER BY and a unique column, so that it can go on where it was."
    )


def _is_refused(error: Exception) -> bool:
    """Whether the server asked for the password and then let nobody in: its reason has no code before a session."""
    original = getattr(error, "orig", None)
    connection = getattr(original, "pgconn", None)
    is_state_known = getattr(original, "sqlstate", None) is not None
    was_connected = getattr(error, "connection_invalidated", False)
    return bool(getattr(connection, "used_password", False)) and not is_state_known and not was_connected


def _passes(error: Exception) -> bool:
    """Whether an error of SQLAlchemy may be gone at the next attempt."""
    original = getattr(error, "orig", None)
    if original is None:
        return isinstance(error, OSError) and not isinstance(error, PermissionError | FileNotFoundError)
    code = getattr(original, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in _SQLITE_PASSING
    if getattr(error, "connection_invalidated", False):
        return True
    state = getattr(original, "sqlstate", None)
    if state is not None:
        return str(state).startswith(_PASSING_STATES)
    return type(original).__name__ in ("OperationalError", "InterfaceError")
