"""Both sweepers search in an app that has no config of hft's: from its command line, from its own config."""

from __future__ import annotations

import pytest
import yaml

SWEEPERS = ["hft_hyperopt", "hft_optuna"]
FROM_THE_COMMAND_LINE = ["x=interval(-5,5)", "y=int(interval(0,10))"]


@pytest.mark.parametrize("sweeper", SWEEPERS)
def test_a_space_from_the_command_line_is_searched_to_its_budget(app, sweeper):
    done = app.search(f"hydra/sweeper={sweeper}", *FROM_THE_COMMAND_LINE, "hydra.sweeper.max_evals=6", "text='a=b, c'")
    told = app.events()
    assert [event["number"] for event in told] == list(range(6))
    assert {event["state"] for event in told} == {"done"}
    for params in app.params():
        assert set(params) == {"x", "y"}
        assert -5 <= params["x"] <= 5
        assert params["y"] in range(11)
    assert yaml.safe_load((app.folder / "sweep/4/.hydra/config.yaml").read_text())["text"] == "a=b, c"
    assert f"hydra.sweep.dir={app.folder}/sweep" in done.stdout

    best = min(told, key=lambda event: event["values"][0])
    again = app.run("--config-dir", "sweep/conf", "+winner=best")
    assert again.stdout.strip() == f"value {best['values'][0]}"


def test_a_condition_in_the_apps_own_config_holds(app):
    app.search("-cn", "spaced")
    params = app.params()
    assert len(params) == 12
    assert {trial["algorithm"] for trial in params} == {"plain", "fast"}
    assert all(("algorithm.speed" in trial) == (trial["algorithm"] == "fast") for trial in params)


def test_a_plain_override_fixes_a_key_of_the_space_and_decides_its_conditions(app):
    app.search("-cn", "spaced", "algorithm=fast", "hydra.sweeper.max_evals=3")
    assert [set(trial) for trial in app.params()] == [{"algorithm.speed", "x", "y"}] * 3
    assert yaml.safe_load((app.folder / "sweep/0/.hydra/config.yaml").read_text())["algorithm"]["name"] == "fast"


def test_a_sweep_override_replaces_an_entry_of_the_space(app):
    app.search("-cn", "spaced", "algorithm=plain", "x=7,8", "hydra.sweeper.max_evals=3")
    assert {trial["x"] for trial in app.params()} <= {7, 8}


def test_a_space_written_into_the_options_is_searched(app):
    options = ["hydra.sweeper.space={x: {low: 1, high: 2}}", "hydra.sweeper.params={y: '3,4'}"]
    app.search("hydra/sweeper=hft_optuna", *options, "hydra.sweeper.max_evals=3")
    assert all(1 <= trial["x"] <= 2 and trial["y"] in (3, 4) for trial in app.params())


def test_a_finite_space_ends_the_search_when_it_is_exhausted(app):
    app.search("hydra/sweeper=hft_optuna", "x=1,2,3", "hydra.sweeper.max_evals=50")
    assert sorted(event["values"][0] for event in app.events() if not event["known_from"]) == [10.0, 11.0, 14.0]


@pytest.mark.parametrize("sweeper", SWEEPERS)
def test_a_resumed_search_goes_on_as_if_it_had_not_ended(app, sweeper):
    command = [f"hydra/sweeper={sweeper}", *FROM_THE_COMMAND_LINE]
    app.search(*command, "hydra.sweeper.max_evals=4")
    written = (app.folder / "sweep/0/app.log").stat().st_mtime_ns
    app.search(*command, "hydra.sweeper.max_evals=9")
    app.search(*command, "hydra.sweeper.max_evals=9", folder="whole")
    assert app.params() == app.params("whole")
    assert [event["number"] for event in app.events()] == list(range(9))
    assert (app.folder / "sweep/0/app.log").stat().st_mtime_ns == written


