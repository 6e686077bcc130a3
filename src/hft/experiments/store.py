"""The MLflow store: reached in a known time or not at all, created by one process at a time, imported late."""

from __future__ import annotations

import glob
import http.client
import logging
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import SplitResult, quote, unquote, urlsplit

from hft.errors import ConfigError, HftError
from hft.experiments.moved_store import follow_move
from hft.files import storage_errors
from hft.redaction import redacted
from hft.user_lists import note, noted

if TYPE_CHECKING:
    from mlflow import MlflowClient

SCHEMES = ("sqlite", "http", "https", "postgresql", "mysql", "mssql", "databricks", "file")
_SQLITE = "sqlite:///"
_SERVERS = "tracking_servers"  # the list of those on which a run of this user was tracked
# What an address gives another meaning; and what may follow the file in one that somebody typed.
_SIGNS_OF_ADDRESSES = re.compile(r"[%?#\x00-\x1f]")
_QUERY = re.compile(r"\?[\w.]+=[^/?]*\Z")
_LOCK_SECONDS = 60  # another process makes the store, which takes 5 s
_PROBE_SECONDS = 0.8  # name lookup, connection and answer together
_QUICK_SECONDS = 5  # a request while a model trains
_PATIENT_SECONDS = 60  # a request of `hft runs --sync`, where somebody chose to wait


class TrackingError(HftError):
    """The tracking store is away or refuses. A training goes on without it; `hft runs --sync` pushes later.

    Its message has no password, whatever address it names.
    """

    def __init__(self, message: str) -> None:
        super().__init__(redacted(message))


def check_uri(uri: str) -> None:
    """Refuses what is no address of an MLflow store.

    Raises:
        ConfigError: naming `tracking.uri`.
    """
    scheme = urlsplit(uri).scheme.partition("+")[0]
    if scheme not in SCHEMES:
        raise ConfigError(
            f"tracking.uri: {redacted(uri)!r} is no MLflow store. Expected an address that begins with one of "
            f"{', '.join(SCHEMES)}, such as sqlite:///outputs/mlflow.db or http://127.0.0.1:5000."
        )


def why_away(uri: str) -> str | None:
    """Asks a server whether it is there: one connection and one short answer, in less than a second.

    Any HTTP answer counts, since a proxy may guard `/health`. A store that is no HTTP server is taken to be there.

    Returns:
        None where it is there, else the reason in words.
    """
    address = urlsplit(uri)
    if address.scheme not in ("http", "https"):
        return None
    reasons: list[str] = []

    def ask() -> None:
        try:
            _ask_health(address)
        except (OSError, http.client.HTTPException, ValueError) as error:
            reasons.append(str(error) or type(error).__name__)

    # A thread, because nothing else bounds the time of a name lookup.
    thread = threading.Thread(target=ask, name="hft-probe", daemon=True)
    thread.start()
    thread.join(_PROBE_SECONDS)
    if thread.is_alive():
        return f"{uri} does not answer (nothing in {_PROBE_SECONDS} s)"
    return f"{uri} does not answer ({reasons[0]})" if reasons else None


def open_client(uri: str) -> MlflowClient:
    """A client of the store at `uri`, which is created where it is an SQLite file that does not exist yet.

    A new SQLite store is made under a temporary name, by one process at a time: a process that is killed meanwhile
    leaves no half of one, and two that make the tables at once crash. Nothing here waits for long.

    Raises:
        TrackingError: the store cannot be opened.
        StorageError: the folder of an SQLite file cannot be written.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when mlflow is imported
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # stdout holds results only
    with tracking_errors(uri):
        from mlflow import MlflowClient
        from mlflow.store.db import utils as databases

        databases.MAX_RETRY_COUNT = 1  # its own would try a file that is no database for 100 s
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        with _without_stray_folder(uri):
            _make_where_missing(uri)
            _follow_move(uri)
            client = MlflowClient(uri)
            client.search_experiments(max_results=1)
            if _taken_for(uri) is not None:
                client.search_registered_models(max_results=1)  # opens the registry, which makes that folder too
    return client


def sqlite_file(uri: str) -> Path | None:
    """The file of an SQLite store; None for another store.

    An address that a config composes (`sqlite:///${outputs}/mlflow.db`) has the path as it is; one that `sqlite_uri`
    made has codes in it.
    """
    if not uri.startswith(_SQLITE):
        return None
    path = _QUERY.sub("", uri[len(_SQLITE) :])
    decoded = unquote(path)
    return Path(decoded if _encoded(decoded) == path else path)


def sqlite_uri(file: str | os.PathLike[str]) -> str:
    """The address of an SQLite store, whatever signs its path has. SQLAlchemy takes the codes out again."""
    return f"{_SQLITE}{_encoded(os.fspath(file))}"


def absolute_uri(uri: str) -> str:
    """The address with an SQLite file's whole path: MLflow keeps a store open by its address, whatever the folder."""
    file = sqlite_file(uri)
    if file is None:
        return uri
    query = _QUERY.search(uri)
    return sqlite_uri(file.absolute()) + (query[0] if query else "")


