"""The journal of a sweep, `trials.jsonl`: an event a line, on disk before the sweep goes on.

Two events. `ask`: {"event", "number", "stage", "params", "source", "given", "time", "elapsed"}, and `tell`: {"event",
"number", "state", "values", "reason", "folder", "seconds", "details", "known_from", "elapsed"}. `folder` is relative to
the sweep's. `given` says that the
engine was handed the parameters instead of proposing them; `raw` lists the keys whose values are in Hydra's
grammar already; `time` is UTC; `elapsed` is in seconds over all sessions of the sweep.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hft.checksums import sealed_row, unsealed_row, whole_lines
from hft.errors import ConfigError
from hft.files import storage_errors
from hft.parsing import parse_json
from hft.search.specs import Params, RawValue
from hft.search.trial import Outcome, Source, Trial

JOURNAL_NAME = "trials.jsonl"


@dataclass(frozen=True)
class Ask:
    """A parameter set was decided on.

    Args:
        number: of the trial.
        stage: of the search.
        params: active parameters.
        source: who proposed them.
        given: the engine was handed the parameters.
        time: UTC, ISO 8601.
        elapsed: seconds of the sweep, all sessions.
    """

    number: int
    stage: int
    params: Params
    source: Source
    given: bool
    time: str
    elapsed: float

    def trial(self) -> Trial:
        """The trial that this begins."""
        return Trial(self.number, self.params, stage=self.stage, source=self.source, started=self.time)


@dataclass(frozen=True)
class Tell:
    """A trial ended.

    Args:
        number: of the trial.
        outcome: how.
        known_from: where its values were on record; None: it ran.
        elapsed: seconds of the sweep, all sessions.
    """

    number: int
    outcome: Outcome
    known_from: str | None
    elapsed: float

    def end(self, trial: Trial) -> Trial:
        """The trial as it stands after its end."""
        outcome = self.outcome
        return replace(
            trial,
            state=outcome.state,
            values=tuple(outcome.values),
            known_from=self.known_from,
            reason=outcome.reason,
            folder=outcome.folder,
            seconds=outcome.seconds,
            details=outcome.details,
        )


Event = Ask | Tell


@dataclass
class Journal:
    """Appends events to the journal of a sweep folder; each is on disk when `append` returns.

    Args:
        folder: of the sweep, which exists.
    """

    folder: Path
    _descriptor: int = field(default=-1, init=False)

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / JOURNAL_NAME

    def open(self) -> list[Event]:
        """Opens the journal for writing and gives what stands in it; a torn last line is cut off.

        Raises:
            ConfigError: a line before the last cannot be read.
            StorageError: the file cannot be written.
        """
        events, size = _read(self.path)
        with storage_errors(self.path):
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
            self._descriptor = os.open(self.path, flags, 0o666)
            if os.fstat(self._descriptor).st_size > size:
                os.ftruncate(self._descriptor, size)
                os.fsync(self._descriptor)
        return events

    def append(self, event: Event) -> None:
        """Writes an event and waits until it is on disk.

        Raises:
            StorageError: it could not be written (a full disk); nothing of it stands in the file then.
        """
        # Texts of the system, such as names of files, may hold what is no UTF-8; JSON's readers take it back so.
        line = (sealed_row(_plain_json(_encode(event))) + "\n").encode(errors="surrogatepass")
        with storage_errors(self.path):
            size = os.fstat(self._descriptor).st_size
            try:
                written = 0
                while written < len(line):
                    written += os.write(self._descriptor, line[written:])
                os.fsync(self._descriptor)
                os.stat(self.path)  # a folder that was removed under a sweep would take its lines without a word
            except OSError:
                os.ftruncate(self._descriptor, size)
                raise

    def close(self) -> None:
        """Closes the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def read_events(folder: Path) -> list[Event]:
    """The events of a sweep folder's journal, without a torn last line; nothing where there is none.

    Raises:
        ConfigError: a line before the last cannot be read.
    """
    return _read(folder / JOURNAL_NAME)[0]


