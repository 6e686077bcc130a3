"""Evaluation without training: is there room to gain, and what did a run gain on other data?"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from hft.metrics import Report


def evaluate(config: DictConfig, tuned: str | Path | None = None) -> Report:
    """Measures the config's model on the test split of the config's data, beside the baselines.

    Args:
        config: composed and complete; it is checked first.
        tuned: folder of a tuned model to compare with the config's model over the same queries; None measures
            the config's model alone.

    Raises:
        ConfigError, DataError, ModelError: the request was wrong.
    """
    from hft.config import require_valid

    require_valid(config)
    from hydra.utils import instantiate

    from hft.assembly import data_options, settings_of
    from hft.fitting import on_device
    from hft.models import load_saved_model
    from hft.surroundings import Surroundings

    surroundings = Surroundings.of(config)
    surroundings.apply()
    method, settings = instantiate(config.method), settings_of(config)
    with TemporaryDirectory(prefix="hft-evaluate-") as scratch:
        options = data_options(config, Path(scratch) / "quarantine.jsonl")
        data = method.prepare(instantiate(config.data.source), instantiate(config.data.splitter), **options)
    for line in data.report.lines():
        surroundings.say(line)
    measured: list[Any] = []
    texts = None
    for name, model in (("model", None), ("tuned model", tuned)):
        if name == "tuned model" and model is None:
            continue
        loaded = instantiate(config.model) if model is None else load_saved_model(model)
        texts = method.tokenize(loaded, data)
        with on_device(loaded, surroundings.accelerator), surroundings.text_progress(f"{name} on test") as progress:
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
