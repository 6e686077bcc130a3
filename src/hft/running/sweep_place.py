"""Where a search lives: a folder that the same command finds again, and the iteration that it belongs to."""

from __future__ import annotations

import glob
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from hft.checksums import read_sealed_json, sealed_json
from hft.files import atomic_write
from hft.names import require_name
from hft.parsing import check_size
from hft.running.search_request import SearchRequest
from hft.search.loop.sweep_folder import read_header

# In the sweep's folder once a session has ended; the summary of the sweep as it stood then.
SUMMARY_NAME = "summary.json"

# Why a session ended, where the sweep is done with its budget.
ENDS = ("budget", "timeout", "exhausted")


@dataclass(frozen=True)
class SweepPlace:
    """Where a search lives.

    Args:
        folder: of the sweep.
        iteration: its name.
        start_from: id of the run whose model every trial starts from; None: the initial model.
        details: of the header of a sweep that is there already; None: the sweep is new.
        why: it starts from that run, in words; empty where nothing was decided.
    """

    folder: Path
    iteration: str
    start_from: str | None
    details: Mapping[str, Any] | None = None
    why: str = ""


def sweep_place(config: DictConfig, request: SearchRequest, engine: str) -> SweepPlace:
    """Finds the sweep that the same command began, or says where a new one goes.

    `hydra.sweep.dir` on the command line decides. Otherwise the folder is
    `OUTPUTS/sweeps/METHOD/ITERATION/SEARCH-DIGITS`, the digits of the command without its budget. With
    `iteration=next` and no run named, a sweep of the same command that has not ended goes on; so does one that has, if
    `data.batch_id` says that it is the same batch. Else a new iteration begins.

    Raises:
        RunNotFoundError, ConfigError: there is no run to start from.
    """
    from hft.experiments.iterations import resolve_iteration

    given = _given_folder(config)
    root = Path(config.outputs).absolute() / "sweeps" / require_name("method.meta.name", config.method.meta.name)
    name = f"{request.name}-{request.identity(engine)}"
    for folder in [given] if given is not None else _there(root, name):
        details = _details(folder)
        if details is not None and (given is not None or _goes_on(config, folder, details)):
            iteration = details["iteration"]
            require_name(f"{folder}: iteration.name", iteration["name"])
            why = "as this search began" if iteration["start_from"] else ""
            return SweepPlace(folder, iteration["name"], iteration["start_from"], details, why)
    resolved = resolve_iteration(config)
    folder = given if given is not None else root / require_name("iteration.name", resolved.name) / name
    return SweepPlace(folder, resolved.name, resolved.start_from, _details(folder), resolved.why)


def write_summary(folder: Path, summary: Mapping[str, Any]) -> None:
    """Writes how a session of a sweep ended.

    Raises:
        StorageError: the file cannot be written.
    """
    with atomic_write(folder / SUMMARY_NAME) as file:
        file.write(sealed_json(summary))


def read_summary(folder: Path) -> dict[str, Any]:
    """How the last session of a sweep ended; empty where none has.

    Raises:
        DamagedError: the file is not what was written.
    """
    try:
        check_size(folder / SUMMARY_NAME)
        content = read_sealed_json(folder / SUMMARY_NAME)
    except OSError:
        return {}
    return content if isinstance(content, dict) else {}


def _given_folder(config: DictConfig) -> Path | None:
    given = any(str(line).startswith("hydra.sweep.dir=") for line in config.hydra.overrides.hydra)
    return Path(str(config.hydra.sweep.dir)).absolute() if given else None


def _there(root: Path, name: str) -> list[Path]:
    """Sweeps of this command, the latest first."""
    folders = [path for path in root.glob(f"*/{glob.escape(name)}") if path.is_dir()]
    return sorted(folders, key=lambda path: path.stat().st_mtime, reverse=True)


def _details(folder: Path) -> Mapping[str, Any] | None:
    header = read_header(folder)
    details = None if header is None else header.get("details")
    return details if isinstance(details, dict) and "iteration" in details else None


def _goes_on(config: DictConfig, folder: Path, details: Mapping[str, Any]) -> bool:
    if config.iteration.start_from != "auto":
        asked = config.iteration.name
        return asked is None or details["iteration"]["name"] == asked
    batch = config.data.get("batch_id")
    return read_summary(folder).get("ended") not in ENDS or (batch is not None and details.get("batch_id") == batch)
