"""The sweep loop, with an engine that reads from a list, so that every answer is known."""

from __future__ import annotations

import gc
import math
import random
import sys
import threading
import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from hft.errors import ConfigError
from hft.search import (
    FunctionLauncher,
    Known,
    Outcome,
    Params,
    SearchSettings,
    SearchSpace,
    Stage,
    Sweep,
    SweepHooks,
    SweepState,
    Trial,
    TrialPruned,
    report,
)
from hft.search.launching.launcher import Finished
from waiting import PATIENCE

LINE = SearchSpace.parse({"x": {"low": 0.0, "high": 10.0}})
FOUR = SearchSpace.parse({"a": [1, 2], "b": [1, 2]})


class ListEngine:
    """Proposes from a list, and keeps what it is asked and told."""

    def __init__(self, answers: Sequence[Params]) -> None:
        self.answers = list(answers)
        self.calls: list[tuple[Any, ...]] = []
        self.observed: list[tuple[Params, float]] = []

    def ask(self, number: int, params: Params | None = None) -> Params | None:
        self.calls.append(("ask", number, params))
        if params is not None:
            return params
        return self.answers.pop(0) if self.answers else None

    def tell(self, number: int, outcome: Outcome) -> None:
        self.calls.append(("tell", number, outcome.state, outcome.values))

    def observe(self, observations: Sequence[tuple[Params, float]]) -> None:
        self.observed = list(observations)


class Engines:
    """Makes a ListEngine a stage, and keeps them with their spaces and settings."""

    def __init__(self, *answers: Sequence[Params]) -> None:
        self.answers = answers
        self.made: list[tuple[ListEngine, SearchSpace, SearchSettings]] = []

    def __call__(self, space: SearchSpace, settings: SearchSettings) -> ListEngine:
        engine = ListEngine(self.answers[min(len(self.made), len(self.answers) - 1)])
        self.made.append((engine, space, settings))
        return engine


class Log(SweepHooks):
    """Writes down what it hears."""

    def __init__(self, known: dict[float, Known] | None = None) -> None:
        self.lines: list[tuple[Any, ...]] = []
        self.overrides: list[list[str]] = []
        self.on_record = known or {}

    def on_start(self, state: SweepState, *, resumed: bool) -> None:
        self.lines.append(("start", len(state.trials), resumed))

    def known(self, params: Params, overrides: Sequence[str]) -> Known | None:
        self.overrides.append(list(overrides))
        return self.on_record.get(params.get("x"))

    def on_trial_start(self, trial: Trial, state: SweepState) -> None:
        self.lines.append(("begin", trial.number))

    def on_trial_end(self, trial: Trial, state: SweepState) -> None:
        self.lines.append(("end", trial.number, trial.state, None if state.best is None else state.best.number))

    def on_end(self, state: SweepState) -> None:
        self.lines.append(("over", state.ended))


def xs(*values: float) -> list[Params]:
    return [{"x": float(value)} for value in values]


def sweep(folder, answers, objective=lambda params: params["x"], *, space=LINE, engines=None, **options) -> SweepState:
    """A sweep of a function with an engine that answers from a list; settings and options of `Sweep` by keyword."""
    names = set(SearchSettings.model_fields)
    settings = SearchSettings(**{key: value for key, value in options.items() if key in names})
    rest = {key: value for key, value in options.items() if key not in names}
    launcher = rest.pop("launcher", None) or FunctionLauncher(objective, settings.n_parallel)
    make = engines or Engines(answers)
    return Sweep(folder, space, settings, engine="hyperopt", launcher=launcher, make_engine=make, **rest).run()


def test_it_runs_to_the_budget_and_tells_the_best(tmp_path):
    state = sweep(tmp_path, xs(3, 1, 2, 0), max_evals=3)
    assert [trial.value for trial in state.trials] == [3.0, 1.0, 2.0]
    assert (state.ended, state.best.number, [trial.number for trial in state.front]) == ("budget", 1, [1])


def test_of_equal_trials_the_first_is_the_best_and_higher_may_be_better(tmp_path):
    state = sweep(tmp_path, xs(1, 3, 2), max_evals=3, direction=("maximize",))
    assert state.best.number == 1
    tied = sweep(tmp_path / "tied", xs(1, 2), lambda params: 5.0, max_evals=2)
    assert tied.best.number == 0


