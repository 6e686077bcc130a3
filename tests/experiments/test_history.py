"""`hft runs --tree`: iterations as a history, and `hft runs --prune`: their old models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from recorded_runs import at, recorded

import hft.experiments.history
import hft.experiments.pruning_models
from hft.cli import main
from hft.experiments import RunRecord
from hft.experiments.history import IterationRow, Significance, history
from hft.experiments.iterations import resolve_iteration
from hft.experiments.process import Process
from hft.experiments.registry import Champions
from hft.experiments.store import TrackingError

HIGH, LOW = [0.9, 0.8, 0.95, 0.7, 0.85, 0.9, 0.8, 0.9], [0.1, 0.2, 0.15, 0.3, 0.1, 0.2, 0.25, 0.1]


def three_iterations() -> list[RunRecord]:
    """initial -> 1 -> 2, each on a batch of its own."""
    root = recorded("a", value=0.4, batch="1", started=at(1), per_query={"start": LOW, "tuned": LOW[::-1]})
    recorded("a2", value=0.2, batch="1", started=at(2), model=False, on_test=False, sweep="sweeps/s", trial=0)
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
    assert second.against_initial == Significance(pytest.approx(gain), 0.01, 8)
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
    assert rows_of()[1].against_initial == Significance(pytest.approx(0.3), 0.01, 1)


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
    assert lines[3] == "    test 0.3000 -> 0.4000 (p 0.0100)"
    assert lines[4] == f"    1  batch 2, from initial ({root.run_id[:8]}), 1 run  * champion"
    assert lines[7].startswith("      against its start: +0.6750 (p ")
    assert lines[7].endswith(", 8 queries")
    assert lines[8].startswith("      against the initial model: +0.6750 (p ")


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
    assert models() == {"b", "c", "other"}
    assert Path("outputs/a/run.yaml").is_file()
    told = capsys.readouterr().out
    assert "outputs/a" in told
    assert "Freed 700 B: models of 1 run" in told


def test_a_dry_run_removes_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    three_iterations()
    crown(monkeypatch)
    assert main(["runs", "--prune", "keep=1", "--dry-run"]) == 0
    assert models() == {"a", "b", "c"}
    assert "Would free 1.4 KB: models of 2 runs" in capsys.readouterr().out


def test_pruning_as_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    root = three_iterations()[0]
    crown(monkeypatch)
    assert main(["runs", "--prune", "keep=2", "--json"]) == 0
    (removed,) = json.loads(capsys.readouterr().out)
    assert (removed["run_id"], removed["bytes"], removed["removed"]) == (root.run_id, 700, True)


def test_models_of_champions_and_their_predecessors_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    root, one, _ = three_iterations()
    crown(monkeypatch, one, kept=(root,))
    assert main(["runs", "--prune", "keep=1"]) == 0
    assert models() == {"a", "b", "c"}


def test_checkpoints_go_too(monkeypatch: pytest.MonkeyPatch) -> None:
    root = three_iterations()[0]
    (root.folder / "checkpoints").mkdir()
    crown(monkeypatch)
    assert main(["runs", "--prune", "keep=2"]) == 0
    assert not (root.folder / "checkpoints").exists()


def test_a_run_that_goes_on_keeps_its_model_and_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    root, one, two = three_iterations()
    running = recorded("d", iteration="1", parent=root.run_id, status="running", started=at(3))
    running.process = Process.current()
    running.save()
    crown(monkeypatch)
    assert main(["runs", "--prune", "keep=1"]) == 0
    assert models() == {"a", "c", "d"}
    assert one.run_id != two.run_id


def test_what_an_interrupted_pruning_left_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    root = three_iterations()[0]
    (root.folder / "model").rename(root.folder / ".model.removed")
    crown(monkeypatch)
    assert main(["runs", "--prune", "keep=2"]) == 0
    assert not (root.folder / ".model.removed").exists()


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
    assert models() == {"a", "b", "c"}


def test_where_nobody_knows_the_champions_nothing_is_removed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    three_iterations()

    def away(*_: Any) -> None:
        raise TrackingError("the store is away")

    monkeypatch.setattr(hft.experiments.pruning_models, "protected_run_ids", away)
    assert main(["runs", "--prune", "keep=1"]) == 1
    assert models() == {"a", "b", "c"}
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
