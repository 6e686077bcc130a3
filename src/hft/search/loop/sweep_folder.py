"""What stands in a sweep's folder beside its journal: the header, the lock, the folders of interrupted trials."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from hft.checksums import read_sealed, sealed_json
from hft.errors import ConfigError, DamagedError
from hft.files import atomic_write, storage_errors
from hft.parsing import check_size, parse_json
from hft.search.loop.journal import JOURNAL_NAME
from hft.search.settings import SearchSettings
from hft.search.spaces.space import canonical, space_changes
from hft.search.specs import Params

HEADER_NAME = "sweep.json"
LOCK_NAME = "sweep.lock"
SCHEMA_VERSION = 1

# What may differ when a sweep goes on: none of it changes which parameters are asked for.
CHANGEABLE = ("max_evals", "timeout", "max_failures", "n_parallel", "keep_models")

_ANOTHER_FOLDER = "start another sweep beside it: hydra.sweep.dir=FOLDER"


@dataclass(frozen=True)
class Header:
    """What a sweep is, written once at its beginning.

    Args:
        kind: a search, or an exhaustive enumeration.
        engine: hyperopt, optuna or exhaustive.
        settings: of the search.
        space: as `SearchSpace.to_dict` gives it.
        fixed: overrides of every trial.
        past: hash of what the sweep begins with: the queue and the observations.
        details: what the caller wants remembered; not compared.
    """

    kind: Literal["search", "exhaustive"]
    engine: str
    settings: SearchSettings
    space: Mapping[str, Any]
    fixed: Sequence[str] = ()
    past: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As it stands in the file."""
        content = {
            "schema_version": SCHEMA_VERSION,
            "kind": self.kind,
            "engine": self.engine,
            "settings": self.settings.model_dump(mode="json"),
            "space": dict(self.space),
            "fixed": list(self.fixed),
            "past": self.past,
            "details": dict(self.details),
        }
        plain: dict[str, Any] = json.loads(json.dumps(content, default=str))
        return plain


def past_hash(queue: Sequence[Params], only_queue: bool, observations: Sequence[tuple[Params, float]]) -> str:
    """Identity of the queue and the observations of a sweep; empty where there are none."""
    if not queue and not observations and not only_queue:
        return ""
    parts = [*map(canonical, queue), repr(only_queue)]
    parts += [f"{canonical(params)} {gain!r}" for params, gain in observations]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def read_header(folder: Path) -> dict[str, Any] | None:
    """The header of a sweep folder as it stands there; None: there is none.

    Raises:
        ConfigError: it cannot be read.
    """
    path = folder / HEADER_NAME
    try:
        check_size(path)
        content = parse_json(read_sealed(path))
    except FileNotFoundError:
        return None
    except (ValueError, DamagedError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}. To go on without it, {_ANOTHER_FOLDER}") from error
    if not isinstance(content, dict) or content.get("schema_version") != SCHEMA_VERSION:
        found = content.get("schema_version") if isinstance(content, dict) else content
        raise ConfigError(
            f"{path}: schema_version is {found!r}, this version of hft reads {SCHEMA_VERSION}; {_ANOTHER_FOLDER}"
        )
    return content


def settle_header(folder: Path, header: Header) -> None:
    """Writes the header of a new sweep; of one that has trials, checks that it is the same sweep.

    Raises:
        ConfigError: the folder holds another sweep (with the differences), or a journal without a header.
        StorageError: the header cannot be written.
    """
    journal = folder / JOURNAL_NAME
    has_trials = journal.exists() and journal.stat().st_size > 0
    old = read_header(folder)
    new = header.to_dict()
    if has_trials and old is None:
        raise ConfigError(
            f"{folder}: there is a journal of trials ({JOURNAL_NAME}) and no {HEADER_NAME} that says what they are of. "
            f"Restore it, or {_ANOTHER_FOLDER}"
        )
    if has_trials and old is not None:
        changes = differences(old, new)
        if changes:
            lines = "\n".join(f"  {change}" for change in changes)
            raise ConfigError(
                f"{folder}: holds another sweep, which cannot go on with what is asked for now:\n{lines}\n"
                f"Undo these changes ({', '.join(CHANGEABLE)} may differ), or {_ANOTHER_FOLDER}"
            )
    # A header without a trial binds nobody: the next start may bring another space.
    if old is None or any(old.get(key) != new[key] for key in new if key != "details"):
        with atomic_write(folder / HEADER_NAME) as file:
            file.write(sealed_json(new))


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What makes two headers different sweeps, a line each, in words."""
    changes = [f"space: {line}" for line in space_changes(old.get("space", {}), new["space"])]
    if not changes and old.get("space") != new["space"]:
        changes = ["space: the order of its parameters"]
    changes += [_change(key, old.get(key), new[key]) for key in ("kind", "engine") if old.get(key) != new[key]]
    before, after = _comparable(old.get("settings", {})), _comparable(new["settings"])
    changes += [_change(key, before.get(key), after.get(key)) for key in after if before.get(key) != after.get(key)]
    changes += [f"fixed: {line}" for line in _line_changes(old.get("fixed", []), new["fixed"])]
    if old.get("past", "") != new["past"]:
        changes.append("the parameters or the observations to begin with (reuse, queue)")
    return changes


def _comparable(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings without what may change: the last stage's budget, too, since nothing comes after it."""
    kept = {key: value for key, value in settings.items() if key not in CHANGEABLE}
    kept["algorithm"] = kept.get("algorithm") or "tpe"
    stages = list(kept.get("stages", ()))
    if stages:
        kept["stages"] = [*stages[:-1], {**stages[-1], "max_evals": None}]
    return kept


def _change(key: str, old: Any, new: Any) -> str:
    return f"{key}: {json.dumps(old, ensure_ascii=False)} -> {json.dumps(new, ensure_ascii=False)}"


def _line_changes(old: Sequence[str], new: Sequence[str]) -> list[str]:
    gone = [f"without {line}" for line in old if line not in new]
    come = [f"with {line}" for line in new if line not in old]
    return gone + come or (["their order"] if list(old) != list(new) else [])


@contextmanager
def sweep_lock(folder: Path) -> Iterator[None]:
    """Holds a sweep's folder, which is made, for this process. The lock of a process that was killed is free.

    Raises:
        ConfigError: another process runs this sweep.
        StorageError: the folder cannot be written.
    """
    from filelock import FileLock, Timeout

    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    holder = folder / f"{LOCK_NAME}.holder"
    lock = FileLock(str(folder / LOCK_NAME), timeout=0)
    with storage_errors(folder / LOCK_NAME):
        try:
            lock.acquire()
        except Timeout as error:  # an OSError, which must not become one of the disk
            raise ConfigError(
                f"{folder}: another process ({_holder(holder)}) runs this sweep. "
                f"Wait for it, stop it, or {_ANOTHER_FOLDER}"
            ) from error
    try:
        with atomic_write(holder) as file:
            file.write(f"pid {os.getpid()} on {socket.gethostname()}")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _holder(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip() or "unknown"
    except OSError:
        return "unknown"


def set_aside(folder: Path, number: int) -> Path | None:
    """Renames the folder of a trial that was interrupted to `N.interrupted-K`; None: there is none.

    Raises:
        StorageError: it cannot be renamed.
    """
    old = folder / str(number)
    if not old.exists():
        return None
    attempt = 1
    while (new := folder / f"{number}.interrupted-{attempt}").exists():
        attempt += 1
    with storage_errors(new):
        os.rename(old, new)
    return new