def note_server(uri: str) -> None:
    """Remembers that this user had a run tracked on a server.

    Args:
        uri: of any store; files are not remembered.
    """
    if sqlite_file(uri) is None:
        note(_SERVERS, [uri])


def may_be_asked(uri: str) -> bool:
    """Whether hft turns to a store because a record names it: a request bears the user's token.

    It may be a file, the server of MLFLOW_TRACKING_URI, or one on which a run of this user was tracked.
    """
    return sqlite_file(uri) is not None or uri == os.environ.get("MLFLOW_TRACKING_URI") or uri in noted(_SERVERS)


def not_asked(uri: str) -> str:
    """What is said of a store that is not asked."""
    told = redacted(uri)
    return (
        f"the record names the store {told}, on which no run of yours was tracked here. If it is yours, say so: "
        f"MLFLOW_TRACKING_URI={told}"
    )


def artifact_root(uri: str) -> Path | None:
    """Where artifacts of an SQLite store lie: `mlartifacts` beside the file. None: the server says."""
    file = sqlite_file(uri)
    return None if file is None else file.absolute().parent / "mlartifacts"


@contextmanager
def tracking_errors(uri: str, *, patient: bool = False) -> Iterator[None]:
    """Inside the block a server gets seconds to answer, not MLflow's minutes; what goes wrong is a TrackingError.

    Args:
        uri: named in the message.
        patient: waits longer and tries again, for when nothing else waits.
    """
    limits = {
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(_PATIENT_SECONDS if patient else _QUICK_SECONDS),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2" if patient else "0",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    }
    before = {name: os.environ.get(name) for name in limits}
    os.environ.update(limits)
    try:
        yield
    except HftError:
        raise
    except Exception as error:  # MLflow lets errors of requests, SQLAlchemy and the system through as they come
        raise TrackingError(f"{uri}: the tracking store refuses: {_first_line(error)}") from error
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _make_where_missing(uri: str) -> None:
    """Makes the tables of an SQLite store that does not exist, unless another process is about to.

    MLflow's own way puts the current folder into a statement as it is, which fails where its name has a quote.
    """
    from filelock import FileLock
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    file, root = sqlite_file(uri), artifact_root(uri)
    if file is None or root is None or str(file) == ":memory:" or file.exists():
        return
    with storage_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
    begun = f".{file.name}.partial"
    with FileLock(file.parent / f".{file.name}.lock", timeout=_LOCK_SECONDS):
        for left in file.parent.glob(f"{glob.escape(begun)}*"):  # by a process that was killed; and its journal
            left.unlink()
        if not file.exists():
            temporary, make = file.absolute().parent / begun, cast(Any, SqlAlchemyStore)  # it has no types
            make(sqlite_uri(temporary), root.as_uri()).engine.dispose()
            temporary.rename(file)


def _follow_move(uri: str) -> None:
    file, root = sqlite_file(uri), artifact_root(uri)
    if file is not None and root is not None and file.is_file():
        follow_move(file, root)


@contextmanager
def _without_stray_folder(uri: str) -> Iterator[None]:
    """MLflow makes a folder for an SQLite file without taking the codes out of its address. Empty, it goes again."""
    taken_for = _taken_for(uri)
    is_stray = taken_for is not None and not taken_for.exists()
    yield
    if taken_for is not None and is_stray:
        with suppress(OSError):
            os.removedirs(taken_for)


def _taken_for(uri: str) -> Path | None:
    """The folder that MLflow takes for that of an SQLite file; None: it is that."""
    file, taken_for = sqlite_file(uri), Path(uri[len(_SQLITE) :]).parent
    return None if file is None or taken_for == file.parent else taken_for


def _encoded(path: str) -> str:
    return _SIGNS_OF_ADDRESSES.sub(lambda sign: quote(sign[0], safe=""), path)


def _ask_health(address: SplitResult) -> None:
    connection: http.client.HTTPConnection
    host = address.hostname or ""
    if address.scheme == "https":
        connection = http.client.HTTPSConnection(host, address.port, timeout=_PROBE_SECONDS)
    else:
        connection = http.client.HTTPConnection(host, address.port, timeout=_PROBE_SECONDS)
    try:
        connection.request("GET", f"{address.path.rstrip('/')}/health")
        connection.getresponse()
    finally:
        connection.close()


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:300]