def test_hooks_hear_of_everything_in_order(tmp_path):
    log = Log()
    sweep(tmp_path, xs(3, 1), max_evals=2, hooks=log)
    assert log.lines == [
        ("start", 0, False),
        ("begin", 0),
        ("end", 0, "done", 0),
        ("begin", 1),
        ("end", 1, "done", 1),
        ("over", "budget"),
    ]


def test_trials_get_the_fixed_overrides_then_their_own_then_the_stages(tmp_path):
    log = Log()
    stages = [Stage(max_evals=1, overrides=["data.share=0.1"]), Stage(max_evals=1)]
    sweep(tmp_path, xs(3), stages=stages, hooks=log, fixed=["seed=7"])
    assert log.overrides == [["seed=7", "x=3.0", "data.share=0.1"], ["seed=7", "x=3.0"]]


@pytest.mark.parametrize(
    ("returned", "reason"),
    [
        (math.nan, "nan"),
        (math.inf, "inf"),
        (None, "returned nothing"),
        ("0.5", "expected: a number"),
        (True, "expected: a number"),
        ([1.0, 2.0], "2 values"),
        ({"other": 1.0}, "without value"),
    ],
)
def test_what_is_no_value_is_a_failure_that_says_so(tmp_path, returned, reason):
    engines = Engines(xs(1, 2))
    state = sweep(tmp_path, [], lambda params: returned if params["x"] == 1.0 else 4.0, max_evals=2, engines=engines)
    failed = state.trials[0]
    assert (failed.state, failed.values, state.best.number) == ("failed", (), 1)
    assert reason in failed.reason
    assert ("tell", 0, "failed", ()) in engines.made[0][0].calls


def test_the_launchers_word_for_a_value_is_not_taken(tmp_path):
    class Careless(FunctionLauncher):
        def wait(self, timeout=None):
            return [Finished(found.number, Outcome("done", values=(math.nan,))) for found in super().wait(timeout)]

    state = sweep(tmp_path, xs(1), max_evals=1, launcher=Careless(lambda params: 1.0))
    assert (state.trials[0].state, state.best) == ("failed", None)
    assert "nan" in state.trials[0].reason


def test_an_exception_is_a_failed_trial_and_the_sweep_goes_on(tmp_path):
    def objective(params):
        if params["x"] == 1.0:
            raise ValueError("x is 1")
        return params["x"]

    state = sweep(tmp_path, xs(1, 2), objective, max_evals=2)
    assert state.trials[0].reason == "ValueError: x is 1"
    assert state.best.number == 1


def test_a_function_that_exits_is_a_failed_trial(tmp_path):
    state = sweep(tmp_path, xs(1), lambda params: sys.exit(3), max_evals=1)
    assert (state.trials[0].state, state.trials[0].reason) == ("failed", "SystemExit: 3")


@pytest.mark.parametrize("n_parallel", [1, 2])
def test_ctrl_c_within_a_trial_ends_the_sweep(tmp_path, n_parallel):
    def objective(params):
        if params["x"] == 2.0:
            raise KeyboardInterrupt
        return 1.0

    log = Log()
    with pytest.raises(KeyboardInterrupt):
        sweep(tmp_path, xs(1, 2, 3, 4), objective, max_evals=4, hooks=log, n_parallel=n_parallel)
    assert log.lines[-1] == ("over", "stopped")
    state = sweep(tmp_path, xs(1, 2, 3, 4), max_evals=4)
    assert [trial.state for trial in state.trials] == ["done"] * 4


@pytest.mark.parametrize(("most", "run"), [(0, 1), (2, 3), (None, 6)])
def test_more_failures_than_allowed_end_the_sweep(tmp_path, most, run):
    state = sweep(tmp_path, xs(1, 2, 3, 4, 5, 6), lambda params: math.nan, max_evals=6, max_failures=most)
    assert len(state.trials) == run
    assert state.ended == ("budget" if most is None else "failures")


