"""The initial model on the test split of a later iteration: what the history of iterations compares with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hydra.utils import instantiate
from omegaconf import DictConfig

from hft.running.fitting import on_device
from hft.running.kept import store_folder
from hft.running.surroundings import Surroundings

if TYPE_CHECKING:
    from hft.data import RankingData
    from hft.methods import FineTuningMethod


def initial_values(
    config: DictConfig, method: FineTuningMethod, data: RankingData, settings: Any, surroundings: Surroundings
) -> dict[str, Any]:
    """A value a query of the model that the first iteration began with, as arrays `test/METRIC/initial`.

    Empty for a run that starts from that model itself: its `test/METRIC/start` says the same.

    Args:
        config: of the run; its model group is the initial model.
        method: measures.
        data: of the run.
        settings: ranker and metrics.
        surroundings: of the run.
    """
    if config.iteration.start_from is None:
        return {}
    surroundings.seed_everything()  # weights that are drawn are those that the first iteration drew
    model = instantiate(config.model)
    texts = method.tokenize(model, data, store_folder(config, "tokens", surroundings.say))
    with on_device(model, surroundings), surroundings.text_progress("initial model on test") as progress:
        options = {"precision": surroundings.precision, "seed": config.seed, "progress": progress}
        measured = method.measure(model, texts, settings, **options)
    values = method.values(measured, measured, texts)
    return {f"{name.removesuffix('start')}initial": of for name, of in values.items() if name.endswith("/start")}
