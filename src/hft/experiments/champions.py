"""Champions of methods: who is it, where is its model, whose models must stay, and the way back.

What the store knows of them is in hft.experiments.registry.
"""

from __future__ import annotations

import os
from pathlib import Path

from hft.errors import HftError, RunNotFoundError
from hft.experiments.champion_version import Champion
from hft.experiments.find import find_run
from hft.experiments.manager import ExperimentsManager
from hft.experiments.registry import Champions
from hft.experiments.run_folder import MODEL_NAME, RECORD_NAME
from hft.experiments.run_record import RunRecord, load_record
from hft.experiments.store import absolute_uri, check_uri, sqlite_uri


def store_uri(outputs: str | os.PathLike[str] = "outputs", uri: str | None = None) -> str:
    """The store to ask: `uri` where one is given, else MLFLOW_TRACKING_URI, else the SQLite file under `outputs`.

    Raises:
        ConfigError: it is no address of a store.
    """
    chosen = uri or os.environ.get("MLFLOW_TRACKING_URI") or sqlite_uri(Path(outputs) / "mlflow.db")
    check_uri(chosen)
    return absolute_uri(chosen)


def champion_of(method: str, outputs: str | os.PathLike[str] = "outputs", uri: str | None = None) -> RunRecord | None:
    """The run whose model is the champion of a method. Reads only: no store is made.

    Args:
        method: name of the method.
        outputs: where runs land.
        uri: of the store; None as `store_uri` finds it.

    Returns:
        its record, from a folder that has the model (downloaded where the run's own is gone); None where no run of
        the method was promoted yet, or there is no store.

    Raises:
        RunNotFoundError: there is a champion, but neither a folder nor the store has its model.
        TrackingError: the store is away or refuses.
    """
    champions = Champions(store_uri(outputs, uri))
    champion = champions.champion(method)
    return None if champion is None else record_of(champion, outputs, champions.uri)


def protected_run_ids(outputs: str | os.PathLike[str] = "outputs", uri: str | None = None) -> set[str]:
    """Ids of the runs whose models must stay: of every method the champion, its predecessor and the best one.

    Raises:
        TrackingError: the store is away or refuses.
    """
    champions = Champions(store_uri(outputs, uri))
    return {kept.run_id for method in champions.methods() for kept in champions.kept(method)}


def record_of(champion: Champion, outputs: str | os.PathLike[str], uri: str) -> RunRecord:
    """The record of a promoted run, in a folder that has its model.

    Looks where the run was promoted, from `outputs` on, then for its id there, then at the whole path of a run that lay
    elsewhere, then into the store, from which it is downloaded. An older hft wrote whole paths of all runs, which lead
    to where a project was that was moved or copied since: so they come after the id.

    Raises:
        RunNotFoundError: none of them has the model.
    """
    place = str(Path(outputs) / champion.folder)
    for known in (champion.run_id, place) if champion.folder.is_absolute() else (place, champion.run_id):
        try:
            record = find_run(known, outputs)
        except HftError:
            continue  # the folder went, or its record cannot be read: another place may have the run
        if record.run_id == champion.run_id and (record.folder / MODEL_NAME).is_dir():
            return record
    if champion.mlflow_run_id is not None:
        folder = Path(outputs) / "downloaded" / champion.mlflow_run_id
        try:
            if not (folder / MODEL_NAME).is_dir() or not (folder / RECORD_NAME).is_file():
                ExperimentsManager(uri).download_run(champion.mlflow_run_id, folder)
            if (folder / MODEL_NAME).is_dir():
                return load_record(folder)
        except RunNotFoundError:
            pass
    raise RunNotFoundError(
        f"{champion.method}: version {champion.version} is the run {champion.run_id[:8]} of {champion.folder}, and no "
        f"model of it is there, under {outputs}, or in {uri}. Restore the folder, or promote another run."
    )


def rollback(
    method: str, outputs: str | os.PathLike[str] = "outputs", uri: str | None = None
) -> tuple[Champion, Champion]:
    """Makes the champion's predecessor champion again.

    Returns:
        the version that was champion, and the one that is it now.

    Raises:
        ConfigError: there is nothing to go back to.
        RunNotFoundError: the predecessor's model is gone.
        TrackingError: the store is away or refuses.
    """
    champions = Champions(store_uri(outputs, uri))
    return champions.rollback(method, lambda back: record_of(back, outputs, champions.uri))