def test_more_failures_may_be_allowed_afterwards(tmp_path):
    sweep(tmp_path, xs(1, 2, 3), lambda params: math.nan, max_evals=3, max_failures=0)
    assert sweep(tmp_path, xs(1, 2, 3), max_evals=3, max_failures=0).ended == "failures"
    state = sweep(tmp_path, xs(1, 2, 3), max_evals=3, max_failures=1)
    assert [trial.state for trial in state.trials] == ["failed", "done", "done"]


def test_time_is_counted_over_all_sessions(tmp_path):
    def slow(params):
        time.sleep(0.05)
        return params["x"]

    first = sweep(tmp_path, xs(1, 2, 3), slow, max_evals=2)
    again = sweep(tmp_path, xs(1, 2, 3), slow, max_evals=3, timeout=0.08)
    assert (again.ended, len(again.trials)) == ("timeout", 2)
    assert again.elapsed >= 0.1
    assert first.ended == "budget"


def test_running_trials_are_let_finish_when_the_time_is_up(tmp_path):
    def slow(params):
        time.sleep(0.1)
        return params["x"]

    state = sweep(tmp_path, xs(1, 2, 3, 4), slow, timeout=0.05, n_parallel=2)
    assert [trial.state for trial in state.trials] == ["done", "done"]
    assert state.ended == "timeout"


def test_an_engine_with_nothing_left_ends_the_sweep(tmp_path):
    state = sweep(tmp_path, xs(1, 2), max_evals=10)
    assert (state.ended, len(state.trials)) == ("exhausted", 2)


def test_a_space_whose_every_point_was_tried_ends_the_sweep(tmp_path):
    points = [*FOUR.points(), {"a": 1, "b": 1}]
    state = sweep(tmp_path, points, lambda params: math.nan if params["a"] == 2 else 1.0, space=FOUR, max_evals=50)
    assert (state.ended, len(state.trials)) == ("exhausted", 4)


def test_parameters_that_are_done_are_not_run_again_nor_counted(tmp_path):
    ran = []
    engines = Engines(xs(1, 1, 2))
    state = sweep(tmp_path, [], lambda params: ran.append(params) or 5.0, max_evals=2, engines=engines)
    assert ran == xs(1, 2)
    assert state.trials[1].known_from == "trial 0"
    assert state.trials[1].values == (5.0,)
    assert ("tell", 1, "done", (5.0,)) in engines.made[0][0].calls


def test_parameters_that_failed_are_run_again(tmp_path):
    values = iter([math.nan, 4.0])
    state = sweep(tmp_path, xs(1, 1), lambda params: next(values), max_evals=2)
    assert [trial.state for trial in state.trials] == ["failed", "done"]


def test_a_result_on_record_costs_nothing(tmp_path):
    ran = []
    log = Log({1.0: Known((0.25,), "run 12f1bffb", "/runs/12f1bffb"), 2.0: Known((math.nan,), "run bad")})
    state = sweep(tmp_path, xs(1, 2), lambda params: ran.append(params) or 3.0, max_evals=1, hooks=log)
    assert ran == xs(2)
    assert state.best.known_from == "run 12f1bffb"
    assert (tmp_path / state.best.folder).resolve() == Path("/runs/12f1bffb")
    assert ("begin", 0) not in log.lines
    assert ("end", 0, "done", 0) in log.lines


def test_an_engine_that_repeats_itself_is_helped_through_a_space_that_can_be_listed(tmp_path):
    state = sweep(tmp_path, [{"a": 1, "b": 1}] * 100, lambda params: 1.0, space=FOUR, max_evals=50)
    assert state.ended == "exhausted"
    assert len([trial for trial in state.trials if trial.known_from is None]) == 4


def test_200_known_answers_in_a_row_end_a_sweep_of_an_endless_space(tmp_path):
    state = sweep(tmp_path, xs(*[1] * 300), max_evals=2)
    assert (state.ended, len(state.trials)) == ("exhausted", 201)


def test_the_queue_comes_first_and_the_engine_learns_from_it(tmp_path):
    engines = Engines(xs(3))
    state = sweep(tmp_path, [], max_evals=3, queue=xs(7, 8), engines=engines)
    assert [(trial.params["x"], trial.source) for trial in state.trials] == [
        (7.0, "enqueued"),
        (8.0, "enqueued"),
        (3.0, "engine"),
    ]
    assert engines.made[0][0].calls[0] == ("ask", 0, {"x": 7.0})