def test_another_space_in_the_same_folder_is_refused_with_the_difference(app):
    app.search("hydra/sweeper=hft_hyperopt", *FROM_THE_COMMAND_LINE, "hydra.sweeper.max_evals=2")
    command = ["-m", "hydra/sweeper=hft_hyperopt", "x=interval(-5,6)", "y=3", "hydra.sweeper.max_evals=4"]
    done = app.run(*command, "hydra.sweep.dir=sweep")
    assert done.returncode == 1
    assert "hydra.sweep.dir" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("sweeper", SWEEPERS)
def test_failures_and_values_that_are_no_numbers_are_failed_trials(app, sweeper):
    app.search(f"hydra/sweeper={sweeper}", *FROM_THE_COMMAND_LINE, "hydra.sweeper.max_evals=30", "trouble=random")
    failed = [event for event in app.events() if event["state"] == "failed"]
    reasons = {event["reason"] for event in failed}
    assert len(app.events()) == 30
    assert "RuntimeError: out of luck" in reasons
    assert any("nan" in reason for reason in reasons)
    assert all(event["values"] == [] for event in failed)
    raised = next(event for event in failed if event["reason"].startswith("RuntimeError"))
    assert "in trouble" in (app.folder / "sweep" / str(raised["number"]) / "traceback.txt").read_text()


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [("raise", "ValueError: no x like"), ("nothing", "the job returned nothing")],
)
def test_a_search_whose_trials_all_fail_ends_with_one_message(app, trouble, reason):
    command = ["hydra/sweeper=hft_hyperopt", *FROM_THE_COMMAND_LINE, "hydra.sweeper.max_evals=3", f"trouble={trouble}"]
    done = app.run("-m", *command)
    assert done.returncode == 1
    assert reason in done.stderr
    assert "none of 3 trials" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_search_with_too_many_failures_is_given_up(app):
    budget = ["hydra.sweeper.max_evals=30", "hydra.sweeper.max_failures=2"]
    done = app.run("-m", "hydra/sweeper=hft_optuna", *FROM_THE_COMMAND_LINE, *budget, "trouble=raise")
    assert done.returncode == 1
    assert "3 trials failed" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("sweeper", SWEEPERS)
def test_hopeless_trials_are_pruned(app, sweeper):
    pruner = "hydra.sweeper.pruner={kind: median, min_trials: 3}"
    app.search(f"hydra/sweeper={sweeper}", *FROM_THE_COMMAND_LINE, "hydra.sweeper.max_evals=15", "steps=4", pruner)
    states = [event["state"] for event in app.events()]
    assert set(states) == {"done", "pruned"}
    assert "pruned" in (app.folder / "sweep/trials.csv").read_text()


def test_optuna_searches_by_several_metrics(app):
    metrics = ["hydra.sweeper.metric=[value,distance]", "hydra.sweeper.direction=[minimize,maximize]", "returns=pair"]
    app.search("hydra/sweeper=hft_optuna", *FROM_THE_COMMAND_LINE, *metrics, "hydra.sweeper.max_evals=6")
    assert all(len(event["values"]) == 2 for event in app.events())


def test_a_mapping_is_a_value_and_details(app):
    app.search("hydra/sweeper=hft_hyperopt", "x=interval(0,1)", "hydra.sweeper.max_evals=2", "returns=mapping")
    for event in app.events():
        assert isinstance(event["values"][0], float)
        assert set(event["details"]) == {"pid", "threads"}


def test_an_enumeration_keeps_hydras_order_and_its_end_of_a_range(app):
    done = app.search("hydra/sweeper=hft_hyperopt", "x=range(2)", "algorithm=fast,plain")
    overrides = [(app.folder / "sweep" / str(n) / ".hydra/overrides.yaml").read_text().split() for n in range(4)]
    expected = [(x, name) for x in (0, 1) for name in ("fast", "plain")]
    assert overrides == [["-", f"x={x}", "-", f"algorithm={name}"] for x, name in expected]
    assert not (app.folder / "sweep/trials.jsonl").exists()
    assert done.stdout.count("\nvalue ") == 4


def test_an_enumeration_raises_what_a_job_raised(app):
    done = app.run("-m", "hydra/sweeper=hft_optuna", "x=1,2", "trouble=raise")
    assert done.returncode == 1
    assert "ValueError: no x like 1" in done.stderr
