"""A search trial: validation decides, test is not read, reports are heard, and a shared start changes nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig

import hft
from hft.errors import ConfigError, TrainingError
from hft.experiments import load_record
from hft.experiments.steps import read_steps, repeatable
from hft.losses import InfoNCELoss
from hft.methods import EmbeddingsMethod
from hft.methods.tokenized import TokenizedData
from hft.running import Trial, train_trial, trial_values
from hft.search.trial import TrialPruned
from hft.techniques import FullFineTuning
from hft.training import Validator
from small_trials import Listener

Compose = Callable[..., DictConfig]


def steps_of(folder: Path) -> list[dict[str, Any]]:
    return [repeatable(row) for row in read_steps(folder / "steps.jsonl")]


def test_a_trial_never_computes_on_test(compose: Compose, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[str] = []
    evaluation = TokenizedData.evaluation

    def watched(data: TokenizedData, split: str) -> Any:
        asked.append(split)
        return evaluation(data, split)

    def refused(*args: Any, **options: Any) -> Any:
        raise AssertionError("test was measured")

    monkeypatch.setattr(TokenizedData, "evaluation", watched)
    monkeypatch.setattr(EmbeddingsMethod, "measure", refused)
    result = train_trial(compose(), Listener().trial(), folder=tmp_path / "0")
    assert set(asked) == {"validation"}
    assert result.report is not None
    assert result.report.test == {}
    assert set(result.report.validation) == {"ndcg@10"}
    assert not any(name.startswith("test_") for name in load_record(tmp_path / "0").results.metrics)


def test_a_trial_leaves_a_model_and_a_record_and_says_nothing_in_the_terminal(
    compose: Compose, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    train_trial(compose(), Listener().trial(4), folder=tmp_path / "4")
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")
    left = {entry.name for entry in (tmp_path / "4").iterdir()}
    assert left == {"run.yaml", "steps.jsonl", "metrics.csv", "model", "output.log", "per_query.npz"}
    assert "text_embeddings" in (tmp_path / "4" / "output.log").read_text(encoding="utf-8")
    record = load_record(tmp_path / "4")
    assert (record.status, record.sweep, record.trial) == ("done", "sweeps/small", 4)


def test_each_validation_after_the_start_is_reported_as_it_was_measured(compose: Compose, tmp_path: Path) -> None:
    listener = Listener()
    train_trial(compose("settings.num_epochs=2"), listener.trial(0, "loss"), folder=tmp_path / "0")
    losses = [row["validation_loss"] for row in steps_of(tmp_path / "0") if "validation_loss" in row]
    assert listener.heard == list(enumerate(losses[1:], start=1))
    assert len(listener.heard) >= 3


def test_a_pruned_trial_stops_at_once_and_is_recorded_as_pruned(compose: Compose, tmp_path: Path) -> None:
    listener = Listener(stops_at=1)
    with pytest.raises(TrialPruned):
        train_trial(compose("settings.num_epochs=3"), listener.trial(), folder=tmp_path / "0")
    record = load_record(tmp_path / "0")
    assert record.status == "pruned"
    assert record.results.error == "report 1 is worse than the others"
    assert len(listener.heard) == 1
    assert "validation_loss" in steps_of(tmp_path / "0")[-1]
    assert not (tmp_path / "0" / "model").exists()


def test_the_value_is_what_validation_gave_for_the_weights_that_were_kept(compose: Compose, tmp_path: Path) -> None:
    metrics = ("ndcg@10", "validation_ndcg@10", "loss")
    result = train_trial(compose("settings.num_epochs=3"), Listener().trial(0, *metrics), folder=tmp_path / "0")
    rows = [row for row in steps_of(tmp_path / "0") if "validation_ndcg@10" in row]
    best = max(rows, key=lambda row: row["validation_ndcg@10"])
    assert result.values == (best["validation_ndcg@10"], best["validation_ndcg@10"], best["validation_loss"])
    assert result.details["best_step"] == best["step"]
    recorded = load_record(tmp_path / "0").results.metrics
    assert recorded["validation_ndcg@10"] == best["validation_ndcg@10"]
    assert recorded["validation_loss"] == best["validation_loss"]
    assert recorded["validation_ndcg@10_start"] == rows[0]["validation_ndcg@10"]
    assert recorded["validation_loss_start"] == rows[0]["validation_loss"]


def test_a_trial_that_never_beats_the_start_is_worth_the_start(compose: Compose, tmp_path: Path) -> None:
    config = compose("params.items_lr=1e-12", "params.query_lr=1e-12", "model.dropout=0.0")
    result = train_trial(config, Listener().trial(), folder=tmp_path / "0")
    assert result.details["best_step"] == 0
    assert result.values == (steps_of(tmp_path / "0")[0]["validation_ndcg@10"],)


def test_a_trial_gives_what_the_complete_run_gives(compose: Compose, tmp_path: Path) -> None:
    trial = train_trial(compose(), Listener().trial(), folder=tmp_path / "0")
    report = hft.train(compose(), folder=tmp_path / "alone")
    assert steps_of(tmp_path / "0") == steps_of(tmp_path / "alone")
    one, other = load_record(tmp_path / "0"), load_record(tmp_path / "alone")
    assert one.results.weights == other.results.weights
    assert trial.values == trial_values(report)
    theirs = {name: value for name, value in other.results.metrics.items() if name.startswith("validation_")}
    assert one.results.metrics.items() <= theirs.items()
    assert {name.removesuffix("_difference") for name in theirs} <= set(one.results.metrics)


@pytest.mark.parametrize("model", ["", "model.dense_dim=8"])
def test_a_later_trial_equals_the_same_training_alone_to_the_last_bit(
    model: str, compose: Compose, tmp_path: Path
) -> None:
    drawn = [model] if model else []
    trials = (["params.items_lr=3e-3"], ["params.num_fixed_layers=1", "loss=prob_margin"], ["params.margin=0.05"])
    for number, overrides in enumerate(trials):
        config = compose(*overrides, *drawn)
        train_trial(config, Listener().trial(number), folder=tmp_path / str(number))
        hft.train(config, folder=tmp_path / f"alone_{number}")
    for number in range(len(trials)):
        one, other = load_record(tmp_path / str(number)), load_record(tmp_path / f"alone_{number}")
        assert steps_of(one.folder) == steps_of(other.folder)
        assert one.results.weights == other.results.weights
        assert one.hashes == other.hashes
        assert one.results.metrics.items() <= other.results.metrics.items()


def test_trials_prepare_data_and_load_the_model_once(
    compose: Compose, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls: list[str] = []
    for name in ("prepare", "tokenize"):
        original = getattr(EmbeddingsMethod, name)

        def counted(*args: Any, original: Any = original, name: str = name, **options: Any) -> Any:
            calls.append(name)
            return original(*args, **options)

        monkeypatch.setattr(EmbeddingsMethod, name, counted)
    for number in range(3):
        train_trial(compose(f"params.margin=0.0{number + 1}"), Listener().trial(number), folder=tmp_path / str(number))
    assert calls == ["prepare", "tokenize"]
    train_trial(compose("data.train_share=0.5"), Listener().trial(3), folder=tmp_path / "3")
    assert calls == ["prepare", "tokenize"] * 2


def test_trials_share_the_starting_validation_where_the_start_is_one(
    compose: Compose, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    embedded: list[bool] = []
    vectors = Validator.vectors

    def counted(validator: Validator, *args: Any) -> Any:
        embedded.append(validator.start is None)
        return vectors(validator, *args)

    monkeypatch.setattr(Validator, "vectors", counted)
    for number in range(2):
        config = compose(f"params.items_lr=0.00{number + 1}")
        train_trial(config, Listener().trial(number), folder=tmp_path / str(number))
    assert embedded.count(True) == 1
    assert embedded.count(False) >= 4
    # Nobody may take the vectors of another start for this one's.
    monkeypatch.setattr(FullFineTuning, "apply", lambda technique, model, params: scaled(model))
    train_trial(compose(), Listener().trial(2), folder=tmp_path / "2")
    assert embedded.count(True) == 2
    starts = [steps_of(tmp_path / str(number))[0]["validation_loss"] for number in range(3)]
    assert starts[0] == starts[1] != starts[2]


def scaled(model: torch.nn.Module) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)


def test_a_metric_that_validation_does_not_log_is_refused_before_step_1(compose: Compose, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"search\.metric=recall@7: validation logs no such value\. Measured: loss"):
        train_trial(compose(), Listener().trial(0, "recall@7"), folder=tmp_path / "0")
    assert [row["step"] for row in steps_of(tmp_path / "0")] == [0]


def test_a_loss_that_is_not_a_number_fails_the_trial(
    compose: Compose, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    forward = InfoNCELoss.forward
    monkeypatch.setattr(InfoNCELoss, "forward", lambda loss, features: forward(loss, features) * math.nan)
    listener = Listener()
    with pytest.raises(TrainingError):
        train_trial(compose(), listener.trial(), folder=tmp_path / "0")
    assert load_record(tmp_path / "0").status == "failed"
    assert listener.heard == []


def test_a_job_of_an_exhaustive_sweep_is_a_complete_run(compose: Compose, tmp_path: Path) -> None:
    report = hft.train(compose(), folder=tmp_path / "1", trial=Trial(1, "sweeps/all", is_search=False))
    assert "ndcg@10" in report.test
    assert json.loads((tmp_path / "1" / "report.json").read_text(encoding="utf-8"))["test"]
    record = load_record(tmp_path / "1")
    assert (record.sweep, record.trial, record.status) == ("sweeps/all", 1, "done")
