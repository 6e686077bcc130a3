"""`iteration=next`: from which run it starts, and what it is called."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from recorded_runs import at, recorded

import hft.experiments.champions
from hft.errors import ConfigError, RunNotFoundError
from hft.experiments import ExperimentsManager, RunRecord, TrackingError
from hft.experiments.iterations import ResolvedIteration, iterations, read_records, resolve_iteration
from hft.experiments.projection import push_run
from hft.experiments.run_model import require_model
from hft.experiments.run_record import Tracking


@pytest.fixture
def crown(monkeypatch: pytest.MonkeyPatch) -> Callable[[RunRecord], None]:
    """Makes a run the champion of its method, without a store."""
    champions: dict[str, RunRecord] = {}
    monkeypatch.setattr(
        hft.experiments.champions, "champion_of", lambda method, outputs, uri=None: champions.get(method)
    )

    def crown(record: RunRecord) -> None:
        champions[record.method] = record

    return crown


@pytest.fixture(autouse=True)
def _no_champion(crown: Callable[[RunRecord], None]) -> None:
    """Nobody asks a store."""


def resolved(
    start_from: str | None = "auto", name: str | None = None, batch: str | int | None = None, method: str = "line"
) -> ResolvedIteration:
    config: dict[str, Any] = {
        "outputs": "outputs",
        "method": {"meta": {"name": method}},
        "data": {"batch_id": batch},
        "tracking": {"kind": "csv"},
        "iteration": {"name": name, "start_from": start_from},
    }
    return resolve_iteration(config)


def test_without_a_run_to_start_from_it_is_the_initial_iteration() -> None:
    assert resolved(None, "initial") == ResolvedIteration("initial", None, None)
    assert resolved(None, "mine") == ResolvedIteration("mine", None, None)


def test_the_best_run_of_the_last_finished_iteration_is_the_parent() -> None:
    recorded("a", value=0.9, started=at(1))
    first = recorded("b", value=0.5, iteration="1", started=at(2))
    best = recorded("c", value=0.6, iteration="1", parent=first.parent, started=at(3))
    found = resolved()
    assert (found.start_from, found.name) == (best.run_id, "2")
    assert found.parent is not None
    assert found.parent.folder == best.folder


def test_the_parent_follows_the_direction_of_the_metric() -> None:
    recorded("a", value=0.9, direction="minimize")
    low = recorded("b", value=0.1, direction="minimize")
    assert resolved().start_from == low.run_id


@pytest.mark.parametrize(
    "unfit",
    [
        {"status": "failed"},
        {"status": "pruned"},
        {"model": False},
        {"value": None},
        {"changes": {"data": {"batch_id": None, "fold": [0, 3]}}},
        {"changes": {"data": {"batch_id": None, "limit_sessions": 100}}},
        {"method": "other"},
    ],
)
def test_a_run_that_cannot_be_started_from_is_no_candidate(unfit: dict[str, Any]) -> None:
    recorded("better", **{"value": 0.9, **unfit})
    good = recorded("good", value=0.5)
    assert resolved().start_from == good.run_id


def test_of_equal_runs_the_first_is_the_parent() -> None:
    recorded("b", value=0.5, started=at(2))
    first = recorded("a", value=0.5, started=at(1))
    assert resolved().start_from == first.run_id


def test_the_champion_comes_before_the_best_run(crown: Callable[[RunRecord], None]) -> None:
    champion = recorded("a", value=0.1)
    recorded("b", value=0.9, iteration="1", parent=champion.run_id, started=at(2))
    crown(champion)
    assert resolved().start_from == champion.run_id


def test_the_deepest_iteration_is_the_last_whenever_it_began() -> None:
    root = recorded("a", started=at(3))
    deep = recorded("b", iteration="1", parent=root.run_id, started=at(1))
    assert resolved().start_from == deep.run_id


def test_an_iteration_whose_search_was_killed_is_not_finished() -> None:
    root = recorded("a", started=at(1))
    recorded("b", iteration="1", parent=root.run_id, on_test=False, started=at(2), sweep="s", trial=0)
    assert resolved() == ResolvedIteration("1", root.run_id, resolved().parent)


def test_the_same_batch_means_the_same_iteration_again() -> None:
    root = recorded("a", batch="1", started=at(1))
    first = recorded("b", iteration="1", parent=root.run_id, batch="2", started=at(2))
    again = resolved(batch=2)
    assert (again.start_from, again.name) == (root.run_id, "1")
    new = resolved(batch="3")
    assert (new.start_from, new.name) == (first.run_id, "2")


def test_a_number_that_another_parent_or_batch_has_is_passed_over(crown: Callable[[RunRecord], None]) -> None:
    champion = recorded("a", started=at(1))
    crown(champion)
    recorded("b", iteration="1", parent=champion.run_id, batch="2", started=at(2))
    assert resolved(batch="3").name == "2"
    assert resolved().name == "2"


def test_an_iteration_that_is_named_keeps_its_parent() -> None:
    root = recorded("a", started=at(1))
    recorded("b", iteration="mine", parent=root.run_id, started=at(2))
    assert resolved(name="mine").start_from == root.run_id


def test_the_name_after_a_name_that_is_no_number_counts_the_iterations() -> None:
    root = recorded("a", started=at(1))
    recorded("b", iteration="mine", parent=root.run_id, started=at(2))
    assert resolved().name == "2"


def test_a_run_is_given_by_folder_id_or_name() -> None:
    record = recorded("line/a", started=at(1))
    recorded("line/b", value=0.9, started=at(2))
    for text in ("outputs/line/a", record.run_id, record.run_id[:8], "a"):
        assert resolved(text) == ResolvedIteration("1", record.run_id, resolved(text).parent)


def test_a_run_of_another_method_is_refused_with_both_names() -> None:
    record = recorded("a", method="other")
    with pytest.raises(ConfigError, match=r"of the method 'other', .* of 'line'"):
        resolved(record.run_id)


def test_a_run_without_a_model_is_refused() -> None:
    record = recorded("a", model=False)
    with pytest.raises(
        RunNotFoundError, match=r"start_from: run .* weights are gone: .* pruned .*`hft reproduce outputs/a"
    ):
        resolved(record.run_id)


def test_a_run_that_does_not_exist_is_refused() -> None:
    with pytest.raises(RunNotFoundError, match="no run under outputs has that name or id"):
        resolved("nothing")


def test_without_any_run_the_message_says_how_to_make_one() -> None:
    with pytest.raises(RunNotFoundError, match=r"iteration.start_from=auto: .* 'line' .*`hft train -m`"):
        resolved()


def test_neither_a_name_nor_a_start_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"iteration.name and iteration.start_from: both are null"):
        resolved(None, None)


def test_the_best_is_sought_on_the_last_data_alone() -> None:
    recorded("old", value=0.9, batch="1", data="data-1", started=at(1))
    new = recorded("new", value=0.4, batch="2", data="data-2", started=at(2))
    recorded("unmeasured", value=0.8, batch="3", data="data-3", on_test=False, started=at(3))
    found = resolved()
    assert found.start_from == new.run_id
    assert found.why == "best of the last finished iteration initial on batch 2"
    (one,) = iterations(read_records("outputs"))
    assert one.winner() is not None
    assert one.winner() == one.best()


def test_parts_of_other_data_are_not_compared() -> None:
    share = {"data": {"batch_id": None, "train_share": 0.5}}
    recorded("old", value=0.9, data="share-1", changes=share, started=at(1))
    new = recorded("new", value=0.4, data="share-2", changes=share, started=at(2))
    assert resolved().start_from == new.run_id


def test_why_it_is_this_run_is_said(crown: Callable[[RunRecord], None]) -> None:
    root = recorded("a", batch="1", started=at(1))
    assert resolved().why == "best of the last finished iteration initial"
    assert resolved(root.run_id).why == ""
    recorded("b", iteration="1", parent=root.run_id, batch="2", data="data-2", on_test=False, started=at(2))
    assert resolved(batch="2").why == "batch 2 was begun as iteration 1 before: it goes on"
    assert resolved(name="1").why == "iteration 1 was begun before: it goes on"
    goes_on = "iteration 1 was begun from this run before on batch 2: it goes on"
    assert resolved(root.run_id, batch="2").why == goes_on
    crown(root)
    assert resolved(batch="3").why == "the champion"


def test_a_store_that_is_away_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any) -> None:
        raise TrackingError("http://127.0.0.1:9 does not answer.")

    monkeypatch.setattr(hft.experiments.champions, "champion_of", away)
    recorded("a")
    with pytest.raises(
        TrackingError, match=r"does not answer\. Name the run .*iteration\.start_from=RUN.*tracking\.uri="
    ):
        resolved()


def test_weights_of_a_reproduction_stand_in_for_those_that_were_pruned() -> None:
    gone = recorded("a", model=False, weights="same")
    again = recorded("b", weights="same", started=at(2))
    again.reproduces = gone.run_id
    again.save()
    assert require_model(gone) == again.folder / "model"
    assert resolved(gone.run_id).start_from == gone.run_id
    again.results.weights = "another"
    again.save()
    with pytest.raises(RunNotFoundError, match="weights are gone"):
        require_model(gone)


@pytest.mark.parametrize(("status", "said"), [("failed", "has no model: it is failed"), ("done", "it kept none")])
def test_a_run_that_never_had_a_model_says_so(status: str, said: str) -> None:
    record = recorded("a", model=False, status=status)
    record.results.weights = None
    record.save()
    with pytest.raises(RunNotFoundError, match=said):
        require_model(record)


def test_the_store_gives_a_model_back(local_store: str) -> None:
    record = recorded("a")
    record.tracking = Tracking(kind="mlflow", uri=local_store)
    push_run(ExperimentsManager(local_store), record)
    record.save()
    shutil.rmtree(record.folder / "model")
    found = require_model(record)
    assert found == Path("outputs/downloaded") / str(record.tracking.mlflow_run_id) / "model"
    assert (found / "model.safetensors").is_file()
    assert require_model(record) == found


def test_iterations_are_ordered_as_a_tree() -> None:
    root = recorded("a", started=at(1))
    child = recorded("b", iteration="1", parent=root.run_id, started=at(3))
    recorded("c", iteration="2", parent=root.run_id, started=at(4))
    recorded("d", iteration="1b", parent=child.run_id, started=at(5))
    recorded("e", iteration="lost", parent="0" * 32, started=at(2))
    found = [(one.name, one.depth) for one in iterations(read_records("outputs"))]
    assert found == [("initial", 0), ("1", 1), ("1b", 2), ("2", 1), ("lost", 1)]


def test_a_circle_of_names_ends() -> None:
    first = recorded("a", iteration="x", started=at(1))
    second = recorded("b", iteration="y", parent=first.run_id, started=at(2))
    recorded("c", iteration="x", parent=second.run_id, started=at(3))
    assert {one.name for one in iterations(read_records("outputs"))} == {"x", "y"}


def test_a_downloaded_copy_of_a_run_counts_once() -> None:
    record = recorded("a", started=at(1))
    copy = recorded("downloaded/x", started=at(1))
    copy.run_id = record.run_id
    copy.save()
    (one,) = iterations(read_records("outputs"))
    assert [found.folder for found in one.records] == [record.folder]


def test_resolving_imports_no_torch_and_no_mlflow() -> None:
    recorded("a")
    code = (
        "import sys; from hft.experiments.iterations import resolve_iteration\n"
        "resolve_iteration({'method': {'meta': {'name': 'line'}}, 'iteration': {'name': None, 'start_from': 'auto'}})\n"
        "print([name for name in ('torch', 'mlflow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=Path.cwd())
    assert done.stdout == "[]\n", done.stderr
