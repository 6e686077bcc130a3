"""A trial whose settings a run of the same iteration was trained with is answered from its record."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from recorded_runs import recorded

from hft.experiments import RunRecord
from hft.experiments.known_runs import KnownRun, KnownRuns


def found(record: RunRecord, *, data: str | None = "data-1", **changes: Any) -> KnownRun | None:
    """What is known of the record's own config with changes (dotted keys with `__` for the dot)."""
    config = copy.deepcopy(record.config)
    for key, value in changes.items():
        *parents, name = key.split("__")
        node = config
        for parent in parents:
            node = node.setdefault(parent, {})
        node[name] = value
    return KnownRuns("outputs", "line", "initial").find(config, data_hash=lambda: data)


def test_equal_settings_are_answered_with_the_validation_value() -> None:
    record = recorded("a", value=0.7)
    known = found(record)
    assert known is not None
    assert (known.run_id, known.values, known.folder, known.has_model) == (record.run_id, (0.7,), record.folder, True)


@pytest.mark.parametrize(
    "changes",
    [
        {"run_name": "other"},
        {"outputs": "elsewhere"},
        {"threads": 1},
        {"tracking": {"kind": "mlflow", "uri": "sqlite:///x.db"}},
        {"search": {"max_evals": 3, "folds": None, "seeds": None}},
        {"iteration__start_from": "auto"},
        {"hydra": {"job": {"num": 3}}},
        {"method__meta__description": "said in other words"},
        {"trainer__enable_progress_bar": False},
    ],
)
def test_what_changes_no_result_does_not_matter(changes: dict[str, Any]) -> None:
    assert found(recorded("a"), **changes) is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"params__margin": 0.03},
        {"loss__temperature": 0.06},
        {"method__meta__version": "2"},
        {"data__batch_id": "2"},
        {"data__train_share": 0.5},
        {"search": {"folds": 3}},
        {"search": {"seeds": [0, 1]}},
        {"trainer__precision": "bf16-mixed"},
        {"data": "data-2"},
        {"data": None},
    ],
)
def test_what_changes_the_result_matters(changes: dict[str, Any]) -> None:
    assert found(recorded("a"), **changes) is None


@pytest.mark.parametrize(
    "unfit",
    [
        {"status": "failed"},
        {"status": "pruned"},
        {"status": "running"},
        {"iteration": "1"},
        {"method": "other"},
        {"value": None},
        {"value": float("nan")},
        {"parent": "0" * 32},
    ],
)
def test_a_run_that_has_no_such_result_answers_nothing(unfit: dict[str, Any]) -> None:
    assert found(recorded("a", **unfit)) is None


def test_a_run_that_started_from_the_same_parent_answers() -> None:
    record = recorded("a", parent="0" * 32)
    known = KnownRuns("outputs", "line", "initial")
    assert known.find(record.config, parent="0" * 32, data_hash=lambda: "data-1") is not None


def test_another_base_model_is_another_result() -> None:
    record = recorded("a")
    known = KnownRuns("outputs", "line", "initial")
    ask: Callable[[str], KnownRun | None] = lambda base: known.find(  # noqa: E731
        record.config, data_hash=lambda: "data-1", base_model_hash=lambda: base
    )
    assert ask("base-1") is not None
    assert ask("base-2") is None


def test_several_metrics_are_answered_together_or_not_at_all() -> None:
    record = recorded("a", value=0.7)
    record.results.metrics["validation_mrr@10"] = 0.4
    record.save()
    known = KnownRuns("outputs", "line", "initial")
    both = known.find(record.config, metrics=("ndcg@10", "validation_mrr@10"), data_hash=lambda: "data-1")
    assert both is not None
    assert both.values == (0.7, 0.4)
    assert known.find(record.config, metrics=("ndcg@10", "recall@10"), data_hash=lambda: "data-1") is None


def test_a_trial_that_is_a_mean_answers_an_equal_mean_alone() -> None:
    mean = {"search": {"folds": 3, "seeds": None}}
    trial = recorded("s/0", sweep="s", trial=0, changes=mean)
    assert found(trial) is not None
    assert found(trial, search={"folds": None}) is None


def test_the_winner_of_a_search_over_folds_answers_one_training() -> None:
    winner = recorded("s/winner", changes={"search": {"folds": 3}})
    assert found(winner) is None
    assert found(winner, search={}) is not None


def test_the_data_are_asked_for_only_where_the_settings_are_equal() -> None:
    record = recorded("a")

    def refuse() -> str:
        raise AssertionError("nobody needs the data here")

    known = KnownRuns("outputs", "line", "initial")
    assert known.find({**record.config, "seed": 5}, data_hash=refuse) is None


def test_runs_that_came_later_are_found_after_a_refresh() -> None:
    known = KnownRuns("outputs", "line", "initial")
    record = recorded("a")
    assert known.find(record.config, data_hash=lambda: "data-1") is None
    known.refresh()
    assert known.find(record.config, data_hash=lambda: "data-1") is not None


def test_a_second_look_at_hundreds_of_records_reads_none_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(200):
        recorded(f"{number}", params={"margin": number / 1000}, model=False)
    known = KnownRuns("outputs", "line", "initial")
    assert len(known) == 200
    monkeypatch.setattr("hft.experiments.known_runs.load_record", None)
    known.refresh()
    assert len(known) == 200


def test_a_broken_record_is_passed_over() -> None:
    record = recorded("a")
    recorded("b")
    (record.folder.parent / "b" / "run.yaml").write_text("{")
    assert found(record) is not None
