"""From a checked config to the objects of a run: settings joined, optimizer and schedule made, trainer built."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from hft.data import preparation_for
from hft.errors import ConfigError
from hft.running.kept import store_folder
from hft.settings import FineTuningParams, FineTuningSettings

if TYPE_CHECKING:
    from hft.experiments import RunRecord


log = logging.getLogger(__name__)

# Components of the `data` node, where they are chosen: what becomes of texts once they are read.
_COMPONENTS = ("converter", "item_splitter", "augmentation")


def settled(config: DictConfig) -> DictConfig:
    """The config with the iteration decided: its name, and the id of the run to start from. So the record says it.

    Raises:
        RunNotFoundError, ConfigError: there is no run to start from.
    """
    start_from = config.iteration.start_from
    if start_from is None and config.iteration.name is not None:
        return config
    is_id = re.fullmatch("[0-9a-f]{32}", str(start_from)) is not None
    if is_id and config.iteration.name is not None:
        return config  # as trials of a search have it
    from hft.experiments.iterations import resolve_iteration

    resolved = resolve_iteration(config)
    own = config.copy()
    OmegaConf.set_readonly(own, False)
    own.iteration.name, own.iteration.start_from = resolved.name, resolved.start_from
    return own


def params_of(config: DictConfig) -> FineTuningParams:
    """The run's parameters, typed."""
    return FineTuningParams.model_validate(OmegaConf.to_container(config.params, resolve=True))


def settings_of(config: DictConfig) -> FineTuningSettings:
    """The `settings` node joined with the groups loss, ranker, data/clicks and metrics."""
    scalars: Any = OmegaConf.to_container(config.settings, resolve=True)
    return FineTuningSettings(
        **scalars,
        loss_func=instantiate(config.loss),
        metric_calculators=tuple(instantiate(node) for node in config.metrics.calculators.values()),
        ranker=instantiate(config.ranker),
        confidence_calculator=instantiate(config.data.clicks),
        bm25_language=config.metrics.get("bm25_language", "auto"),
    )


def parts_of(config: DictConfig, precision: str) -> dict[str, Any]:
    """What FineTuningMethod.build takes beside model, data, settings and params.

    Args:
        config: the run's.
        precision: as resolved, no longer `auto`.
    """
    return {
        "optimizer": instantiate(config.optimizer),
        "scheduler": instantiate(config.scheduler),
        "precision": precision,
        "seed": config.seed,
    }


def data_options(
    config: DictConfig,
    quarantine: Path | None,
    say: Callable[[str], object] | None = None,
    *,
    makes_store: bool = True,
) -> dict[str, Any]:
    """What the `data` node says beside source and splitter, and the store where it is wanted.

    They are arguments of FineTuningMethod.prepare.

    Args:
        config: the run's.
        quarantine: where malformed lines go; None: nowhere.
        say: is told what goes wrong with the store; None: the log is.
        makes_store: whether a store may be made where there is none yet.
    """
    options: Any = OmegaConf.to_container(config.data, resolve=True)
    others = ("source", "splitter", "clicks", *_COMPONENTS)
    scalars = {name: value for name, value in options.items() if name not in others}
    parts = [name for name in _COMPONENTS if options.get(name) is not None]
    components = {name: instantiate(config.data[name]) for name in parts}
    store = store_folder(config, "data", say or log.warning, makes=makes_store)
    kept = {} if store is None else {"store": store}
    fitted = preparation_for(instantiate(config.data.get("clicks")))
    return {**scalars, **components, "quarantine_path": quarantine, "seed": config.seed, **fitted, **kept}


def starting_model(config: DictConfig) -> tuple[Any, RunRecord | None]:
    """The model that a run starts from, and the run that tuned it where an earlier one did.

    It is the model group's model, or the tuned model of the run that `iteration.start_from` names. That one is what
    its folder says (towers, pooling, dense layers, prompts); of the model group only what `load_tuned` names applies.

    Raises:
        RunNotFoundError: no such run.
        ModelError: it cannot be loaded.
    """
    parent = parent_of(config)
    return load_start(config, parent), parent


