"""`hft runs` shows every run, newest first, from run.yaml alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from recorded_runs import at, recorded
from small_runs import small_config, start_run, train_line

from hft.cli import main
from hft.experiments import RunRecord, list_runs, listing, load_record
from hft.experiments.process import Process


def test_a_row_says_what_the_run_was_and_what_it_gave() -> None:
    record = train_line(small_config(), Path("outputs/line/a"), score=0.75, choices={"loss": "infonce"})
    (row,) = list_runs()
    assert (row.run_id, row.status, row.method, row.loss) == (record.run_id, "done", "line", "infonce")
    assert (row.metric, row.start, row.tuned) == ("ndcg@10", 0.25, 0.75)
    assert row.seconds is not None


def test_a_loss_without_a_choice_is_named_by_the_option_of_its_class_or_else_by_the_class() -> None:
    train_line(small_config(), Path("outputs/line/a"))
    train_line(small_config(loss___target_="mine.MyLoss"), Path("outputs/line/b"))
    assert [row.loss for row in list_runs()] == ["MyLoss", "infonce"]


def test_a_row_has_the_name_and_the_overrides_of_the_run() -> None:
    train_line(small_config(run_name="first try"), Path("outputs/line/a"), overrides=["seed=1", "loss=margin"])
    (row,) = list_runs()
    assert (row.name, row.overrides) == ("first try", ("seed=1", "loss=margin"))


def test_the_newest_run_comes_first_whatever_its_folder_is_called() -> None:
    for name in ("c", "a", "b"):
        train_line(small_config(), Path("outputs/line") / name)
    assert [Path(row.folder).name for row in list_runs()] == ["b", "a", "c"]
    assert [Path(row.folder).name for row in list_runs(limit=1)] == ["b"]


def test_a_run_that_goes_on_and_one_that_failed_are_told_apart() -> None:
    start_run(small_config(), Path("outputs/line/a"))
    with pytest.raises(ZeroDivisionError), start_run(small_config(), Path("outputs/line/b")):
        _ = 1 / 0
    assert [row.status for row in list_runs()] == ["failed", "running"]


@pytest.mark.parametrize("content", [b"", b"x: [", b"\xff\xfe", b"schema_version: 99\n"])
def test_a_broken_record_is_a_row_and_not_an_error(content: bytes) -> None:
    train_line(small_config(), Path("outputs/line/good"))
    Path("outputs/line/broken").mkdir()
    Path("outputs/line/broken/run.yaml").write_bytes(content)
    rows = {Path(row.folder).name: row for row in list_runs()}
    assert rows["broken"].status == "broken"
    assert "run.yaml" in str(rows["broken"].problem)
    assert rows["good"].status == "done"


def test_no_outputs_is_no_runs() -> None:
    assert list_runs("nowhere") == []


def test_runs_inside_of_other_things_are_not_listed() -> None:
    record = train_line(small_config(), Path("outputs/line/a"))
    for folder in ("outputs/mlartifacts/x", "outputs/line/a/checkpoints", "outputs/.hidden"):
        Path(folder).mkdir(parents=True)
        (Path(folder) / "run.yaml").write_bytes((record.folder / "run.yaml").read_bytes())
    assert len(list_runs()) == 1


def test_of_two_hundred_runs_the_records_of_the_twenty_that_are_shown_are_read_without_torch_or_mlflow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    record = train_line(small_config(), Path("outputs/line/a"))
    content = (record.folder / "run.yaml").read_bytes()
    for number in range(200):
        Path(f"outputs/line/{number}").mkdir()
        Path(f"outputs/line/{number}/run.yaml").write_bytes(content)
    read: list[Path] = []
    monkeypatch.setattr(listing, "load_record", lambda file: read.append(file) or load_record(file))
    assert len(list_runs(limit=20)) == 20
    assert len(read) == len(set(read)) == 20
    monkeypatch.undo()
    script = "import sys, hft.cli; hft.cli.main(['runs']); sys.exit('torch' in sys.modules or 'mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True).returncode == 0


def sweep_of_three() -> list[RunRecord]:
    """A run, then a sweep of a pruned, a good and a bad trial."""
    recorded("line/before", started=at(1))
    facts = {"sweep": "sweeps/s", "on_test": False}
    return [
        recorded("sweeps/s/0", value=0.9, status="pruned", trial=0, started=at(2), **facts),
        recorded("sweeps/s/1", value=0.6, trial=1, started=at(3), **facts),
        recorded("sweeps/s/2", value=0.5, trial=2, started=at(4), **facts),
    ]


def test_the_trials_of_a_sweep_are_one_row_with_its_best() -> None:
    best = sweep_of_three()[1]
    sweep, before = list_runs(trials=False)
    assert (sweep.run_id, sweep.trials, sweep.validation) == (best.run_id, 3, 0.6)
    assert before.trials is None


def test_the_best_trial_follows_the_direction() -> None:
    for trial, value in enumerate((0.5, 0.2, 0.8)):
        recorded(f"s/{trial}", value=value, direction="minimize", sweep="s", trial=trial, started=at(trial + 1))
    (row,) = list_runs(trials=False)
    assert row.trial == 1


def test_a_limit_counts_a_sweep_once_and_all_its_trials_are_looked_at() -> None:
    sweep_of_three()
    recorded("line/after", started=at(5))
    rows = list_runs(limit=2, trials=False)
    assert [row.trials for row in rows] == [None, 3]


def test_a_sweep_with_a_running_trial_runs() -> None:
    trials = sweep_of_three()
    trials[2].status = "running"
    trials[2].process = Process.current()
    trials[2].save()
    assert list_runs(trials=False)[0].status == "running"


def test_a_sweep_of_which_nothing_is_done_shows_its_newest_trial() -> None:
    for trial in range(2):
        recorded(f"s/{trial}", status="failed", sweep="s", trial=trial, started=at(trial + 1))
    (row,) = list_runs(trials=False)
    assert (row.trial, row.status, row.trials) == (1, "failed", 2)


def test_every_trial_is_a_row_where_trials_are_asked_for() -> None:
    sweep_of_three()
    assert [row.trial for row in list_runs()] == [2, 1, 0, None]


def test_the_command_groups_trials_unless_they_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    sweep_of_three()
    assert main(["runs"]) == 0
    told = capsys.readouterr().out
    assert "best of 3 trials of sweeps/s" in told
    assert "ndcg@10 0.600 on validation" in told
    assert main(["runs", "--trials"]) == 0
    told = capsys.readouterr().out
    assert all(f"trial {number}" in told for number in range(3))


@pytest.mark.parametrize("started", ["99999-99-99T99:99:99Z", "2026-13-01T00:00:00Z", "soon"])
def test_a_moment_that_is_none_is_a_broken_record(started: str, capsys: pytest.CaptureFixture[str]) -> None:
    record = train_line(small_config(), Path("outputs/line/a"))
    train_line(small_config(), Path("outputs/line/b"))
    file = record.folder / "run.yaml"
    lines = [line for line in file.read_text().splitlines() if not line.startswith(("started:", "# checksum"))]
    file.write_text("\n".join([*lines[:3], f"started: '{started}'", *lines[3:]]))
    assert sorted(row.status for row in list_runs()) == ["broken", "done"]
    assert main(["runs"]) == 0
    assert "broken" in capsys.readouterr().out
