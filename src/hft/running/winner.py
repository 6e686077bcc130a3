"""After a search: its winner's model is measured on test, once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.utils import instantiate
from omegaconf import DictConfig

from hft.checksums import read_sealed_json
from hft.errors import ConfigError
from hft.experiments import MODEL_NAME, RunRecord, load_record, metrics_of_report, upload_model
from hft.experiments.run_folder import REPORT_NAME, STEPS_NAME
from hft.experiments.side_by_side import values_a_query
from hft.experiments.steps import read_steps
from hft.experiments.trackers import own_stores
from hft.metrics import Report
from hft.running.assembly import load_tuned, params_of, parts_of, settings_of
from hft.running.fitting import on_device
from hft.running.initial import initial_values
from hft.running.run import add_to_curves, write_report_and_pictures, write_values
from hft.running.start import Start
from hft.running.surroundings import Surroundings
from hft.running.trial_training import variants_of

if TYPE_CHECKING:
    from hft.methods import FineTuningMethod


def measure_winner(
    folder: str | Path, config: DictConfig, *, retrained: str | Path | None = None
) -> tuple[Report, Path]:
    """Measures a search's winner on test, unless that was done: the report that stands in its folder is read then.

    The trial's folder gets report.json, pictures and per_query.npz; its record and its run in the tracking store get
    the values on test, the store the model too. A trial of folds or seeds kept no weights: its config is trained once
    more, on the whole training part, as a complete run; so is that of a trial whose weights are gone.

    Args:
        folder: of the trial that won.
        config: of the trial, as the user composes it now: its record may be somebody else's, and names no place.
        retrained: folder of that complete run; None: `winner_N` beside the trial's folder N.

    Returns:
        the report on test, and the folder in which it and the model lie.

    Raises:
        ConfigError: the trial is not done.
        HftError: as hft.train raises.
    """
    record = load_record(folder)
    found = _report_in(record.folder)
    if found is None and record.status != "done":
        raise ConfigError(
            f"{record.folder}: is {record.status_now}, so that test cannot be measured; expected: a trial that is done."
        )
    if needs_training(folder, config):
        return _retrained(config, Path(retrained or record.folder.with_name(f"winner_{record.folder.name}")))
    if found is None:
        found = _measured(record, config)
    _told(record, found, config)
    return found, record.folder


def needs_training(folder: str | Path, config: DictConfig) -> bool:
    """Whether a trial has no weights to measure: its value is a mean over several trainings, or they are gone.

    Args:
        folder: of the trial.
        config: of the trial.
    """
    has_report, has_model = (Path(folder) / REPORT_NAME).is_file(), (Path(folder) / MODEL_NAME).is_dir()
    return bool(variants_of(config)) or not (has_report or has_model)


def _report_in(folder: Path) -> Report | None:
    file = folder / REPORT_NAME
    return Report.from_dict(read_sealed_json(file)) if file.is_file() else None


def _measured(record: RunRecord, config: DictConfig) -> Report:
    surroundings = Surroundings.of(config)
    with surroundings.applied():
        method: FineTuningMethod = instantiate(config.method)
        params, settings = params_of(config), settings_of(config)
        start = Start(config, surroundings, shares=True)
        data = start.data(method, record.folder / "quarantine.jsonl")
        model = start.model()
        instantiate(config.technique).apply(model, params)
        texts = start.tokens(method, model, data)
        module: Any = method.build(model, texts, settings, params, **parts_of(config, surroundings.precision))
        measured: list[Any] = []
        for name, towers in (("starting", model), ("tuned", load_tuned(config, record.folder / MODEL_NAME))):
            with on_device(towers, surroundings):
                module.validator(towers)
                with surroundings.text_progress(f"{name} model on test") as progress:
                    options = {"precision": surroundings.precision, "seed": config.seed, "progress": progress}
                    first = measured[0] if measured else None
                    seen = start.tokens_of_start(method, towers, texts) if first is None else texts
                    measured.append(method.measure(towers, seen, settings, start=first, **options))
        module.validator.keep()
        before, after = measured
        kept = {f"validation/{name}": of for name, of in values_a_query(record.folder, "validation").items()}
        report = method.evaluate(
            before,
            after,
            texts,
            settings,
            module=module,
            last=kept.get(f"validation/{method.main_metric}/last"),
            seed=config.seed,
            curves=_curves(record),
            seconds=record.results.seconds,
        )
        initial = initial_values(config, method, data, settings, surroundings)
        write_values({**kept, **method.values(before, after, texts), **initial}, record.folder)
        write_report_and_pictures(report.to_dict(), record.folder)
    return report


def _curves(record: RunRecord) -> dict[str, list[tuple[int, float]]]:
    curves: dict[str, list[tuple[int, float]]] = {}
    for row in read_steps(record.folder / STEPS_NAME):
        add_to_curves(curves, row)
    return curves


def _told(record: RunRecord, report: Report, config: DictConfig) -> None:
    """Adds the values on test to the record and to the run in the store, where they are not there yet."""
    values = metrics_of_report(report.to_dict())
    added = {name: value for name, value in values.items() if name not in record.results.metrics}
    if not added:
        return
    metrics = {**record.results.metrics, **added}
    record.results = record.results.model_copy(update={"metrics": metrics})
    record.save()
    upload_model(record, own_stores(config.tracking), Surroundings.of(config).say)


def _retrained(config: DictConfig, folder: Path) -> tuple[Report, Path]:
    from hft.train import train

    found = _report_in(folder)
    if found is not None and load_record(folder).status == "done":
        return found, folder
    if folder.exists():
        _set_aside(folder)
    return train(config, folder=folder), folder


def _set_aside(folder: Path) -> None:
    """What was interrupted keeps its files, under another name."""
    number = 1
    while (aside := folder.with_name(f"{folder.name}.interrupted-{number}")).exists():
        number += 1
    folder.rename(aside)
