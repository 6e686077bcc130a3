"""`hft runs --tree`: iterations as a history, and `hft runs --prune`: their old models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from recorded_runs import METRIC, at, recorded

import hft.experiments.history
import hft.experiments.pruning_models
from hft.cli import main
from hft.experiments import ExperimentsManager, RunRecord, load_record
from hft.experiments.history import IterationRow, Significance, history
from hft.experiments.iterations import resolve_iteration
from hft.experiments.process import Process
from hft.experiments.projection import push_run
from hft.experiments.registry import Champions
from hft.experiments.run_model import has_model
from hft.experiments.run_record import Tracking
from hft.experiments.store import TrackingError, note_server

HIGH, LOW = [0.9, 0.8, 0.95, 0.7, 0.85, 0.9, 0.8, 0.9], [0.1, 0.2, 0.15, 0.3, 0.1, 0.2, 0.25, 0.1]


def three_iterations() -> list[RunRecord]:
    """initial -> 1 -> 2, each on a batch of its own."""
    root = recorded("a", value=0.4, batch="1", started=at(1), per_query={"start": LOW, "tuned": LOW[::-1]})
    recorded("a2", value=0.2, batch="1", started=at(2), on_test=False, sweep="sweeps/s", trial=0)
    one = recorded(
        "b",
        value=0.5,
        iteration="1",
        batch="2",
        parent=root.run_id,
        started=at(3),
        per_query={"start": LOW, "tuned": HIGH},
    )
    two = recorded("c", value=0.6, iteration="2", batch="3", parent=one.run_id, started=at(4))
    return [root, one, two]


def crown(monkeypatch: pytest.MonkeyPatch, *records: RunRecord, kept: tuple[RunRecord, ...] = ()) -> None:
    """Makes runs the champions of their methods, without a store; `kept` are what else must stay."""
    champions = {record.method: record for record in records}
    ids = {record.run_id for record in (*records, *kept)}
    monkeypatch.setattr(hft.experiments.history, "champion_of", lambda method, outputs, uri: champions.get(method))
    monkeypatch.setattr(hft.experiments.pruning_models, "protected_run_ids", lambda outputs, uri: ids)


def rows_of(outputs: str = "outputs") -> list[IterationRow]:
    rows, notes = history(outputs, lambda other, winner: Significance(float((winner - other).mean()), 0.01, len(other)))
    assert notes == []
    return rows


def test_a_row_says_where_an_iteration_came_from_and_how_the_metric_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    root, one, two = three_iterations()
    crown(monkeypatch, one)
    first, second, third = rows_of()
    assert (first.name, first.depth, first.parent, first.runs, first.trials) == ("initial", 0, None, 2, 1)
    assert (second.parent, second.parent_iteration, second.batches) == (root.run_id, "initial", ("2",))
    assert (third.winner, third.start, third.best, third.test_start, third.test) == (two.run_id, 0.3, 0.6, 0.3, 0.6)
    assert [row.is_champion for row in (first, second, third)] == [False, True, False]


def test_the_winner_is_tested_against_its_start_and_the_initial_model(monkeypatch: pytest.MonkeyPatch) -> None:
    three_iterations()
    crown(monkeypatch)
    first, second, third = rows_of()
    gain = sum(HIGH) / 8 - sum(LOW) / 8
    assert second.against_parent == Significance(pytest.approx(gain), 0.01, 8)
    assert second.against_initial == Significance(pytest.approx(gain), 0.01, 8, 8)
    assert first.against_parent is None
    assert first.against_initial is not None
    assert third.against_initial is None  # it kept no values a query


def test_a_run_on_a_part_of_the_data_wins_only_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    crown(monkeypatch)
    part = recorded("part", value=0.9, changes={"data": {"batch_id": None, "limit_sessions": 10}})
    assert rows_of()[0].winner == part.run_id
    whole = recorded("whole", value=0.5)
    assert rows_of()[0].winner == whole.run_id


def test_only_common_queries_with_a_value_count(monkeypatch: pytest.MonkeyPatch) -> None:
    root = recorded(
        "a", started=at(1), per_query={"start": [0.1, 0.2, float("nan")], "tuned": [0, 0, 0]}, hashes=(1, 2, 3)
    )
    recorded(
        "b",
        iteration="1",
        parent=root.run_id,
        started=at(2),
        per_query={"start": [0, 0, 0], "tuned": [0.5, 0.5, 0.5]},
        hashes=(2, 3, 4),
    )
    crown(monkeypatch)
    assert rows_of()[1].against_initial == Significance(pytest.approx(0.3), 0.01, 1, 3)


def test_values_that_cannot_be_read_are_noted_and_the_rest_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    root = three_iterations()[0]
    crown(monkeypatch)
    (root.folder / "per_query.npz").write_bytes(b"nothing")
    rows, notes = history("outputs", lambda other, winner: Significance(0.0, 1.0, 1))
    assert len(rows) == 3
    assert "per_query.npz" in notes[0]


def test_a_store_that_is_away_costs_the_champion_only(monkeypatch: pytest.MonkeyPatch) -> None:
    three_iterations()

    def away(*_: Any) -> None:
        raise TrackingError("the store is away")

    monkeypatch.setattr(hft.experiments.history, "champion_of", away)
    rows, notes = history("outputs", lambda other, winner: Significance(0.0, 1.0, 1))
    assert len(rows) == 3
    assert notes == ["The champion of line is not known: the store is away"]


def test_the_tree_is_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    root, one, _ = three_iterations()
    crown(monkeypatch, one)
    assert main(["runs", "--tree"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "line"
    assert lines[1] == "  initial  batch 1, 2 runs (1 trial)"
    assert lines[2] == f"    best {root.run_id[:8]}: ndcg@10 0.3000 -> 0.4000 on validation"
    assert lines[3] == "    test 0.3000 -> 0.4000"
    # The recorded p of .01 says the opposite of the interval.
    assert lines[4] == "    against the initial model: +0.0000 (p 1.0000, 95% -0.3747 to +0.3747), 8 queries"
    assert lines[5] == f"    1  batch 2, from initial ({root.run_id[:8]}), 1 run  * champion {one.run_id[:8]}"
    assert lines[7] == "      test 0.3000 -> 0.5000"
    assert lines[8].startswith("      against its start: +0.6750 (p 0.0100, 95% +0.0")
    assert lines[8].endswith("), 8 queries")
    assert lines[9].startswith("      against the initial model: +0.6750 (p ")
    assert lines[9].endswith("on 8 of 8 queries, those that a run from the initial model has too")
    # Nothing a query was kept: the report's p is all there is.
    assert lines[12] == "        test 0.3000 -> 0.6000 (p 0.0100)"
    assert lines[13] == "        against the initial model: not measured"


def test_the_tree_as_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    three_iterations()
    crown(monkeypatch)
    assert main(["runs", "--tree", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == ["initial", "1", "2"]
    assert rows[1]["against_initial"]["queries"] == 8
    assert rows[1]["against_initial"]["p"] < 0.05


def test_the_tree_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "--tree"]) == 0
    assert "No run under outputs yet" in capsys.readouterr().out


def models() -> set[str]:
    return {folder.parent.name for folder in Path("outputs").glob("*/model")}


def test_pruning_keeps_the_models_of_the_last_iterations_and_every_record(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    three_iterations()
    recorded("other", method="other", started=at(1))
    crown(monkeypatch)
    assert main(["runs", "--prune", "keep=2"]) == 0
    assert models() == {"a", "b", "c", "other"}  # a kept iteration starts from a
    assert Path("outputs/a2/run.yaml").is_file()
    told = capsys.readouterr().out
    assert "outputs/a2" in told
    assert "Freed 700 B: models of 1 run" in told


def test_a_dry_run_removes_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    three_iterations()
    crown(monkeypatch)
    assert main(["runs", "--prune", "keep=1", "--dry-run"]) == 0
    assert models() == {"a", "a2", "b", "c"}
    assert "Would free 1.4 KB: models of 2 runs" in capsys.readouterr().out


def test_pruning_as_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    three_iterations()
    crown(monkeypatch)
    assert main(["runs", "--prune", "keep=2", "--json"]) == 0
    (removed,) = json.loads(capsys.readouterr().out)
    assert (removed["folders"], removed["bytes"], removed["removed"]) == (["outputs/a2/model"], 700, True)
    assert removed["store"] is None


def test_models_of_champions_and_their_predecessors_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    root, one, _ = three_iterations()
    crown(monkeypatch, one, kept=(root,))
    assert main(["runs", "--prune", "keep=1"]) == 0
    assert models() == {"a", "b", "c"}


def test_checkpoints_go_too(monkeypatch: pytest.MonkeyPatch) -> None:
    three_iterations()
    Path("outputs/a2/checkpoints").mkdir()
    crown(monkeypatch)
    assert main(["runs", "--prune", "keep=2"]) == 0
    assert not Path("outputs/a2/checkpoints").exists()


def test_a_run_that_goes_on_keeps_its_model_and_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    root, one, two = three_iterations()
    running = recorded("d", iteration="1", parent=root.run_id, status="running", started=at(3))
    running.process = Process.current()
    running.save()
    crown(monkeypatch)
    assert main(["runs", "--prune", "keep=1"]) == 0
    assert models() == {"a", "b", "c", "d"}
    assert two.parent == one.run_id  # why b stays


def test_what_an_interrupted_pruning_left_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    three_iterations()
    folder = Path("outputs/a2")
    (folder / "model").rename(folder / ".model.removed")
    crown(monkeypatch)
    assert main(["runs", "--prune", "keep=2"]) == 0
    assert not (folder / ".model.removed").exists()


def test_nothing_to_prune_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    three_iterations()
    crown(monkeypatch)
    assert main(["runs", "--prune", "keep=3"]) == 0
    assert "Nothing to remove" in capsys.readouterr().out


@pytest.mark.parametrize("asked", ["keep=0", "keep=-1", "keep=many", "3", "keep", "leave=3", ""])
def test_a_wrong_number_to_keep_is_refused(asked: str, capsys: pytest.CaptureFixture[str]) -> None:
    three_iterations()
    assert main(["runs", "--prune", asked]) == 2
    assert "keep=N" in " ".join(capsys.readouterr().err.split())
    assert models() == {"a", "a2", "b", "c"}


def test_where_nobody_knows_the_champions_nothing_is_removed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    three_iterations()

    def away(*_: Any) -> None:
        raise TrackingError("the store is away")

    monkeypatch.setattr(hft.experiments.pruning_models, "protected_run_ids", away)
    assert main(["runs", "--prune", "keep=1"]) == 1
    assert models() == {"a", "a2", "b", "c"}
    assert "the store is away" in capsys.readouterr().err


def test_a_dry_run_of_nothing_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "--dry-run"]) == 2
    assert "--prune" in capsys.readouterr().err


def test_champions_of_a_real_store_are_marked_kept_and_started_from(
    local_store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    records = [*three_iterations(), recorded("d", iteration="3", batch="4", started=at(5))]
    champions = Champions(local_store)
    for record in records[:3]:
        champions.promote(record, expected=champions.champion("line"), is_best=True)
    assert [row.is_champion for row in rows_of()] == [False, False, True, False]
    config = {"method": {"meta": {"name": "line"}}, "iteration": {"name": None, "start_from": "auto"}}
    assert resolve_iteration(config).start_from == records[2].run_id
    assert main(["runs", "--prune", "keep=1"]) == 0
    assert models() == {"b", "c", "d"}
    assert "outputs/a" in capsys.readouterr().out


def test_the_initial_model_that_the_winner_measured_itself_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    root = recorded("a", started=at(1), per_query={"start": LOW, "tuned": LOW})
    values = {"start": LOW, "tuned": HIGH, "initial": [value + 0.01 for value in LOW]}
    recorded("b", iteration="1", parent=root.run_id, data="data-2", started=at(2), per_query=values)
    crown(monkeypatch)
    gain = (sum(HIGH) - sum(LOW)) / 8 - 0.01
    assert rows_of()[1].against_initial == Significance(pytest.approx(gain), 0.01, 8)


def test_of_runs_from_the_initial_model_one_on_the_same_data_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    root = recorded("a", started=at(1), per_query={"start": LOW, "tuned": LOW}, hashes=range(8))
    other = {"start": [0.5] * 8, "tuned": LOW}
    recorded("a-on-2", data="data-2", batch="2", started=at(2), per_query=other, hashes=range(4, 12))
    recorded(
        "b",
        iteration="1",
        parent=root.run_id,
        data="data-2",
        batch="2",
        started=at(3),
        per_query={"start": LOW, "tuned": [0.7] * 8},
        hashes=range(4, 12),
    )
    crown(monkeypatch)
    assert rows_of()[-1].against_initial == Significance(pytest.approx(0.2), 0.01, 8, 8)


def test_another_initial_model_is_not_taken_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    root = recorded("a", started=at(1))
    another = recorded("other", started=at(2), per_query={"start": LOW, "tuned": LOW})
    another.hashes["base_model"] = "base-2"
    another.save()
    recorded("b", iteration="1", parent=root.run_id, started=at(3), per_query={"start": LOW, "tuned": HIGH})
    crown(monkeypatch)
    assert rows_of()[-1].against_initial is None


def test_runs_on_other_data_are_a_row_of_their_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = recorded("a", value=0.9, batch="1", started=at(1))
    second = recorded("b", value=0.5, batch="2", data="data-2", started=at(2))
    recorded("part", value=0.95, data="part-2", started=at(3), changes={"data": {"batch_id": "2", "fold": [0, 2]}})
    third = recorded("c", value=0.6, batch="2", data="data-3", started=at(4))
    crown(monkeypatch, first)
    rows = rows_of()
    assert [(row.batches, row.winner, row.runs) for row in rows] == [
        (("1",), first.run_id, 1),
        (("2",), second.run_id, 1),
        (("2",), third.run_id, 2),
    ]
    assert [row.champion for row in rows] == [first.run_id, None, None]
    assert main(["runs", "--tree"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == f"  initial  batch 1, 1 run  * champion {first.run_id[:8]}"
    assert "  initial  batch 2, data data-2, 1 run" in lines


def test_reproductions_and_attempts_set_aside_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    original = recorded("sweeps/s/0", sweep="sweeps/s", trial=0, started=at(1))
    recorded("sweeps/s/1.interrupted-1", sweep="sweeps/s", trial=1, status="interrupted", started=at(2))
    recorded("sweeps/s/1", sweep="sweeps/s", trial=1, started=at(3))
    again = recorded("again", started=at(4))
    again.reproduces = original.run_id
    again.save()
    crown(monkeypatch)
    (row,) = rows_of()
    assert (row.runs, row.trials, row.failed) == (2, 2, 0)


def test_failed_trials_are_counted_from_the_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded("sweeps/s/0", sweep="sweeps/s", trial=0, started=at(1))
    recorded("sweeps/s/1", sweep="sweeps/s", trial=1, status="interrupted", started=at(2))  # its worker died
    events = [
        {"event": "tell", "number": 0, "state": "done"},
        {"event": "tell", "number": 1, "state": "failed"},
        {"event": "tell", "number": 2, "state": "failed"},  # before it had a record
        {"event": "tell", "number": 3, "state": "failed"},
        {"event": "ask", "number": 3},  # runs again
    ]
    lines = "\n".join(map(json.dumps, events))
    Path("outputs/sweeps/s/trials.jsonl").write_text(f'{lines}\n{{"event": "te')
    recorded("alone", status="failed", value=None, started=at(3))
    crown(monkeypatch)
    (row,) = rows_of()
    assert (row.runs, row.trials, row.failed) == (4, 3, 3)


@pytest.mark.parametrize("options", [["--trials"], ["--limit", "3"], ["--trials", "--limit", "0"]])
@pytest.mark.parametrize("view", [["--tree"], ["--sync"], ["--prune", "keep=1"]])
def test_options_of_the_list_are_refused_elsewhere(
    view: list[str], options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    three_iterations()
    assert main(["runs", *view, *options]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert options[0] in told
    assert view[0] in told
    assert models() == {"a", "a2", "b", "c"}


@pytest.mark.parametrize("view", [[], ["--tree"], ["--prune", "keep=1"], ["--json"]])
def test_a_folder_of_runs_that_is_not_there_is_refused(view: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "--outputs", "nowhere", *view]) == 2
    assert "--outputs: 'nowhere' is no folder" in " ".join(capsys.readouterr().err.split())
    assert main(["runs", *view]) == 0


def test_copies_in_a_local_store_are_pruned_too(
    local_store: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    three_iterations()
    old, mlflow_run_id = in_the_store("a2", local_store)
    start, start_id = in_the_store("a", local_store)
    copy = Path("outputs/mlartifacts") / mlflow_run_id / "artifacts" / "model"
    assert copy.is_dir()
    crown(monkeypatch)
    assert main(["runs", "--prune", "keep=2", "--dry-run"]) == 0
    assert "Would free 1.4 KB: models of 1 run" in capsys.readouterr().out
    assert copy.is_dir()
    assert main(["runs", "--prune", "keep=2"]) == 0
    assert "the store's copy  1.4 KB" in capsys.readouterr().out
    assert not copy.exists()
    assert (copy.parent / "run.yaml").is_file()
    assert (Path("outputs/mlartifacts") / start_id / "artifacts" / "model").is_dir()
    assert main(["runs", "--prune", "keep=2"]) == 0
    assert "Nothing to remove" in capsys.readouterr().out
    assert (has_model(old), has_model(start)) == (False, True)


def in_the_store(folder: str, uri: str) -> tuple[RunRecord, str]:
    """Pushes a run with its model."""
    record = load_record(Path("outputs") / folder)
    record.config["tracking"] = {"kind": "mlflow", "uri": uri}
    record.tracking = Tracking(kind="mlflow", uri=uri)
    record.results.metrics[f"test_{METRIC}"] = 0.1  # of trials the measured ones alone go there
    mlflow_run_id = push_run(ExperimentsManager(uri), record)
    return record, mlflow_run_id


def test_copies_on_a_server_stay_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))  # other tests have tracked runs there
    three_iterations()
    record = load_record("outputs/a2")
    record.results.metrics[f"test_{METRIC}"] = 0.1
    record.tracking = Tracking(kind="mlflow", uri="http://127.0.0.1:9", mlflow_run_id="1" * 32)
    record.save()
    crown(monkeypatch)
    assert main(["runs", "--prune", "keep=2"]) == 0
    assert "Nothing to remove" in capsys.readouterr().out  # a server that is not asked may hold champions of it
    note_server("http://127.0.0.1:9")
    assert main(["runs", "--prune", "keep=2"]) == 0
    told = capsys.readouterr().out
    assert "Freed 700 B: models of 1 run." in told
    assert "Copies of the models of 1 run stay in http://127.0.0.1:9" in told
    assert models() == {"a", "b", "c"}
