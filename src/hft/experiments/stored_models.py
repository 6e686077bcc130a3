"""Copies of runs' models in their tracking stores: how large, and away with them where the store is a local one."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from hft.experiments.projection import wants_model
from hft.experiments.run_folder import MODEL_NAME
from hft.experiments.run_record import RunRecord
from hft.experiments.store import absolute_uri, open_client, sqlite_file, tracking_errors
from hft.experiments.tracked_result import RUN_ID_TAG
from hft.files import storage_errors

if TYPE_CHECKING:
    from mlflow import MlflowClient


@dataclass(frozen=True)
class StoredModel:
    """The copy of a run's model in a store.

    Args:
        uri: of the store.
        artifacts: address of the run's artifacts there; None: nobody asked a server.
        size: in bytes; None where the copy stays, since it is not on this machine's disks.
    """

    uri: str
    artifacts: str | None
    size: int | None

    @property
    def stays(self) -> bool:
        """Whether the copy is out of reach."""
        return self.size is None


class StoredModels:
    """Finds and removes copies of models. A local store is opened once; a server is not asked.

    Args:
        own: addresses of the user's own stores; copies in others stay.
    """

    def __init__(self, own: Collection[str]) -> None:
        self._own = own
        self._clients: dict[str, MlflowClient] = {}

    def find(self, record: RunRecord) -> StoredModel | None:
        """The copy of a run's model; None: there is none.

        Raises:
            TrackingError: a local store cannot be opened.
        """
        tracking = record.tracking
        if tracking.kind != "mlflow" or tracking.uri is None or tracking.mlflow_run_id is None:
            return None
        uri = absolute_uri(tracking.uri)
        scheme, file = urlsplit(uri).scheme, sqlite_file(uri)
        if uri not in self._own or (scheme != "file" and file is None):
            is_there = wants_model(record) and record.results.weights is not None and not tracking.pending
            return StoredModel(uri, None, None) if is_there else None
        if file is not None and not file.is_file():
            return None
        artifacts = self._artifacts(uri, tracking.mlflow_run_id, record.run_id)
        if artifacts is None:
            return None
        folder = _local(artifacts)
        if folder is None:
            return StoredModel(uri, artifacts, None) if wants_model(record) else None
        copy = folder / MODEL_NAME
        return StoredModel(uri, artifacts, folder_size(copy)) if copy.is_dir() else None

    def remove(self, model: StoredModel) -> None:
        """Removes a copy that is within reach.

        Raises:
            StorageError: the copy cannot be removed.
        """
        folder = None if model.stays or model.artifacts is None else _local(model.artifacts)
        if folder is not None:  # MLflow's own way misses a folder whose name has codes in its address
            with storage_errors(folder):
                shutil.rmtree(folder / MODEL_NAME)

    def _artifacts(self, uri: str, mlflow_run_id: str, run_id: str) -> str | None:
        """The address of a run's artifacts; None: the store has no such run, or it is another."""
        with tracking_errors(uri):
            if uri not in self._clients:
                self._clients[uri] = open_client(uri)
            from mlflow.exceptions import MlflowException

            try:
                run = self._clients[uri].get_run(mlflow_run_id)
                return str(run.info.artifact_uri) if run.data.tags.get(RUN_ID_TAG) == run_id else None
            except MlflowException as error:
                if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                    return None
                raise


def folder_size(folder: Path) -> int:
    """Bytes of the files in a folder; links are not followed."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file() and not file.is_symlink())


def _local(artifacts: str) -> Path | None:
    """The folder of artifacts on this machine; None: they lie elsewhere."""
    address = urlsplit(artifacts)
    if address.scheme == "file":
        return Path(url2pathname(address.path))
    return Path(artifacts) if address.scheme == "" else None
