"""Goes on with a run that was interrupted: whether it may, with which config, and how its record is opened again."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hft.errors import ConfigError, HftError
from hft.experiments.environment import installed_versions
from hft.experiments.plain import Difference, differences, plain
from hft.experiments.process import Process
from hft.experiments.run_folder import RECORD_NAME, record_files
from hft.experiments.run_record import Results, RunRecord, load_record
from hft.experiments.saved_config import saved_config
from hft.experiments.trackers import Notify

if TYPE_CHECKING:
    from omegaconf import DictConfig

__all__ = [
    "config_to_resume",
    "recorded_in",
    "reopen",
    "require_apart",
    "require_resumable",
    "require_same_config",
    "resume_command",
]

# Where a run is kept and shown, which its numbers do not depend on: as the user has it now.
_OF_THE_PLACE = ("outputs", "stores", "tracking", "checkpoints")
_OF_NO_RESULT = (*_OF_THE_PLACE, "trainer.enable_progress_bar", "trainer.enable_checkpointing")


def resume_command(folder: str | os.PathLike[str]) -> str:
    """The command that goes on with the run of a folder."""
    return shlex.join(["hft", "train", "--resume", os.fspath(folder)])


def recorded_in(folder: str | os.PathLike[str]) -> RunRecord | None:
    """The record of the run in a folder; None where there is none.

    Raises:
        DataError: there is one that cannot be read.
    """
    return load_record(folder) if (Path(folder) / RECORD_NAME).is_file() else None


def require_apart(folder: str | os.PathLike[str]) -> None:
    """Refuses the folder of a new run that lies in another run's, or would hide others: in a run none is looked for.

    Raises:
        ConfigError: says which, and what to do instead.
    """
    place, advice = Path(folder).absolute(), "Name a folder apart, or leave hydra.run.dir out."
    for parent in place.parents:
        outer = None
        with suppress(HftError):  # a run.yaml of something else
            outer = recorded_in(parent)
        if outer is not None:
            raise ConfigError(f"{folder}: lies in the folder of run {outer.run_id[:8]} ({parent}). {advice}")
    inner = record_files(place)
    if inner and inner[0].parent != place:
        raise ConfigError(f"{folder}: holds runs in folders of their own ({inner[0].parent} for one). {advice}")


def require_resumable(record: RunRecord, *, elsewhere: bool = False) -> None:
    """Refuses a run that has come to its end, still runs, or is a part of another one.

    Args:
        record: of the run.
        elsewhere: the user knows that the process on another machine, which cannot be asked, has ended.

    Raises:
        ConfigError: says what to do instead.
    """
    which, status = f"{record.folder}: holds run {record.run_id[:8]}, which", record.status_now
    anew = "leave hydra.run.dir out, or name a folder that does not exist"
    if record.trial is not None or record.sweep is not None:
        raise ConfigError(
            f"{which} is trial {record.trial} of the sweep {record.sweep}: a trial is not resumed. To go on with the "
            "sweep, give its command again."
        )
    if status == "done" or status == "pruned":
        raise ConfigError(f"{which} is {status}: there is nothing to resume, and it is not replaced. To train, {anew}.")
    if status == "running":
        process = record.process
        if process.is_here():
            raise ConfigError(f"{which} is running, as process {process.pid}. Stop it first, or wait; or {anew}.")
        if not elsewhere:
            raise ConfigError(
                f"{which} is running on {process.host} as process {process.pid}, or was killed there: this machine "
                f"cannot tell. If that process has ended: {resume_command(record.folder)} --elsewhere"
            )


def config_to_resume(record: RunRecord, own: Mapping[str, Any]) -> DictConfig:
    """The config of a run that goes on: the recorded one, kept and tracked where the user keeps and tracks now.

    Args:
        record: of the run; one that was tracked in its folder only stays so.
        own: the user's own composition, interpolations kept.
    """
    from omegaconf import OmegaConf

    tree: Any = OmegaConf.to_container(saved_config(record), resolve=False)
    recorded = record.config.get("tracking")
    in_its_folder = isinstance(recorded, Mapping) and recorded.get("kind") == "csv"
    kept = {name: own[name] for name in _OF_THE_PLACE if name in own and not (name == "tracking" and in_its_folder)}
    return OmegaConf.create({**tree, **kept})


def require_same_config(record: RunRecord, config: Mapping[str, Any]) -> None:
    """Refuses to go on with a run under a config that asks for another one.

    Args:
        record: of the run.
        config: as it was composed now, the iteration decided.

    Raises:
        ConfigError: lists the differences.
    """
    from omegaconf import OmegaConf

    now: Any = OmegaConf.to_container(config, resolve=True, enum_to_str=True) if OmegaConf.is_config(config) else config
    now = {key: value for key, value in plain(now).items() if key != "hydra"}
    other = [found for found in differences(record.config, now) if not _is_of_no_result(found)]
    if other:
        told = "\n".join(f"  {key}: {before} -> {after}" for key, before, after in other)
        raise ConfigError(
            f"{record.folder}: holds run {record.run_id[:8]}, which was interrupted, and this request is another one:\n"
            f"{told}\nTo go on with it as it was begun: {resume_command(record.folder)}. To train by this request, "
            "leave hydra.run.dir out, or name a folder that does not exist."
        )


def reopen(record: RunRecord, *, hashes: Mapping[str, str], step: int, notify: Notify) -> None:
    """Opens the record of an interrupted run again, before its next step.

    Args:
        record: of the run.
        hashes: `data` and `base_model`, as they are now.
        step: optimizer steps that are done.
        notify: is told what may make the end differ in its last bits.

    Raises:
        ConfigError: data or base model are others.
        StorageError: the record cannot be written.
    """
    for name, what in (("data", "the data"), ("base_model", "the base model")):
        if name in record.hashes and record.hashes[name] != hashes[name]:
            raise ConfigError(
                f"{record.folder}: {what} has changed since the run was begun ({record.hashes[name][:8]}, now "
                f"{hashes[name][:8]}), so that it cannot go on. Put back what it was, or train anew."
            )
    versions = installed_versions()
    others = [
        f"{name} {old} -> {versions.get(name)}" for name, old in record.versions.items() if versions.get(name) != old
    ]
    if others:
        notify(f"Versions have changed since the run was begun, so that it may end otherwise: {', '.join(others)}")
    record.status, record.results, record.process = "running", Results(), Process.current()
    record.resumed_at = [*record.resumed_at, step]
    record.save()


def _is_of_no_result(found: Difference) -> bool:
    key = str(found[0])
    return any(key == name or key.startswith(f"{name}.") for name in _OF_NO_RESULT)
