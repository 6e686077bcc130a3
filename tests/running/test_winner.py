"""The winner of a search is measured on test once, and a recorded trial can be repeated."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig

import hft
from hft.cli import main
from hft.errors import ConfigError
from hft.experiments import load_record
from hft.methods import EmbeddingsMethod
from hft.running import measure_winner, train_trial
from hft.running.shared import shared_parts
from hft.search.trial import TrialPruned
from small_trials import Listener

Compose = Callable[..., DictConfig]


def content(report: Any) -> Any:
    found = report.to_dict()
    found.pop("seconds")
    return json.loads(json.dumps(found))


@pytest.mark.pictures
def test_the_winner_is_measured_as_a_complete_run_is(compose: Compose, tmp_path: Path) -> None:
    config = compose()
    train_trial(config, Listener().trial(), folder=tmp_path / "0")
    report, folder = measure_winner(tmp_path / "0", config)
    alone = hft.train(config, folder=tmp_path / "alone")
    assert folder == tmp_path / "0"
    assert content(report) == content(alone)
    assert load_record(folder).results.metrics == load_record(tmp_path / "alone").results.metrics
    assert {"report.json", "per_query.npz", "pictures"} <= {entry.name for entry in folder.iterdir()}


def test_a_second_look_reads_the_report_and_not_test(
    compose: Compose, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    train_trial(compose(), Listener().trial(), folder=tmp_path / "0")
    first, _ = measure_winner(tmp_path / "0", compose())
    shared_parts.clear()

    def refused(*args: Any, **options: Any) -> Any:
        raise AssertionError("something was read again")

    monkeypatch.setattr(EmbeddingsMethod, "prepare", refused)
    monkeypatch.setattr(EmbeddingsMethod, "measure", refused)
    second, _ = measure_winner(tmp_path / "0", compose())
    assert content(second) == content(first)


def test_a_killed_look_is_completed_from_its_report(compose: Compose, tmp_path: Path) -> None:
    train_trial(compose(), Listener().trial(), folder=tmp_path / "0")
    before = (tmp_path / "0" / "run.yaml").read_bytes()
    measure_winner(tmp_path / "0", compose())
    after = load_record(tmp_path / "0").results.metrics
    (tmp_path / "0" / "run.yaml").write_bytes(before)
    measure_winner(tmp_path / "0", compose())
    assert load_record(tmp_path / "0").results.metrics == after


def test_a_winner_whose_weights_are_gone_is_trained_again(compose: Compose, tmp_path: Path) -> None:
    train_trial(compose(), Listener().trial(), folder=tmp_path / "0")
    there, _ = measure_winner(tmp_path / "0", compose())
    for name in ("model", "report.json"):
        (tmp_path / "0" / name).rename(tmp_path / name)
    again, where = measure_winner(tmp_path / "0", compose())
    assert where == tmp_path / "winner_0"
    assert (where / "model").is_dir()
    assert again.main == there.main


def test_a_trial_that_is_not_done_is_no_winner(compose: Compose, tmp_path: Path) -> None:
    with pytest.raises(TrialPruned):
        train_trial(compose(), Listener(stops_at=1).trial(), folder=tmp_path / "0")
    with pytest.raises(ConfigError, match="is pruned"):
        measure_winner(tmp_path / "0", compose())


def test_a_trial_is_reproduced_as_a_trial_and_its_measured_winner_as_a_run(
    compose: Compose, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(2):
        config = compose(f"params.items_lr=0.00{number + 1}")
        train_trial(config, Listener().trial(number), folder=tmp_path / str(number))
    assert main(["reproduce", str(tmp_path / "1")]) == 0
    measure_winner(tmp_path / "1", config)
    assert main(["reproduce", str(tmp_path / "1")]) == 0
    assert capsys.readouterr().out.count("It holds: every loss") == 2
