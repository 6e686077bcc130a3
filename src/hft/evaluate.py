"""Evaluation without training: is there room to gain, and what did a run gain on other data?"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hft.threads import wait_politely
from hft.user_modules import seek_user_modules

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from hft.metrics import Report
    from hft.running import Surroundings


def evaluate(config: DictConfig, tuned: str | Path | None = None) -> Report:
    """Measures the config's model on the test split of the config's data, beside the baselines.

    Args:
        config: composed and complete; it is checked first.
        tuned: folder of a tuned model to compare with the config's model over the same queries; None measures
            the config's model alone.

    Malformed lines of the data are kept under `quarantine` in the folder `config.outputs`.

    Raises:
        ConfigError, DataError, ModelError: the request was wrong.
    """
    wait_politely()
    seek_user_modules()
    from hft.config import require_valid

    require_valid(config)
    from hft.running import Surroundings

    surroundings = Surroundings.of(config)
    with surroundings.applied():
        return _evaluated(config, tuned, surroundings)


def _evaluated(config: DictConfig, tuned: str | Path | None, surroundings: Surroundings) -> Report:
    from hydra.utils import instantiate

    from hft.models import load_saved_model
    from hft.running import data_options, on_device, settings_of, starting_model, store_folder

    method, settings = instantiate(config.method), settings_of(config)
    moment = datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")
    quarantine = Path(config.outputs) / "quarantine" / f"{moment}.jsonl"
    options = data_options(config, quarantine, surroundings.say, makes_store=False)
    source, splitter = instantiate(config.data.source), instantiate(config.data.splitter)
    data = method.prepare(source, splitter, **options, required_splits=("test",))
    for line in data.report.lines():
        surroundings.say(line)
    kept = store_folder(config, "tokens", surroundings.say, makes=False)
    measured: list[Any] = []
    texts = None
    for name, model in (("model", None), ("tuned model", tuned)):
        if name == "tuned model" and model is None:
            continue
        loaded = starting_model(config)[0] if model is None else load_saved_model(model)
        texts = method.tokenize(loaded, data, kept)
        with on_device(loaded, surroundings), surroundings.text_progress(f"{name} on test") as progress:
            start = measured[0] if measured else None
            precision = surroundings.precision
            measured.append(
                method.measure(
                    loaded, texts, settings, precision=precision, seed=config.seed, start=start, progress=progress
                )
            )
    report: Report = method.evaluate(
        measured[0], measured[1] if len(measured) > 1 else None, texts, settings, seed=config.seed
    )
    return report
