"""Trains one trial of a search: once, or once a fold and seed where the search takes the mean over several."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from hft.errors import TrainingError
from hft.experiments import load_record
from hft.experiments.opening import before_step_one
from hft.metrics import Report
from hft.running.run import Run
from hft.running.shared import shared_parts
from hft.running.trial import Trial, TrialResult, kept_step, kept_values, trial_values, validation_name
from hft.user_modules import seek_user_modules


@dataclass(frozen=True)
class Variant:
    """One of the trainings whose mean a trial's value is.

    Args:
        name: of its folder in the trial's: `fold_0`, `seed_1`, `seed_1_fold_0`.
        changes: config keys and their values.
    """

    name: str
    changes: Mapping[str, Any]

    def config(self, config: DictConfig) -> DictConfig:
        """The trial's config with the changes; tracked in its folder alone, as a part of the trial."""
        own = config.copy()
        OmegaConf.set_readonly(own, False)
        for key, value in {**self.changes, "tracking.kind": "csv"}.items():
            OmegaConf.update(own, key, value, force_add=True)
        return own


def variants_of(config: DictConfig) -> tuple[Variant, ...]:
    """What `search.seeds` and `search.folds` ask for, every fold with every seed; empty: the trial is one training."""
    search = config.search
    seeds, folds = search.get("seeds"), search.get("folds")
    by_seed = [(f"seed_{seed}", {"seed": int(seed)}) for seed in seeds or ()] or [("", {})]
    by_fold = [(f"fold_{fold}", {"data.fold": [fold, folds]}) for fold in range(folds or 0)] or [("", {})]
    pairs = [(seed, fold) for seed in by_seed for fold in by_fold]
    named = [("_".join(filter(None, (seed[0], fold[0]))), {**seed[1], **fold[1]}) for seed, fold in pairs]
    return tuple(Variant(name, changes) for name, changes in named if name)


def train_trial(
    config: DictConfig,
    trial: Trial,
    *,
    folder: str | Path,
    choices: Mapping[str, Any] | None = None,
    overrides: Sequence[str] | None = None,
) -> TrialResult:
    """Trains a search trial. Test is not read.

    With `search.folds` or `search.seeds` each variant is trained in a folder of its own within the trial's, no weights
    are kept, the values are the means, and what is reported is the mean so far after each variant (a pruner compares
    trials after as many variants).

    Args:
        config: of the trial, composed and complete.
        trial: see `Trial.of`.
        folder: of the trial.
        choices, overrides: for the record, as in hft.train.

    Raises:
        TrialPruned: the search stopped it.
        HftError: as hft.train raises.
    """
    from hft.train import train

    variants = variants_of(config)
    if variants:
        return _train_variants(config, trial, variants, Path(folder), choices, overrides)
    report = train(config, folder=folder, choices=choices, overrides=overrides, trial=trial)
    record = load_record(folder)
    details = {"run_id": record.run_id, "best_step": kept_step(report), "data": record.hashes.get("data")}
    return TrialResult(trial_values(report, trial.metrics), details, report)


def repeat_trial(config: DictConfig, folder: Path) -> TrialResult:
    """Trains as a search's trial was trained, with no search around it and nothing shared."""
    return train_trial(config, Trial(shares=False), folder=folder)


def _train_variants(
    config: DictConfig,
    trial: Trial,
    variants: Sequence[Variant],
    folder: Path,
    choices: Mapping[str, Any] | None,
    overrides: Sequence[str] | None,
) -> TrialResult:
    from hydra.utils import instantiate

    from hft.config import require_valid

    require_valid(config)
    seek_user_modules()
    shared_parts.keep_at_least(len(variants) + 1)
    found: list[dict[str, float]] = []
    with Run(config, folder, choices=choices, overrides=overrides, trial=trial) as run:
        method = instantiate(config.method)
        with run.phase("data"):
            data = run.prepare(method)
        with run.phase("model"):
            model = run.starting_model()
        run.begin(data, model)
        del model
        monitor = trial.monitor(method.main_metric)
        for number, variant in enumerate(variants, start=1):
            with run.phase("training"):
                report = _train_variant(config, trial, variant, run.folder, overrides)
            found.append(kept_values(report.curves, kept_step(report)))
            so_far = _means(found)
            run.log({"step": number, "epoch": number - 1, "inputs": 0, **so_far})
            trial.report(so_far[monitor], number)
        metrics = {**so_far, **_deviations(found)}
        run.finish_mean(metrics)
    names = [validation_name(metric) for metric in trial.metrics] or [monitor]
    details = {"run_id": run.run_id, "variants": len(variants), "std": [metrics[f"{name}_std"] for name in names]}
    return TrialResult(tuple(_present(metrics, name) for name in names), details)


def _train_variant(
    config: DictConfig, trial: Trial, variant: Variant, folder: Path, overrides: Sequence[str] | None
) -> Report:
    from hft.train import train

    alone = replace(trial, report=lambda value, ordinal: None, keeps_model=False)
    changes = [f"{key}={value}".replace(" ", "") for key, value in variant.changes.items()]
    asked = None if overrides is None else [*overrides, *changes]
    with _unwatched():
        return train(variant.config(config), folder=folder / variant.name, overrides=asked, trial=alone)


@contextmanager
def _unwatched() -> Iterator[None]:
    """A reproduction looks at the trial's record, not at those of its variants."""
    token = before_step_one.set(None)
    try:
        yield
    finally:
        before_step_one.reset(token)


def _means(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each value that all trainings have."""
    names = [name for name in found[0] if all(name in values for values in found)]
    return {name: statistics.fmean(values[name] for values in found) for name in names}


def _deviations(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Under `NAME_std`, the sample standard deviation of each value but the start's; 0 of one training."""
    names = [name for name in _means(found) if not name.endswith("_start")]
    spread = {name: [values[name] for values in found] for name in names}
    return {f"{name}_std": statistics.stdev(values) if len(values) > 1 else 0.0 for name, values in spread.items()}


def _present(metrics: Mapping[str, float], name: str) -> float:
    if name not in metrics:
        raise TrainingError(f"search.metric={name}: not every fold and seed has a value of it.")
    return metrics[name]
