"""Evaluation without training: is there room to gain, and what did a run gain on other data?"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hft.threads import wait_politely
from hft.user_modules import seek_user_modules

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from hft.data.text_declaration import TextDeclaration
    from hft.metrics import Report
    from hft.running import Surroundings


def evaluate(config: DictConfig, tuned: str | Path | None = None, *, texts: TextDeclaration | None = None) -> Report:
    """Measures the config's model on the test split of the config's data, beside the baselines.

    Args:
        config: composed and complete; it is checked first.
        tuned: folder of a tuned model to compare with the config's model over the same queries; None measures
            the config's model alone.
        texts: what the tuned model declares of its texts; None: what its folder says.

    Each model is given its own texts, unless the config names others. The config's model is besides measured on
    validation by other fields of the items (`Report.texts`).

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
        return _evaluated(config, tuned, texts, surroundings)


def _evaluated(
    config: DictConfig, tuned: str | Path | None, texts: TextDeclaration | None, surroundings: Surroundings
) -> Report:
    from hydra.utils import instantiate

    from hft.models import load_saved_model
    from hft.running import data_options, load_start, on_device, parent_of, settings_of, store_folder
    from hft.running.texts import declared_by, differ, names_other_texts, seen_by, source_of, texts_in, texts_of_start
    from hft.running.which_text import better_text, which_text

    parent = parent_of(config)
    of_start = texts_of_start(config, parent)
    if tuned is not None and texts is None:
        texts = texts_in(Path(tuned))
    of_data = of_start if tuned is None else texts
    if names_other_texts(config, of_data):
        surroundings.say("every model is measured by the texts that this request names, not by its own")
        of_start = texts = None
    method, settings = instantiate(config.method), settings_of(config)
    moment = datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")
    quarantine = Path(config.outputs) / "quarantine" / f"{moment}.jsonl"
    options = data_options(config, quarantine, surroundings.say, makes_store=False)
    source, splitter = source_of(config, of_data), instantiate(config.data.splitter)
    data = method.prepare(source, splitter, **options, required_splits=("test",))
    for line in data.report.lines():
        surroundings.say(line)
    kept = store_folder(config, "tokens", surroundings.say, makes=False)
    declared = declared_by(config, of_data, data)
    measured: list[Any] = []
    tokens, rows, warnings = None, [], list[str]()
    for name, model, own in (("model", None, of_start), ("tuned model", tuned, texts)):
        if name == "tuned model" and model is None:
            continue
        loaded = load_start(config, parent) if model is None else load_saved_model(model)
        if own is not None and declared is not None and differ(own, declared):
            warnings.append(f"the {name} is given its own texts, {own.in_words()}; baselines see {declared.in_words()}")
            surroundings.say(warnings[-1])
        tokens = method.tokenize(loaded, seen_by(data, source, own, declared), kept)
        if model is None:
            rows = which_text(config, method, data, source, loaded, settings, surroundings, own or declared)
        with on_device(loaded, surroundings), surroundings.text_progress(f"{name} on test") as progress:
            start = measured[0] if measured else None
            precision = surroundings.precision
            measured.append(
                method.measure(
                    loaded, tokens, settings, precision=precision, seed=config.seed, start=start, progress=progress
                )
            )
    report: Report = method.evaluate(
        measured[0], measured[1] if len(measured) > 1 else None, tokens, settings, seed=config.seed
    )
    if (told := better_text(rows, report.direction)) is not None:
        warnings.append(told)
    return replace(report, texts=tuple(rows), warnings=(*report.warnings, *warnings))
