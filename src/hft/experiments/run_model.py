"""The tuned model of a run: whether it is there, where it is, and how to get it back where it was removed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from hft.checksums import CHECKSUMS_NAME, check_folder
from hft.errors import DamagedError, HftError, RunNotFoundError
from hft.experiments.manager import manager_for
from hft.experiments.run_folder import MODEL_NAME, RECORD_NAME, record_files
from hft.experiments.run_record import RunRecord, load_record, weights_hash
from hft.experiments.store import TrackingError, may_be_asked, not_asked


def has_model(record: RunRecord) -> bool:
    """Whether the run's tuned model is in its folder."""
    return (record.folder / MODEL_NAME).is_dir()


def require_model(record: RunRecord, outputs: str | os.PathLike[str] = "outputs") -> Path:
    """The folder of a run's tuned model.

    Where the run's own is gone: that of a copy of the run, or of a reproduction that has the same weights; else the one
    that the run's tracking store has, which is downloaded to `OUTPUTS/downloaded`.

    Args:
        record: of the run.
        outputs: where copies and reproductions lie.

    Raises:
        RunNotFoundError: nobody has it; says why, and how to get it back.
        DamagedError: the run's own is there and is not what was saved.
    """
    own = record.folder / MODEL_NAME
    if own.is_dir():
        _check(own, record)
        return own
    found = next(_elsewhere(record, outputs), None)
    if found is None and record.results.weights is not None:
        found = _downloaded(record, outputs)
    if found is None:
        raise RunNotFoundError(_no_model(record))
    return found


def _check(model: Path, record: RunRecord) -> None:
    remedy = (
        f"Restore it from a copy. Or remove {model}: hft then takes a copy of the run's weights, if one is under the "
        f"outputs or in the tracking store; if there is none, `hft reproduce {record.folder}` trains them again."
    )
    check_folder(model, remedy)
    # A model of an earlier version has no checksums, but the record has the hash of its weights.
    has_checksums = (model / CHECKSUMS_NAME).exists()
    if not has_checksums and record.results.weights not in (None, weights_hash(model)):
        raise DamagedError(f"{model}: its weights are not those that {record.folder / RECORD_NAME} names. {remedy}")


def _elsewhere(record: RunRecord, outputs: str | os.PathLike[str]) -> Iterator[Path]:
    """Models of copies and of reproductions of a run that have its weights."""
    for file in record_files(outputs):
        if not (file.parent / MODEL_NAME).is_dir():
            continue
        try:
            other = load_record(file)
        except HftError:
            continue  # `hft runs` lists it as broken
        is_it = record.run_id in (other.run_id, other.reproduces)
        if is_it and other.results.weights is not None and other.results.weights == record.results.weights:
            yield file.parent / MODEL_NAME


def _downloaded(record: RunRecord, outputs: str | os.PathLike[str]) -> Path | None:
    tracking = record.tracking
    if tracking.kind != "mlflow" or tracking.uri is None or tracking.mlflow_run_id is None:
        return None
    if not may_be_asked(tracking.uri):
        return None
    try:
        manager = manager_for(tracking.uri)
        if manager.why_away(ask_again=False) is not None:
            return None
        # With its record, so that the copy is known to be one: it is found again, and pruned with its iteration.
        folder = manager.download_run(tracking.mlflow_run_id, Path(outputs) / "downloaded" / tracking.mlflow_run_id)
    except (RunNotFoundError, TrackingError):
        return None
    return folder / MODEL_NAME if (folder / MODEL_NAME).is_dir() else None


def _no_model(record: RunRecord) -> str:
    run, folder = record.run_id[:8], record.folder
    if record.status_now != "done":
        return (
            f"run {run} ({folder}): has no model: it is {record.status_now}. "
            "Take a run that is done; `hft runs` lists them."
        )
    if record.results.weights is None:
        return (
            f"run {run} ({folder}): has no model: it kept none, as trials of several folds or seeds do, whose "
            "winner is trained once more. Take another run; `hft runs` lists them."
        )
    tracking = record.tracking
    store = ""
    if tracking.kind == "mlflow" and tracking.uri:
        is_asked = may_be_asked(tracking.uri)
        store = f" and {tracking.uri} has no copy (or is away)" if is_asked else f"; {not_asked(tracking.uri)}"
    kept = ", or by its search, which keeps those of its best trials (search.keep_models)" if record.sweep else ""
    return (
        f"run {run} ({folder}): its weights are gone: they were pruned (hft runs --prune removes them{kept}){store}. "
        f"`hft reproduce {folder}` trains them again: where they come out the same, they stand in for this run's. "
        "Or take another run; `hft runs` lists them."
    )
