"""What is looked at before the first trial of a search: the model to start from is there, and so are the data."""

from __future__ import annotations

from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from hft.errors import DataError
from hft.experiments import find_run
from hft.experiments.run_model import require_model
from hft.running.start import Start
from hft.running.surroundings import Surroundings
from hft.running.sweep_place import SweepPlace


def data_of_search(config: DictConfig, place: SweepPlace) -> str:
    """Reads the data once, so that a mistake in them costs no trial, and compares them with those that the search began
    with. The trials of this process share what is read here.

    Args:
        config: of a trial, without its parameters.
        place: of the search.

    Returns:
        the data's fingerprint.

    Raises:
        DataError: they cannot be used, or have changed since the search began.
        RunNotFoundError: the weights of the run to start from are gone.
    """
    if place.start_from is not None:
        require_model(find_run(place.start_from, config.outputs), config.outputs)
    found = fingerprint(config, place.folder)
    folds = config.search.get("folds")
    if folds:
        own = config.copy()
        OmegaConf.set_readonly(own, False)
        OmegaConf.update(own, "data.fold", [0, folds], force_add=True)
        fingerprint(own, place.folder)
    began_with = (place.details or {}).get("data")
    if began_with is not None and began_with != found:
        raise DataError(
            f"{place.folder}: this search began with other data, and values on the two do not compare. Put the data "
            "back, or begin another search: hydra.sweep.dir=ANOTHER_FOLDER."
        )
    return found


def fingerprint(config: DictConfig, folder: Path) -> str:
    """The fingerprint of a config's data as they are now.

    Args:
        config: of a run.
        folder: of the search, for malformed lines.
    """
    start = Start(config, Surroundings.of(config), shares=True)
    return start.data(instantiate(config.method), folder / "quarantine.jsonl").fingerprint()