def decode(line: bytes) -> Event:
    """One line as an event.

    Raises:
        ValueError: it is none, or is damaged.
    """
    try:
        found = parse_json(unsealed_row(line))
        if found["event"] == "ask":
            return _decode_ask(found)
        if found["event"] == "tell":
            return _decode_tell(found)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not an event of a sweep: {error!r}") from error
    raise ValueError(f"not an event of a sweep: {found['event']!r}")


def _read(path: Path) -> tuple[list[Event], int]:
    """Events, and how many bytes of the file they take."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return [], 0
    events: list[Event] = []
    size = 0
    try:
        lines = whole_lines(content)
    except ValueError as error:
        raise unreadable(path, content.count(b"\n") + 1, error) from error
    for number, line in enumerate(lines, start=1):
        try:
            events.append(decode(line))
        except ValueError as error:
            if number == len(lines) and b"\0" in line:
                break  # a power cut may leave a last line of the right length that was never filled
            raise unreadable(path, number, error) from error
        size += len(line) + 1
    return _placed(events, path.parent), size


def _placed(events: list[Event], sweep: Path) -> list[Event]:
    """Events with folders relative to the sweep's. An older hft wrote whole paths, which lead to where a sweep was that
    was moved since: its first trial that ran there tells the place."""
    whole = [event for event in events if isinstance(event, Tell) and os.path.isabs(event.outcome.folder or "")]
    ran = (Path(event.outcome.folder or "").parent for event in whole if event.known_from is None)
    before = next((folder for folder in ran if folder.name == sweep.absolute().name), sweep)
    return [
        replace(event, outcome=event.outcome.placed(before)) if isinstance(event, Tell) else event for event in events
    ]


def unreadable(path: Path, line: int, error: ValueError) -> ConfigError:
    """What a sweep says of a line of its own that cannot be read."""
    return ConfigError(
        f"{path}: line {line} cannot be read ({error}). It is written by the sweep alone: restore it from a copy, or "
        "start the sweep in another folder (hydra.sweep.dir=FOLDER)."
    )


def _encode(event: Event) -> dict[str, Any]:
    if isinstance(event, Ask):
        raw = [key for key, value in event.params.items() if isinstance(value, RawValue)]
        return {
            "event": "ask",
            "number": event.number,
            "stage": event.stage,
            "params": event.params,
            **({"raw": raw} if raw else {}),
            "source": event.source,
            "given": event.given,
            "time": event.time,
            "elapsed": round(event.elapsed, 3),
        }
    outcome = event.outcome
    return {
        "event": "tell",
        "number": event.number,
        "state": outcome.state,
        "values": list(outcome.values),
        "reason": outcome.reason,
        "folder": outcome.folder,
        "seconds": outcome.seconds,
        "details": dict(outcome.details),
        "known_from": event.known_from,
        "elapsed": round(event.elapsed, 3),
    }


def _decode_ask(found: Mapping[str, Any]) -> Ask:
    raw = set(found.get("raw", ()))
    return Ask(
        number=found["number"],
        stage=found["stage"],
        params={key: RawValue(value) if key in raw else value for key, value in found["params"].items()},
        source=found["source"],
        given=found["given"],
        time=found["time"],
        elapsed=found["elapsed"],
    )


def _decode_tell(found: Mapping[str, Any]) -> Tell:
    outcome = Outcome(
        state=found["state"],
        values=tuple(found["values"]),
        reason=found["reason"],
        folder=found["folder"],
        seconds=found["seconds"],
        details=found["details"],
    )
    return Tell(found["number"], outcome, found["known_from"], found["elapsed"])


def _plain_json(content: Any) -> str:
    """JSON that every reader takes: what is not a number is null, NumPy's are Python's, an unknown object its text."""
    try:
        return json.dumps(content, allow_nan=False, ensure_ascii=False, default=_plain_object)
    except ValueError:
        return json.dumps(_without_nan(content), allow_nan=False, ensure_ascii=False, default=_plain_object)


def _plain_object(found: Any) -> Any:
    return found.tolist() if hasattr(found, "tolist") else str(found)


def _without_nan(content: Any) -> Any:
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if isinstance(content, Mapping):
        return {str(key): _without_nan(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_without_nan(value) for value in content]
    return content
