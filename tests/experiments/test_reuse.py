"""What a search takes over from the iteration before: typed parameters, the best first, and gains to learn from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from recorded_runs import at, recorded

from hft.errors import DataError
from hft.experiments import RunRecord, manager_for
from hft.experiments.projection import push_run
from hft.experiments.reuse import PastParams, past_params
from hft.experiments.run_record import Tracking

KEYS = ("params.margin", "loss", "loss.temperature")


def past(parent: RunRecord, n_top_runs: int = 2, keys: tuple[str, ...] = KEYS) -> PastParams:
    return past_params(parent, "outputs", keys, n_top_runs)


def test_the_starting_runs_parameters_come_first_then_the_best_others() -> None:
    parent = recorded("a", value=0.5, params={"margin": 0.01})
    recorded("b", value=0.4, params={"margin": 0.02})
    recorded("c", value=0.6, params={"margin": 0.03})
    recorded("d", value=0.1, params={"margin": 0.04})
    found = past(parent)
    assert found.starting == {
        "params.items_lr": 0.1,
        "params.margin": 0.01,
        "loss": "infonce",
        "loss.temperature": 0.05,
    }
    assert [params["params.margin"] for params in found.top] == [0.03, 0.02]


def test_a_metric_to_be_minimised_ranks_the_other_way_and_a_gain_is_still_better_when_higher() -> None:
    parent = recorded("a", value=0.5, start=0.6, direction="minimize", params={"margin": 0.01})
    recorded("b", value=0.7, start=0.6, direction="minimize", params={"margin": 0.02})
    recorded("c", value=0.2, start=0.6, direction="minimize", params={"margin": 0.03})
    found = past(parent, 1)
    assert found.top[0]["params.margin"] == 0.03
    gains = {params["params.margin"]: gain for params, gain in found.observations}
    assert gains == pytest.approx({0.01: 0.1, 0.02: -0.1, 0.03: 0.4})


def test_equal_parameters_are_listed_once() -> None:
    parent = recorded("a", value=0.5)
    recorded("b", value=0.9)
    recorded("c", value=0.8, params={"margin": 0.5}, started=at(2))
    recorded("d", value=0.8, params={"margin": 0.5}, started=at(3))
    assert [params["params.margin"] for params in past(parent, 5).top] == [0.5]


@pytest.mark.parametrize(
    "unfit",
    [
        {"status": "failed"},
        {"status": "pruned"},
        {"value": None},
        {"data": "data-2"},
        {"iteration": "1"},
        {"method": "other"},
        {"trial": 3, "sweep": "s", "changes": {"search": {"folds": 3}}},
    ],
)
def test_what_does_not_compare_is_left_out(unfit: dict[str, Any]) -> None:
    parent = recorded("a", value=0.5)
    recorded("b", **{"value": 0.9, "params": {"margin": 0.5}, **unfit})
    found = past(parent)
    assert found.top == []
    assert len(found.observations) == 1


def test_of_a_search_over_folds_its_trials_are_looked_at_and_not_the_winner_that_was_trained_again() -> None:
    folds: dict[str, Any] = {"changes": {"search": {"folds": 3, "seeds": None}}}
    parent = recorded("sweeps/s/winner", value=0.9, params={"margin": 0.02}, **folds)
    for number, value in enumerate((0.4, 0.6)):
        recorded(f"sweeps/s/{number}", value=value, params={"margin": number}, trial=number, sweep="s", **folds)
    found = past(parent)
    assert [params["params.margin"] for params in found.top] == [1.0, 0.0]
    assert len(found.observations) == 2


def test_observations_hold_the_keys_of_the_space_alone() -> None:
    parent = recorded("a", value=0.5, start=0.3)
    ((params, gain),) = past(parent, keys=("params.margin",)).observations
    assert (params, gain) == ({"params.margin": 0.02}, pytest.approx(0.2))


def test_keys_that_a_run_does_not_have_are_absent() -> None:
    parent = recorded("a", choices={"loss": None})
    found = past(parent, keys=("loss", "loss.scale", "data/splitter", "params.num_fixed_layers", "nowhere.at.all"))
    assert found.starting == {"params.items_lr": 0.1, "params.margin": 0.02}


def test_a_key_with_a_plus_keeps_it_and_null_is_a_value() -> None:
    parent = recorded("a", params={"max_abs_difference_threshold": None})
    found = past(parent, keys=("+loss.temperature", "params.max_abs_difference_threshold"))
    assert found.starting["+loss.temperature"] == 0.05
    assert found.starting["params.max_abs_difference_threshold"] is None


def test_values_are_typed_again() -> None:
    parent = recorded("a", params={"items_lr": "1e-3", "examples_order": ["11"], "num_fixed_layers": 2.0})
    found = past(parent).starting
    assert (found["params.items_lr"], found["params.examples_order"]) == (0.001, [11])
    assert repr(found["params.num_fixed_layers"]) == "2"


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"params": {"margin": "wide"}}, r"a.run\.yaml: params\.margin: .*found 'wide'"),
        ({"params": {"learning_rate": 0.1}}, r"a.run\.yaml: params\.learning_rate"),
        ({"changes": {"settings": {"batch_size": 0}}}, r"a.run\.yaml: settings\.batch_size"),
    ],
)
def test_a_value_that_somebody_spoiled_is_named(changed: dict[str, Any], told: str) -> None:
    recorded("a", **changed)
    parent = recorded("b")
    with pytest.raises(DataError, match=told):
        past(parent, keys=("params.margin", "settings.batch_size"))


def test_a_start_that_nobody_measured_counts_as_the_parents() -> None:
    parent = recorded("a", value=0.5, start=0.4)
    recorded("b", value=0.6, start=None, params={"margin": 0.5})
    gains = {params["params.margin"]: gain for params, gain in past(parent).observations}
    assert gains == pytest.approx({0.02: 0.1, 0.5: 0.2})


def test_runs_whose_folders_are_gone_come_from_the_store(local_store: str) -> None:
    import shutil

    manager = manager_for(local_store)
    tracked = {"kind": "mlflow", "uri": local_store, "log_model": False}
    records = []
    for number, value in enumerate((0.5, 0.9, 0.7)):
        params = {"margin": 0.1 * number, "examples_order": [11]}
        record = recorded(f"line/{number}", value=value, params=params, changes={"tracking": tracked})
        record.tracking = Tracking(kind="mlflow", uri=local_store, experiment="line/initial", pending=True)
        push_run(manager, record)
        records.append(record)
    whole = past(records[0], keys=(*KEYS, "params.examples_order"))
    shutil.rmtree(records[1].folder)
    assert past(records[0], keys=(*KEYS, "params.examples_order")).top == whole.top
    assert whole.top[0]["loss"] == "infonce"
    assert whole.top[0]["params.examples_order"] == [11]
    assert whole.notes == ()


def test_a_store_that_is_away_is_noted_and_the_folders_do() -> None:
    parent = recorded("a")
    parent.tracking = Tracking(kind="mlflow", uri="http://127.0.0.1:9", experiment="line/initial")
    parent.save()
    found = past(parent)
    assert len(found.observations) == 1
    assert "does not answer" in found.notes[0]
    assert Path("outputs/a/run.yaml").is_file()
