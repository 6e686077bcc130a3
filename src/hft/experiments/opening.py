"""Opens a run: all that is known before step 1 goes into its record."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

from hft.errors import HftError
from hft.experiments.environment import describe_environment, describe_hardware, installed_versions
from hft.experiments.plain import plain
from hft.experiments.process import Process
from hft.experiments.run_record import RunRecord

# Looks at a record's first half before step 1 and may refuse to go on: set by a reproduction.
before_step_one: ContextVar[Callable[[RunRecord], None] | None] = ContextVar("before_step_one", default=None)


def open_record(
    config: Mapping[str, Any],
    folder: str | os.PathLike[str],
    *,
    hashes: Mapping[str, str],
    precision: str | None,
    accelerator: str | None,
    choices: Mapping[str, Any] | None = None,
    overrides: Sequence[str] | None = None,
    parent: str | None = None,
    reproduces: str | None = None,
    sweep: str | None = None,
    trial: int | None = None,
    learns_from: str | None = None,
    texts: Mapping[str, Any] | None = None,
) -> RunRecord:
    """Writes the first half of a run's record, before step 1.

    Args:
        config: the composed config (a DictConfig, or a plain mapping without interpolations).
        folder: the run's folder.
        hashes: `data` and `base_model`.
        precision: as the Trainer got it, after `auto` was decided.
        accelerator: `cpu` or `gpu`.
        choices: option of each config group; None asks Hydra, where Hydra composed the config.
        overrides: as given; None asks Hydra.
        parent: id of the run whose model this one starts from.
        reproduces: id of the run that this one repeats.
        sweep, trial: name of the sweep that the run belongs to, and its number there.
        learns_from: what says which items are relevant to a query in training, in words.
        texts: how the model's texts are made of records, as plain values; None: nobody says.

    Raises:
        StorageError: the record cannot be written.
        ReproductionError: the run repeats another one and cannot equal it.
    """
    unresolved, resolved = _containers(config)
    hydra_choices, hydra_overrides = _asked_of_hydra()
    seed = resolved.get("seed")
    record = RunRecord(
        name=resolved.get("run_name"),
        overrides=list(hydra_overrides if overrides is None else overrides),
        choices=plain(hydra_choices if choices is None else choices),
        config=resolved,
        config_unresolved=unresolved,
        environment=describe_environment(seed, precision, accelerator, _takes_native(resolved)),
        versions=installed_versions(),
        hardware=describe_hardware(),
        hashes=dict(hashes),
        texts=None if texts is None else plain(texts),
        parent=parent,
        reproduces=reproduces,
        sweep=sweep,
        trial=trial,
        learns_from=learns_from,
        process=Process.current(),
    )
    record.folder = folder
    record.save()
    look = before_step_one.get()
    if look is not None:
        try:
            look(record)
        except HftError as error:
            record.finish("failed", error=str(error))
            raise
    return record


def _containers(config: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    from omegaconf import OmegaConf

    node = config if OmegaConf.is_config(config) else OmegaConf.create(dict(config))
    unresolved = plain(OmegaConf.to_container(node, resolve=False, enum_to_str=True))
    resolved = plain(OmegaConf.to_container(node, resolve=True, enum_to_str=True))
    for container in (unresolved, resolved):
        container.pop("hydra", None)
    return unresolved, resolved


def _asked_of_hydra() -> tuple[dict[str, Any], list[str]]:
    """Choices and overrides of the running Hydra job, if it is hft's own app."""
    from hydra.core.hydra_config import HydraConfig

    if not HydraConfig.initialized():
        return {}, []
    hydra = HydraConfig.get()
    if not any("hft.conf" in str(source.path) for source in hydra.runtime.config_sources):
        return {}, []
    choices = {group: choice for group, choice in hydra.runtime.choices.items() if "hydra/" not in group}
    return choices, list(hydra.overrides.task)


def _takes_native(config: Mapping[str, Any]) -> bool:
    compute = config.get("compute")
    return isinstance(compute, Mapping) and compute.get("kernels") in ("auto", "fast") and not compute.get("compile")
