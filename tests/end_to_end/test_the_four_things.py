"""The four things hft is for: override, sweep, add a method by a YAML file, reproduce a run from its saved config."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

import hft
from hft.cli import main
from hft.experiments import RunRecord, load_record, read_steps
from small_collections import items, write_lines, write_session_files


def _records(place: Path) -> list[RunRecord]:
    """Records of all runs, the oldest first."""
    return sorted((load_record(path) for path in place.rglob("run.yaml")), key=lambda record: record.started)


def test_what_is_overridden_on_the_command_line_is_what_runs(place: Path, small_run: list[str]) -> None:
    assert main(["train", *small_run, "loss=prob_margin", "settings.negatives=shown", "params.items_lr=3e-3"]) == 0
    [record] = _records(place)
    rates = [row["items_lr"] for row in read_steps(record.folder / "steps.jsonl") if "items_lr" in row]
    assert record.config["loss"]["_target_"] == "hft.losses.ProbMarginRankingLoss"
    assert record.choices["loss"] == "prob_margin"
    assert max(rates) == pytest.approx(3e-3)


def test_a_sweep_runs_every_job_in_a_folder_of_its_own(place: Path, small_run: list[str]) -> None:
    assert main(["train", "-m", *small_run, "loss=infonce,margin"]) == 0
    records = _records(place)
    assert [record.status for record in records] == ["done", "done"]
    assert [record.choices["loss"] for record in records] == ["infonce", "margin"]
    assert [record.folder.name for record in records] == ["0", "1"]
    assert all((record.folder / "report.json").is_file() for record in records)


def test_a_job_that_fails_does_not_keep_the_others_of_a_sweep_from_running(
    place: Path, small_run: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "-m", *small_run, "loss.temperature=1e-44,0.05"]) == 1
    assert [record.status for record in _records(place)] == ["failed", "done"]
    printed = capsys.readouterr().err
    assert "1 of 2 jobs failed" in printed
    assert "loss.temperature=1e-44" in printed
    assert "Traceback" not in printed


@pytest.fixture
def own_method(place: Path) -> Path:
    """A method of the user's own, and an experiment, as YAML files in ./conf."""
    method, experiment = place / "conf" / "method" / "mine.yaml", place / "conf" / "experiment" / "warm.yaml"
    for path in (method, experiment):
        path.parent.mkdir(parents=True)
    method.write_text(
        "# @package _global_\n"
        "defaults:\n  - override /loss: margin\n"
        "method:\n  _target_: hft.methods.EmbeddingsMethod\n"
        "  meta: {name: mine, version: 0.1.0, description: my own}\n"
        "  main_metric: mrr@10\n  direction: maximize\n"
        "params:\n  margin: 0.1\n  items_lr: 1.0e-3\n  items_weight_decay: 0.1\n"
    )
    experiment.write_text("# @package _global_\nparams:\n  items_lr: 2.0e-3\n  items_weight_decay: 0.2\n")
    return method


def test_a_method_is_added_by_a_yaml_file(own_method: Path, place: Path, small_run: list[str]) -> None:
    assert main(["train", *small_run, "method=mine"]) == 0
    [record] = _records(place)
    assert record.folder.parent == Path(place / "outputs" / "mine")
    assert record.config["loss"]["_target_"] == "hft.losses.MarginRankingLoss"
    assert record.config["params"]["margin"] == 0.1
    assert record.main_metric == "mrr@10"
    assert json.loads((record.folder / "report.json").read_text())["main_metric"] == "mrr@10"


def test_the_command_line_wins_over_the_experiment_and_that_over_the_method(
    own_method: Path,
) -> None:
    params = hft.compose(["method=mine", "experiment=warm", "params.items_weight_decay=0.3"]).params
    assert (params.margin, params.items_lr, params.items_weight_decay) == (0.1, 2e-3, 0.3)
    assert hft.compose(["method=mine", "loss=infonce"]).loss._target_ == "hft.losses.InfoNCELoss"


