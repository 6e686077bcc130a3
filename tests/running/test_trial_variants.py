"""A trial over folds and seeds: each trained in a folder of its own, judged by the mean."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

import hft
from hft.cli import main
from hft.experiments import load_record
from hft.experiments.run_folder import record_files
from hft.experiments.steps import read_steps
from hft.running import measure_winner, train_trial
from hft.running.trial_training import variants_of
from hft.search.trial import TrialPruned
from small_trials import Listener

Compose = Callable[..., DictConfig]


def over(config: DictConfig, **search: object) -> DictConfig:
    """The config with folds or seeds in its search node."""
    OmegaConf.set_struct(config, False)
    for name, value in search.items():
        config.search[name] = value
    return config


def test_every_fold_is_trained_with_every_seed() -> None:
    config = OmegaConf.create({"search": {"seeds": [3, 4], "folds": 2}, "seed": 0, "data": {"fold": None}})
    found = variants_of(config)
    assert [variant.name for variant in found] == ["seed_3_fold_0", "seed_3_fold_1", "seed_4_fold_0", "seed_4_fold_1"]
    assert found[2].changes == {"seed": 4, "data.fold": [0, 2]}
    assert variants_of(OmegaConf.create({"search": {"space": {}}})) == ()


def test_the_value_is_the_mean_over_the_folds(compose: Compose, tmp_path: Path) -> None:
    listener = Listener()
    result = train_trial(over(compose(), folds=3), listener.trial(5, "ndcg@10", "loss"), folder=tmp_path / "5")
    parts = [load_record(tmp_path / "5" / f"fold_{fold}") for fold in range(3)]
    losses = [part.results.metrics["validation_loss"] for part in parts]
    gains = [part.results.metrics["validation_ndcg@10"] for part in parts]
    assert result.values == (statistics.fmean(gains), statistics.fmean(losses))
    recorded = load_record(tmp_path / "5")
    assert recorded.status == "done"
    assert (recorded.sweep, recorded.trial) == ("sweeps/small", 5)
    assert recorded.results.metrics["validation_loss"] == statistics.fmean(losses)
    assert recorded.results.metrics["validation_loss_std"] == statistics.stdev(losses)
    assert len({part.hashes["data"] for part in parts}) == 3
    assert listener.heard == [(n, statistics.fmean(gains[:n])) for n in (1, 2, 3)]
    assert [row["validation_ndcg@10"] for row in read_steps(tmp_path / "5" / "steps.jsonl")] == [
        value for _, value in listener.heard
    ]
    assert not list((tmp_path / "5").rglob("*.safetensors"))
    assert record_files(tmp_path) == [tmp_path / "5" / "run.yaml"]


def test_the_folds_and_seeds_are_trainings_of_their_own(compose: Compose, tmp_path: Path) -> None:
    result = train_trial(over(compose(), seeds=[1, 2]), Listener().trial(), folder=tmp_path / "0")
    alone = []
    for seed in (1, 2):
        hft.train(compose(f"seed={seed}"), folder=tmp_path / f"alone_{seed}")
        record, part = load_record(tmp_path / f"alone_{seed}"), load_record(tmp_path / "0" / f"seed_{seed}")
        assert part.results.steps == record.results.steps
        alone.append(record.results.metrics["validation_ndcg@10"])
    assert result.values == (statistics.fmean(alone),)
    assert result.details["variants"] == 2


def test_a_pruner_stops_the_folds_that_are_left(compose: Compose, tmp_path: Path) -> None:
    with pytest.raises(TrialPruned):
        train_trial(over(compose(), folds=3), Listener(stops_at=2).trial(), folder=tmp_path / "0")
    assert load_record(tmp_path / "0").status == "pruned"
    assert not (tmp_path / "0" / "fold_2").exists()


def test_a_trial_over_folds_is_reproduced_and_its_winner_trained_on_the_whole_training_part(
    compose: Compose, tmp_path: Path
) -> None:
    folder = tmp_path / "sweep" / "0"
    config = over(compose(), folds=2)
    train_trial(config, Listener().trial(), folder=folder)
    assert main(["reproduce", str(folder)]) == 0
    report, where = measure_winner(folder, config)
    assert where == tmp_path / "sweep" / "winner_0"
    assert report.counts["train_sessions"] == hft.train(compose(), folder=tmp_path / "alone").counts["train_sessions"]
    modified = (where / "run.yaml").stat().st_mtime_ns
    assert measure_winner(folder, config)[1] == where
    assert (where / "run.yaml").stat().st_mtime_ns == modified