def test_nothing_but_the_queue_when_so_told(tmp_path):
    engines = Engines(xs(3))
    state = sweep(tmp_path, [], max_evals=9, queue=[{"x": 7.0}, {"y": "other"}], only_queue=True, engines=engines,
                  objective=lambda params: 1.0)  # fmt: skip
    assert [trial.params for trial in state.trials] == [{"x": 7.0}, {"y": "other"}]
    assert (state.ended, engines.made) == ("budget", [])


def test_the_engine_learns_from_past_trials_that_lie_in_the_space(tmp_path):
    engines = Engines(xs(3))
    past = [({"x": 2.0}, 0.5), ({"x": 99.0}, 0.9), ({"x": 4.0, "y": 1}, 0.1)]
    sweep(tmp_path, [], max_evals=1, observations=past, engines=engines)
    assert engines.made[0][0].observed == [({"x": 2.0}, 0.5), ({"x": 4.0}, 0.1)]


def test_stages_have_budgets_engines_and_spaces_of_their_own(tmp_path):
    engines = Engines(xs(4, 6), xs(5))
    stages = [Stage(max_evals=2), Stage(max_evals=2, around_best=0.2)]
    state = sweep(tmp_path, [], lambda params: abs(params["x"] - 4), stages=stages, engines=engines, seed=5)
    assert [(trial.stage, trial.params["x"], trial.source) for trial in state.trials] == [
        (0, 4.0, "engine"),
        (0, 6.0, "engine"),
        (1, 4.0, "enqueued"),
        (1, 5.0, "engine"),
    ]
    (_, first_space, first), (_, second_space, second) = engines.made
    assert first_space == LINE
    assert (second_space["x"].spec.low, second_space["x"].spec.high) == (3.0, 5.0)
    assert first.seed == 5
    assert second.seed != 5
    assert state.best.number == 2  # of the last stage, though trial 0 is as good


def test_max_evals_caps_the_stages(tmp_path):
    stages = [Stage(max_evals=2), Stage(max_evals=2)]
    state = sweep(tmp_path, [], stages=stages, engines=Engines(xs(1, 2), xs(3, 4)), max_evals=3)
    assert [trial.stage for trial in state.trials] == [0, 0, 1]
    assert state.ended == "budget"


def test_the_best_is_of_the_last_stage_that_has_a_value(tmp_path):
    stages = [Stage(max_evals=2), Stage(max_evals=1)]
    engines = Engines(xs(1, 2), xs(3))
    state = sweep(tmp_path, [], lambda p: math.nan if p["x"] == 3 else p["x"], stages=stages, engines=engines)
    assert state.best.number == 0


def test_several_metrics_have_a_front(tmp_path):
    values = {1.0: (1.0, 1.0), 2.0: (2.0, 3.0), 3.0: (3.0, 2.0), 4.0: (0.5, 0.5), 5.0: (2.0, 3.0)}
    state = sweep(
        tmp_path,
        xs(1, 2, 3, 4, 5),
        lambda params: values[params["x"]],
        max_evals=5,
        metric=("loss", "gain"),
        direction=("minimize", "maximize"),
    )
    # Only trial 2 is beaten in both metrics (by 1); trial 4 equals 1 and stays beside it.
    assert [trial.number for trial in state.front] == [0, 1, 3, 4]
    assert state.best.number == 0


def test_as_many_directions_as_metrics(tmp_path):
    with pytest.raises(ConfigError, match=r"search\.direction: 1 given \(minimize\) for 2 metrics"):
        sweep(tmp_path, xs(1), metric=("a", "b"))


def test_a_pruned_trial_keeps_its_last_intermediate_value(tmp_path):
    def objective(params):
        report(9.0)
        report(8.0)
        report(math.nan)
        raise TrialPruned("enough")

    engines = Engines(xs(1))
    state = sweep(tmp_path, [], objective, max_evals=1, engines=engines)
    assert (state.trials[0].state, state.trials[0].values, state.trials[0].reason) == ("pruned", (8.0,), "enough")
    assert state.trials[0].details == {"step": 2}
    assert state.best is None


