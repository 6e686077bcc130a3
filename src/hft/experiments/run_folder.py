"""A run's folder: its name and the names of what lies in it."""

from __future__ import annotations

import os
import shutil
from datetime import datetime
from pathlib import Path

from hft.files import storage_errors
from hft.names import require_name

RECORD_NAME = "run.yaml"
STEPS_NAME = "steps.jsonl"
METRICS_NAME = "metrics.csv"
REPORT_NAME = "report.json"
PER_QUERY_NAME = "per_query.npz"
PICTURES_NAME = "pictures"
MODEL_NAME = "model"
CHECKPOINTS_NAME = "checkpoints"


def new_run_folder(outputs: str | os.PathLike[str], method: str) -> Path:
    """Makes `OUTPUTS/METHOD/DATE_TIME-MICROSECONDS`, a folder that no other run has.

    Raises:
        ConfigError: the method's name is no folder's.
        StorageError: it cannot be made.
    """
    parent = Path(outputs) / require_name("method.meta.name", method)
    with storage_errors(parent):
        parent.mkdir(parents=True, exist_ok=True)
        while True:
            folder = parent / datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            return folder


def discard_unbegun(folder: str | os.PathLike[str]) -> None:
    """Removes the folder of a run that was refused before it began: one that holds at most Hydra's own files."""
    path = Path(folder)
    if path.is_dir() and all(entry.name == ".hydra" for entry in path.iterdir()):
        shutil.rmtree(path, ignore_errors=True)


def record_files(outputs: str | os.PathLike[str]) -> list[Path]:
    """Every run.yaml under `outputs`, newest folder name first. Models, pictures and hidden folders are not entered."""
    skipped = {MODEL_NAME, PICTURES_NAME, CHECKPOINTS_NAME, "mlartifacts"}
    found = []
    for folder, subfolders, files in os.walk(outputs):
        if RECORD_NAME in files and os.path.isfile(os.path.join(folder, RECORD_NAME)):  # no pipe, which would block
            found.append(Path(folder) / RECORD_NAME)
            subfolders.clear()
        subfolders[:] = [name for name in subfolders if name not in skipped and not name.startswith(".")]
    return sorted(found, key=lambda file: file.parent.name, reverse=True)
