"""What a Hydra job's return means for the search: values, a failure, or a trial that was stopped early."""

from __future__ import annotations

import contextlib
import io
import json
import math
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hft.errors import HftError
from hft.search.trial import Outcome, TrialPruned

if TYPE_CHECKING:
    from hydra.core.utils import JobReturn

# A reason is a line in a table and in the journal; the whole error is in the trial's folder.
_REASON_CHARACTERS = 300

# In the folder of a trial that failed.
TRACEBACK = "traceback.txt"


@dataclass(frozen=True)
class Expected:
    """What a job is to return.

    Args:
        metrics: names of the search's metrics, in order.
        is_required: False: a job of an enumeration, which is done whether or not it returns values.
    """

    metrics: tuple[str, ...]
    is_required: bool = True


class _NoValueError(Exception):
    """What a job returned cannot be a value, in words."""


def outcome_of_job(job: JobReturn, expected: Expected, seconds: float) -> Outcome:
    """How the trial ended that a job was.

    Args:
        job: as `run_job` or a launcher gives it back.
        expected: what it was to return.
        seconds: wall time.
    """
    from hydra.core.utils import JobStatus

    folder = None if job.hydra_cfg is None else str(job.hydra_cfg.hydra.runtime.output_dir)
    if job.status == JobStatus.COMPLETED:
        return outcome_of_value(job.return_value, expected, folder=folder, seconds=seconds)
    return outcome_of_error(error_of_job(job), folder=folder, seconds=seconds)


def outcome_of_error(error: Any, *, folder: str | None = None, seconds: float = 0.0) -> Outcome:
    """Pruned where the error says so, else failed, with the error's type and message as the reason.

    Raises:
        KeyboardInterrupt: the error is how a library (Lightning) passes Ctrl-C on, by `sys.exit`.
    """
    if isinstance(error, SystemExit) and isinstance(error.__context__, KeyboardInterrupt):
        raise error.__context__ from None
    if isinstance(error, TrialPruned):
        return Outcome("pruned", reason=_shortened(str(error)) or "pruned", folder=folder, seconds=seconds)
    told = _message(error) if isinstance(error, HftError) else f"{type(error).__name__}: {_message(error)}"
    reason = _shortened(told.removesuffix(": "))
    return Outcome("failed", reason=reason, folder=folder, seconds=seconds, error=error)


def outcome_of_value(value: Any, expected: Expected, *, folder: str | None = None, seconds: float = 0.0) -> Outcome:
    """Done where a job returned a finite number a metric, else failed.

    Args:
        value: a number; a sequence of numbers, one a metric; or a mapping that has them under the metrics' names
            (or, of a single metric, under `value`) and beside them what is to be remembered.
        expected: what it was to be.
        folder: where it ran.
        seconds: wall time.
    """
    metrics, details = expected.metrics, dict[str, Any]()
    try:
        plain = _plain(value)
        details = _details(plain, metrics) if isinstance(plain, Mapping) else {}
        values = tuple(_finite(name, number) for name, number in zip(metrics, _numbers(plain, metrics), strict=True))
    except _NoValueError as error:
        reason = str(error)
    except Exception as error:  # a config whose interpolations lead nowhere, an array on a device that is lost
        reason = f"what the job returned cannot be read: {type(error).__name__}: {_message(error)}"
    else:
        return Outcome("done", values=values, folder=folder, seconds=seconds, details=details)
    if not expected.is_required:
        return Outcome("done", folder=folder, seconds=seconds, details=details)
    return Outcome("failed", reason=_shortened(reason), folder=folder, seconds=seconds, details=details)


def keep_traceback(outcome: Outcome) -> None:
    """Write the traceback of a failed trial into its folder, and let go of what its frames hold (a model, say).

    A user's slip (an HftError) has its message and needs no traceback.
    """
    error = outcome.error
    if outcome.state != "failed" or error is None or error.__traceback__ is None:
        return
    if outcome.folder is not None and not isinstance(error, HftError):
        _write_traceback(error, Path(outcome.folder))
    cause: BaseException | None = error
    while cause is not None:
        traceback.clear_frames(cause.__traceback__)
        cause = cause.__cause__ or cause.__context__


def _write_traceback(error: BaseException, folder: Path) -> None:
    # The trial has failed already; a disk that refuses is told by the journal's next line.
    with contextlib.suppress(OSError):
        text = "".join(traceback.format_exception(error))
        (folder / TRACEBACK).write_text(text, encoding="utf-8", errors="replace", newline="\n")


def error_of_job(job: JobReturn) -> BaseException:
    """The error that ended a job. Hydra gives it by raising, with a line on stderr before it."""
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            _ = job.return_value
        except Exception as error:
            return error
    return RuntimeError(f"the job ended with status {job.status.name}")


def _plain(value: Any) -> Any:
    """A node of a config as plain containers, an array or a tensor of numbers as a number or a list."""
    from omegaconf import OmegaConf

    if OmegaConf.is_config(value):
        return OmegaConf.to_container(value, resolve=True)
    return value.tolist() if hasattr(value, "tolist") else value


def _numbers(value: Any, metrics: Sequence[str]) -> Sequence[Any]:
    if value is None:
        raise _NoValueError(f"the job returned nothing; expected: {_wanted(metrics)}")
    if isinstance(value, Mapping):
        if all(name in value for name in metrics):
            return [_plain(value[name]) for name in metrics]
        if len(metrics) == 1 and "value" in value:
            return [_plain(value["value"])]
        missing = ", ".join(name for name in metrics if name not in value)
        found = ", ".join(map(str, value)) or "nothing"
        raise _NoValueError(f"the job returned a mapping without {missing}; found: {found}")
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        if len(value) != len(metrics):
            raise _NoValueError(f"the job returned {len(value)} values; expected: {_wanted(metrics)}")
        return [_plain(item) for item in value]
    if len(metrics) != 1:
        raise _NoValueError(f"the job returned one value; expected: {_wanted(metrics)}")
    return [value]


def _finite(name: str, number: Any) -> float:
    if isinstance(number, bool | str | bytes) or not hasattr(number, "__float__"):
        raise _NoValueError(f"{name}: the job returned {number!r}; expected: a number")
    value = float(number)
    if not math.isfinite(value):
        raise _NoValueError(f"{name} is {value}, which is no value")
    return value


def _wanted(metrics: Sequence[str]) -> str:
    return f"a number, the value of {metrics[0]}" if len(metrics) == 1 else f"a number for each of {', '.join(metrics)}"


def _details(mapping: Mapping[str, Any], metrics: Sequence[str]) -> dict[str, Any]:
    """What a job wants remembered, as far as JSON can hold it."""
    taken = set(metrics) | ({"value"} if len(metrics) == 1 else set())
    return {str(key): _plain(item) for key, item in mapping.items() if key not in taken and _is_json(_plain(item))}


def _is_json(item: Any) -> bool:
    try:
        json.dumps(item, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True


def _message(error: Any) -> str:
    try:
        return str(error)
    except Exception as second:  # of the class that somebody wrote
        return f"(its message cannot be told: {type(second).__name__})"


def _shortened(text: str) -> str:
    # The system's texts may hold halves of characters (names of files), which no table can be written with.
    line = " ".join(text.encode(errors="replace").decode().split())
    return line if len(line) <= _REASON_CHARACTERS else line[: _REASON_CHARACTERS - 1] + "…"