def parent_of(config: DictConfig) -> RunRecord | None:
    """The run that `iteration.start_from` names; None where the run starts from the model group's model.

    Raises:
        RunNotFoundError: no such run.
    """
    if config.iteration.start_from is None:
        return None
    from hft.experiments import find_run

    return find_run(config.iteration.start_from, config.outputs)


def load_start(config: DictConfig, parent: RunRecord | None) -> Any:
    """The model that a run starts from; see `starting_model`."""
    if parent is None:
        return instantiate(config.model)
    from hft.experiments.run_model import require_model

    return load_tuned(config, require_model(parent, config.outputs))


def load_tuned(config: DictConfig, folder: Path) -> Any:
    """A tuned model from its folder; of the model group only `max_length`, `dropout` and `similarity` apply."""
    from hft.models import load_saved_model

    names = ("max_length", "dropout", "similarity")
    return load_saved_model(folder, **{name: config.model.get(name) for name in names})


def accumulators_of(config: DictConfig) -> dict[str, Any]:
    """For each logged name, the accumulator of its summaries."""
    from hft.metrics import MetricsAccumulator

    names: Any = OmegaConf.to_container(config.metrics.accumulators, resolve=True) or {}
    return {name: MetricsAccumulator(kinds) for name, kinds in names.items()}


def trainer_of(
    config: DictConfig,
    callbacks: Sequence[Any],
    *,
    precision: str,
    accelerator: str,
    val_check_interval: int,
    has_checkpoints: bool = True,
) -> Any:
    """Lightning's Trainer with the run's callbacks. The module validates itself; Lightning logs nothing.

    Args:
        config: the run's config.
        callbacks: of hft.
        precision, accelerator: as resolved, no longer `auto`.
        val_check_interval: training batches between two validations.
        has_checkpoints: False writes none, whatever the config says.

    Raises:
        ConfigError: Lightning refuses an argument.
    """
    from lightning_fabric.utilities.exceptions import MisconfigurationException

    from hft.training import CheckpointFolder

    arguments: dict[str, Any] = {
        "precision": precision,
        "accelerator": "gpu" if accelerator == "cuda" else accelerator,
        "val_check_interval": val_check_interval,
        "check_val_every_n_epoch": None,  # the interval counts on across the epochs
        "num_sanity_val_steps": 0,
        "enable_model_summary": False,
        "enable_progress_bar": False,  # hft draws its own
        "inference_mode": False,  # what a model caches while it is validated must do for training as well
        "logger": False,
        "plugins": [CheckpointFolder()],
        "use_distributed_sampler": False,
    }
    if accelerator == "cpu":
        arguments["devices"] = 1  # an index, such as [0], is of a GPU
    if not has_checkpoints:
        arguments["enable_checkpointing"] = False
    try:
        make = instantiate(config.trainer)
        for name, ours in (("callbacks", list(callbacks)), ("plugins", arguments.pop("plugins"))):
            arguments[name] = [*ours, *(make.keywords.get(name) or ())]
        return make(**arguments)
    except (MisconfigurationException, TypeError, ValueError) as error:
        raise ConfigError(f"trainer: Lightning refuses these arguments: {error}") from error


def validation_interval(test_each_n_inputs: int | float, batch_size: int, batches: int) -> int:
    """Training batches between two validations, at least 1.

    Args:
        test_each_n_inputs: a count of sessions (int), a share of the epoch (float up to 1.0), or -1: once an epoch.
        batch_size: sessions a batch.
        batches: batches an epoch.
    """
    if test_each_n_inputs == -1:
        wanted = batches
    elif isinstance(test_each_n_inputs, int):
        wanted = round(test_each_n_inputs / batch_size)
    else:
        wanted = round(test_each_n_inputs * batches)
    return max(1, wanted)
