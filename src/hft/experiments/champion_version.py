"""One version of a method's registered model: what it says of a champion, and the tags that hold it in the store."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hft.checksums import check_tags, sealed_tags
from hft.experiments.run_record import RunRecord, utc_now
from hft.experiments.tracked_result import RUN_ID_TAG

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

METHOD_TAG = "hft.method"
_FOLDER_TAG = "hft.folder"
_BATCH_TAG = "hft.batch"
_MLFLOW_RUN_TAG = "hft.mlflow_run_id"
_PREDECESSOR_TAG = "hft.predecessor"
_BEST_TAG = "hft.best"
_PROMOTED_TAG = "hft.promoted_at"
ROLLED_BACK_TAG = "hft.rolled_back_at"
_GATE_PREFIX = "hft.gate."


@dataclass(frozen=True)
class Champion:
    """One version of a method's registered model: a run that was promoted.

    Args:
        method: whose champion it is or was.
        version: of the registered model, from 1.
        run_id: hft's id of the run.
        folder: the run's folder when it was promoted, from `outputs` on; whole where it lay elsewhere.
        mlflow_run_id: the store's id of the run; None where the store does not have it.
        batch: `data.batch_id` of the data that it was judged on.
        predecessor: version that was champion before it; None for a first one.
        best: version of the best champion of that day: the last one that was shown to be better than the best before
            it. Its own version where it is that one itself.
        promoted_at: UTC, ISO 8601.
        rolled_back_at: UTC, ISO 8601; None where it never was.
        gate: what the gate saw, by name.
    """

    method: str
    version: int
    run_id: str
    folder: Path
    mlflow_run_id: str | None
    batch: str | None
    predecessor: int | None
    best: int
    promoted_at: str
    rolled_back_at: str | None
    gate: Mapping[str, str]


def version_tags(
    record: RunRecord,
    mlflow_run_id: str | None,
    *,
    predecessor: int | None,
    best: int | None,
    batch: str | None,
    gate: Mapping[str, Any],
    outputs: str | os.PathLike[str],
) -> dict[str, str]:
    """The tags of a new version; see Champion. `best` is None where it is the best itself."""
    folder, root = record.folder.absolute(), Path(outputs).absolute()
    tags = {
        RUN_ID_TAG: record.run_id,
        _FOLDER_TAG: folder.relative_to(root).as_posix() if folder.is_relative_to(root) else folder,
        _BATCH_TAG: batch,
        _MLFLOW_RUN_TAG: mlflow_run_id,
        _PREDECESSOR_TAG: predecessor,
        _BEST_TAG: best,
        _PROMOTED_TAG: utc_now(),
        **{f"{_GATE_PREFIX}{key}": value for key, value in gate.items()},
    }
    return sealed_tags({key: str(value) for key, value in tags.items() if value is not None})


def champion_of_version(version: ModelVersion, method: str) -> Champion:
    """A version of the store as a Champion. It has the tags of `version_tags`.

    Raises:
        DamagedError: they are not what was written.
    """
    tags: Mapping[str, str] = version.tags
    number = int(version.version)
    sealed = {key: value for key, value in tags.items() if key.startswith("hft.") and key != ROLLED_BACK_TAG}
    remedy = "Restore the store from a copy; if you changed them on purpose, delete the tag hft.checksum in MLflow."
    check_tags(sealed, f"{method}: version {number} of its registered model", remedy)
    return Champion(
        method=method,
        version=number,
        run_id=tags[RUN_ID_TAG],
        folder=Path(tags.get(_FOLDER_TAG, "")),
        mlflow_run_id=tags.get(_MLFLOW_RUN_TAG),
        batch=tags.get(_BATCH_TAG),
        predecessor=_number(tags.get(_PREDECESSOR_TAG)),
        best=_number(tags.get(_BEST_TAG)) or number,
        promoted_at=tags.get(_PROMOTED_TAG, ""),
        rolled_back_at=tags.get(ROLLED_BACK_TAG),
        gate={key[len(_GATE_PREFIX) :]: value for key, value in tags.items() if key.startswith(_GATE_PREFIX)},
    )


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdigit() else None