def test_a_free_slot_asks_at_once(tmp_path):
    released = threading.Event()
    ended = []

    def objective(params):
        if params["x"] == 1.0:
            assert released.wait(PATIENCE)
        ended.append(params["x"])
        if len(ended) == 3:
            released.set()
        return params["x"]

    state = sweep(tmp_path, xs(1, 2, 3, 4), objective, max_evals=4, n_parallel=2)
    assert ended[:3] == [2.0, 3.0, 4.0]
    assert [trial.value for trial in state.trials] == [1.0, 2.0, 3.0, 4.0]


def test_a_trial_waits_for_its_twin_that_runs(tmp_path):
    ran = []

    def objective(params):
        ran.append(params["x"])
        time.sleep(0.05)
        return 1.0

    state = sweep(tmp_path, xs(1, 1, 2), objective, max_evals=2, n_parallel=2)
    assert sorted(ran) == [1.0, 2.0]
    assert state.trials[1].known_from == "trial 0"


def test_a_job_of_an_enumeration_need_not_return_a_value(tmp_path):
    state = sweep(tmp_path, xs(1), max_evals=1, is_search=False, launcher=_Mute(lambda params: None))
    assert (state.trials[0].state, state.best) == ("done", None)


class _Mute(FunctionLauncher):
    def wait(self, timeout=None):
        return [Finished(found.number, Outcome("done")) for found in super().wait(timeout)]


@pytest.mark.parametrize("engine", ["hyperopt", "optuna"])
def test_200_trials_of_which_a_fifth_fail(engine, tmp_path):
    luck = random.Random(0)

    def objective(params):
        chance = luck.random()
        if chance < 0.1:
            raise RuntimeError("out of luck")
        return math.nan if chance < 0.2 else (params["x"] - 4) ** 2

    settings = SearchSettings(max_evals=200, seed=1)
    state = Sweep(tmp_path, LINE, settings, engine=engine, launcher=FunctionLauncher(objective)).run()
    failed = [trial for trial in state.trials if trial.state == "failed"]
    ran = [trial for trial in state.trials if trial.known_from is None]
    assert (len(ran), state.ended) == (200, "budget")
    assert 20 <= len(failed) <= 60
    assert {trial.reason for trial in failed} == {"RuntimeError: out of luck", "value is nan, which is no value"}
    assert state.best.value < 0.01


@pytest.mark.parametrize("value", [8.0, -8.0])
def test_a_pruned_trial_is_pruned_to_optuna_with_the_report_at_which_it_stopped(value, tmp_path):
    from hft.search.engines.optuna_engine import OptunaEngine

    def objective(params):
        report(value + 1)
        report(value, step=4)
        report(math.nan)
        raise TrialPruned("enough")

    made: list[OptunaEngine] = []

    def make(space: SearchSpace, settings: SearchSettings) -> OptunaEngine:
        made.append(OptunaEngine(space, settings))
        return made[-1]

    for budget in (1, 2):  # the second session reads the first trial from the journal
        state = sweep(tmp_path, [], objective, engines=make, max_evals=budget, direction=("maximize",))
    assert [(trial.state, trial.values) for trial in state.trials] == [("pruned", (value,))] * 2
    known = made[-1]._study.trials
    assert [(trial.state.name, trial.intermediate_values) for trial in known] == [("PRUNED", {4: -value})] * 2


def test_nothing_that_a_failed_trial_worked_on_is_kept_in_memory(tmp_path):
    class Model:
        pass

    alive: list[weakref.ref[Model]] = []

    def objective(params):
        model = Model()
        alive.append(weakref.ref(model))
        raise RuntimeError("out of memory")

    kept: list[int] = []

    class Count(SweepHooks):
        def on_trial_end(self, trial: Trial, state: SweepState) -> None:
            gc.collect()
            kept.append(sum(reference() is not None for reference in alive[:-1]))

    sweep(tmp_path, xs(1, 2, 3), objective, max_evals=3, hooks=Count())
    assert kept == [0, 0, 0]


def test_a_metric_is_named_once(tmp_path):
    with pytest.raises(ConfigError, match="each metric once"):
        sweep(tmp_path, xs(1), metric=("loss", "loss"), direction=("minimize", "minimize"))