def test_a_slip_in_an_own_method_names_its_key(
    own_method: Path, small_run: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    own_method.write_text(own_method.read_text().replace("margin: 0.1", "margim: 0.1"))
    assert main(["train", *small_run, "method=mine"]) == 2
    assert "did you mean params.margin?" in capsys.readouterr().err


@pytest.fixture
def recorded(place: Path, small_run: list[str], capsys: pytest.CaptureFixture[str]) -> RunRecord:
    """A run that is done, of data in the current folder."""
    files = write_session_files(place / "data")
    assert main(["train", *small_run, *files[1:], "run_name=first"]) == 0
    capsys.readouterr()
    return _records(place)[0]


def test_a_reproduction_is_equal_to_the_last_bit(
    recorded: RunRecord, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["reproduce", str(recorded.folder)]) == 0
    printed = capsys.readouterr().out
    again = _records(place)[1]
    assert "It holds: every loss, every metric and the weights are equal to the last bit." in printed
    assert again.results.weights == recorded.results.weights
    assert hft.load(again.folder).fingerprint != recorded.hashes["base_model"]
    assert again.results.steps == recorded.results.steps
    assert again.results.metrics == recorded.results.metrics
    assert again.reproduces == recorded.run_id


def test_a_run_is_reproduced_by_its_name_and_told_as_json(
    recorded: RunRecord, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["reproduce", "first", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["holds"] is True


def test_with_an_override_it_is_a_variation(
    recorded: RunRecord, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["reproduce", str(recorded.folder), "loss=margin", "params.margin=0.3"]) == 0
    told = capsys.readouterr().err
    varied = _records(place)[1]
    assert "A variation of run" in told
    assert "not a reproduction" in told
    assert "params.margin: 0.02 -> 0.3" in told
    assert varied.varies == recorded.run_id
    assert varied.config["loss"] == {"_target_": "hft.losses.MarginRankingLoss"}
    assert varied.config["data"] == recorded.config["data"]


def test_other_data_does_not_hold(recorded: RunRecord, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = items()
    rows[0]["text"] += " Changed."
    write_lines(place / "data" / "items.jsonl", rows)
    assert main(["reproduce", str(recorded.folder)]) == 1
    printed = capsys.readouterr().out
    assert "It does not hold, and was stopped before step 1: data: another content" in printed


def test_data_that_is_gone_is_told(recorded: RunRecord, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "data" / "items.jsonl").unlink()
    assert main(["reproduce", str(recorded.folder)]) == 2
    printed = capsys.readouterr().err
    assert "data.source.items" in printed
    assert "Traceback" not in printed


@pytest.mark.parametrize("target", ["os.system", "joblib.load", "builtins.eval", "hft.config.trust.os.system"])
def test_a_record_cannot_run_what_is_not_trusted(
    recorded: RunRecord, place: Path, capsys: pytest.CaptureFixture[str], target: str
) -> None:
    path = recorded.folder / "run.yaml"
    content = yaml.safe_load(path.read_text())
    for config in (content["config"], content["config_unresolved"]):
        config["technique"] = {"_target_": target, "command": "touch owned", "filename": "x", "source": "1"}
    path.write_text(yaml.safe_dump(content))
    for command in ("reproduce", "evaluate"):
        assert main([command, str(recorded.folder)]) == 2
        printed = capsys.readouterr().err
        assert f"technique._target_: found {target}, which is not on the list" in printed
        assert f"--trust {target}" in printed
    assert not (place / "owned").exists()


def test_a_target_that_the_user_trusts_may_run(
    recorded: RunRecord, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "mytechnique.py").write_text(
        "from hft.techniques import FullFineTuning\n\n\nclass Mine(FullFineTuning):\n    pass\n"
    )
    varied = ["reproduce", str(recorded.folder), "technique._target_=mytechnique.Mine"]
    assert main(varied) == 2
    assert "--trust mytechnique.Mine" in capsys.readouterr().err
    assert main([*varied, "--trust", "mytechnique"]) == 0


def test_a_run_that_failed_is_not_reproduced(
    place: Path, small_run: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *small_run, "loss.temperature=1e-44"]) == 1
    [record] = _records(place)
    capsys.readouterr()
    assert main(["reproduce", str(record.folder)]) == 2
    assert "is failed, so that there is nothing to compare with" in capsys.readouterr().err


def test_a_run_folder_that_was_moved_is_reproduced_from_there(recorded: RunRecord, place: Path) -> None:
    shutil.move(recorded.folder, place / "kept")
    assert main(["reproduce", "kept"]) == 0
