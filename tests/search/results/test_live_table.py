"""The live table: what stands in it, that it fits any terminal, and a line a trial where nobody watches."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from hft.search.hooks import SweepState
from hft.search.results.differing_parameters import DifferingParameters
from hft.search.results.live_table import LiveTable
from hft.search.results.progress import Progress, budget_of, seconds_left
from hft.search.trial import Trial
from sweep_states import mixed_trials, sweep_state


def terminal(width: int = 110, height: int = 30) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=width, height=height, color_system=None)


def text_of(table: LiveTable, width: int = 110, height: int = 30) -> str:
    console = Console(file=io.StringIO(), width=width, height=height)
    console.print(table.render())
    return console.file.getvalue()


def running(folder: Path, count: int = 30, **changes: object) -> SweepState:
    """The last two trials are in flight."""
    trials = mixed_trials(count)
    trials[-2:] = [replace(trial, state="running", values=(), reason=None, seconds=0.0) for trial in trials[-2:]]
    return sweep_state(folder, trials, **{"max_evals": 60, "n_parallel": 2, "elapsed": 700.0, **changes})


def shown(state: SweepState, width: int = 110, height: int = 30) -> str:
    table = LiveTable(terminal(width, height), clock=lambda: 0.0)
    table.on_start(state, resumed=False)
    for trial in state.trials:
        if trial.state == "running":
            table.on_trial_start(trial, state)
    text = text_of(table, width, height)
    table.stop()
    return text


def printed(state: SweepState, trial: Trial, *, resumed: bool = False) -> list[str]:
    console = Console(file=io.StringIO(), width=40)
    table = LiveTable(console)
    table.on_start(state, resumed=resumed)
    table.on_trial_start(trial, state)
    table.on_trial_end(trial, state)
    table.on_end(state)
    return console.file.getvalue().splitlines()


def test_the_table_says_how_far_the_sweep_is(tmp_path):
    state = running(tmp_path)
    text = shown(state)
    assert state.best is not None
    assert "27 of 60 trials: 19 done, 2 running, 5 pruned, 3 failed, 1 from the record" in text
    assert f"best: ndcg@10 {state.best.values[0]:.4f} (trial {state.best.number})" in text
    assert "items_lr=6.193e-05" in text
    assert "11 min 40 s gone, about" in text


def test_what_runs_is_listed_with_the_last_that_ended(tmp_path):
    lines = [line.split()[:2] for line in shown(running(tmp_path)).splitlines()]
    rows = [line for line in lines if line and line[0].isdigit()][-10:]
    assert [row[0] for row in rows] == [str(number) for number in range(20, 30)]
    assert [row[1] for row in rows[-2:]] == ["running", "running"]


def test_a_failed_trial_shows_its_reason_and_a_known_one_says_so(tmp_path):
    text = shown(sweep_state(tmp_path, mixed_trials(8)))
    assert "ValueError: batch 4 is not finite" in text
    assert any(line.split()[:2] == ["7", "known"] for line in text.splitlines() if line.strip())


@pytest.mark.parametrize(("width", "height"), [(1, 1), (5, 2), (20, 4), (40, 9), (59, 12), (80, 24), (300, 100)])
@pytest.mark.parametrize("count", [2, 200])
def test_it_fits_every_terminal(tmp_path, width, height, count):
    lines = shown(running(tmp_path, count), width, height).splitlines()
    assert len(lines) <= height
    assert max(len(line) for line in lines) <= width


def test_before_any_trial_it_says_so(tmp_path):
    text = shown(sweep_state(tmp_path, [], max_evals=5))
    assert "0 of 5 trials" in text
    assert "no trial is done yet" in text


def test_nasty_words_are_no_markup(tmp_path):
    params = {"[bold]key": "[/red]\nvalue", "other": "\x1b[31mred"}
    trials = [Trial(0, params, "done", values=(0.5,)), Trial(1, {}, "failed", reason="[/x]\nsecond line")]
    text = shown(sweep_state(tmp_path, trials, {"x": [1]}, metric=("[m]",)))
    assert '[bold]key="[/red]\\nvalue" other="\\u001b[31mred"' in text
    assert "[/x] second line" in text
    assert "best: [m] 0.5000" in text
    assert "\x1b" not in text


def test_a_live_display_is_taken_down(tmp_path):
    console, state = terminal(), running(tmp_path)
    table = LiveTable(console)
    table.on_start(state, resumed=True)
    table.on_trial_end(state.trials[0], state)
    table.on_end(state)
    table.on_end(state)
    written = console.file.getvalue()
    assert "27 of 60 trials" in written
    # The cursor is back, and nothing but the display was written.
    assert written.rstrip("\n").endswith("\x1b[2K") or written.count("\x1b[?25h") == 1
    assert "[27/60]" not in written


def test_elsewhere_a_trial_is_a_line(tmp_path):
    state = running(tmp_path)
    best = state.best
    assert best is not None
    start, line = printed(state, state.trials[2])
    assert start == f"search begins: 60 trials, {tmp_path}"
    assert line == (
        f"[27/60] trial 2 done  ndcg@10 {state.trials[2].values[0]:.4f}"
        f" (best {best.values[0]:.4f}, trial {best.number})"
        "  42 s  items_lr=3.607e-06 num_fixed_layers=1 loss=infonce optimizer=null examples_order=[1, 2, 11]"
    )


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (3, "trial 3 pruned  43 s  worse than the median  items_lr="),
        (4, "trial 4 failed  44 s  ValueError: batch 4 is not finite  items_lr="),
        (7, "[known] trial 7 done  "),
        (7, "  known from run 12f1bffb  items_lr="),
    ],
)
def test_a_line_says_what_came_of_the_trial(tmp_path, number, expected):
    state = running(tmp_path)
    assert expected in printed(state, state.trials[number])[1]


def test_a_line_stays_one_line(tmp_path):
    trial = Trial(0, {"x": "a\nb" * 500}, "failed", reason="first\nsecond\n" * 300)
    assert len(printed(sweep_state(tmp_path, [trial], {"x": [1]}), trial, resumed=True)) == 2


def test_a_resumed_sweep_says_so(tmp_path):
    state = running(tmp_path, max_evals=None)
    assert printed(state, state.trials[0], resumed=True)[0] == (
        "search goes on: 27 trials: 19 done, 5 pruned, 3 failed, 1 from the record, 2 were interrupted and run again, "
        f"{tmp_path}"
    )


def test_a_resumed_sweep_says_what_was_interrupted(tmp_path):
    trials = [Trial(n, {"x": n}, "done", values=(0.1,)) for n in range(6)]
    state = sweep_state(tmp_path, [*trials, Trial(6, {"x": 6})], {"x": list(range(10))})
    console = terminal(width=300)
    table = LiveTable(console)
    table.on_start(state, resumed=True)
    table.stop()
    expected = f"search goes on: 6 of 10 trials: 6 done, 1 was interrupted and runs again, {tmp_path}\n"
    assert expected in console.file.getvalue().replace("\r", "")


def test_one_trial_is_no_trials(tmp_path):
    state = sweep_state(tmp_path, [Trial(0, {"x": 1}, "running")], {"x": [1]})
    assert printed(state, state.trials[0])[0] == f"search begins: 1 trial, {tmp_path}"


@pytest.mark.parametrize("console", [terminal(), Console(file=io.StringIO(), width=40)], ids=["terminal", "file"])
def test_a_stopped_sweep_says_its_best_and_where_it_is(tmp_path, console):
    state = running(tmp_path, ended="stopped")
    table = LiveTable(console)
    table.on_start(state, resumed=False)
    table.on_end(state)
    assert state.best is not None
    counts, best, params, where = console.file.getvalue().splitlines()[-4:]
    assert counts.endswith("search stopped: 27 of 60 trials: 19 done, 5 pruned, 3 failed, 1 from the record")
    assert best == f"best: ndcg@10 {state.best.values[0]:.4f} (trial {state.best.number})"
    assert f"num_fixed_layers={state.best.params['params.num_fixed_layers']}" in params
    assert where == f"in {tmp_path}"


def test_a_sweep_that_ended_by_itself_leaves_its_summary_to_others(tmp_path):
    assert "search stopped" not in "\n".join(printed(running(tmp_path, ended="budget"), mixed_trials(1)[0]))


def test_the_last_line_is_empty_so_that_ctrl_c_breaks_none(tmp_path):
    for width, height in ((130, 30), (70, 12), (30, 5), (40, 3)):
        assert shown(running(tmp_path), width, height).splitlines()[-1].strip() == ""


INITIAL = {
    "params.num_fixed_layers": 4, "params.query_lr": 1e-05, "params.items_lr": 1e-05, "params.query_weight_decay": 0.01,
    "params.items_weight_decay": 0.01, "params.margin": 0.02, "params.not_irrelevant_only": False,
    "params.negative_downsampling": 0.25,
}  # fmt: skip


def of_initial_space(folder: Path, *, constant: tuple[str, ...] = ()) -> SweepState:
    others = {key: 0 if isinstance(value, int) else value / 2 for key, value in INITIAL.items()}
    second = {key: INITIAL[key] if key in constant else value for key, value in others.items()}
    trials = [Trial(n, params, "done", values=(0.5 + n / 10,)) for n, params in enumerate([INITIAL, second])]
    return sweep_state(folder, trials, {key: [value] for key, value in INITIAL.items()}, metric=("validation_ndcg@10",))


def test_a_parameter_is_a_column_where_all_fit(tmp_path):
    text = shown(of_initial_space(tmp_path), 130)
    row = next(line for line in text.splitlines() if line.split()[:2] == ["0", "done"])
    assert row.split()[2:] == ["0.5000", "0.0", "s", "4", "1e-05", "1e-05", "0.01", "0.01", "0.02", "false", "0.25"]
    heading = text[: text.index("─" * 20)].splitlines()[-3:]
    assert heading[-1].split()[-1] == "downsampling"
    assert heading[-2].split()[-2:] == ["irrelevant_", "negative_"]


def test_elsewhere_names_stand_in_the_row(tmp_path):
    assert "  num_fixed_layers=4 query_lr=1e-05 " in shown(of_initial_space(tmp_path), 90).split("parameters")[1]


def test_what_all_trials_have_is_no_column(tmp_path):
    constant = tuple(key for key in INITIAL if key != "params.margin")
    rows = shown(of_initial_space(tmp_path, constant=constant), 60).split("best:")[1].splitlines()
    first = next(line for line in rows if line.split()[:2] == ["0", "done"])
    assert first.split()[2:] == ["0.5000", "0.0", "s", "0.02"]


def test_columns_that_are_called_alike_once_wrapped_stay_apart(tmp_path):
    trials = [Trial(n, {"a" * 60 + end: f"{end}{n}" for end in "xy"}, "done", values=(0.1,)) for n in range(2)]
    text = shown(sweep_state(tmp_path, trials, {"a": [1]}), 150)
    assert "x1" in text.split("trial")[-1]
    assert "y1" in text.split("trial")[-1]


def test_what_differs_is_found_one_trial_after_the_other(tmp_path):
    rows = [{"a": 1, "b": 1}, {"a": 1, "b": 1}, {"a": 1, "b": 2, "c": 0}, {"a": True, "b": 1}]
    trials = [Trial(n, params) for n, params in enumerate(rows)]
    differing = DifferingParameters()
    found = [differing.of(sweep_state(tmp_path, trials[:count], {"b": [1]})) for count in range(1, 5)]
    assert found == [["b", "a"], [], ["b", "c"], ["b", "a", "c"]]


def test_a_dumb_terminal_gets_lines(tmp_path, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    console, state = terminal(), running(tmp_path)
    LiveTable(console).on_trial_end(state.trials[0], state)
    assert console.file.getvalue().startswith("[27] trial 0 done")


def test_a_known_trial_is_counted_once(tmp_path):
    progress = Progress.of(sweep_state(tmp_path, mixed_trials(30)))
    assert (progress.done, progress.pruned, progress.failed, progress.running, progress.known) == (20, 6, 3, 0, 1)
    assert progress.ended == 29


@pytest.mark.parametrize(
    ("changes", "space", "expected"),
    [
        ({"max_evals": 7}, None, 7),
        ({}, None, None),
        ({"max_evals": 7}, {"x": [1, 2, 3]}, 3),
        ({"stages": [{"max_evals": 4}, {"max_evals": 5}]}, {"x": [1, 2, 3]}, 9),
        ({"stages": [{"max_evals": 4}, {"max_evals": 5}], "max_evals": 6}, None, 6),
    ],
)
def test_the_budget_is_the_smallest_limit(tmp_path, changes, space, expected):
    assert budget_of(sweep_state(tmp_path, [], space, **changes)) == expected


def test_the_time_left_is_the_median_of_done_trials_over_the_slots(tmp_path):
    seconds = [10.0, 20.0, 90.0]
    trials = [Trial(n, {"x": n}, "done", values=(0.1,), seconds=s) for n, s in enumerate(seconds)]
    trials += [Trial(3, {"x": 3}, "failed", seconds=1.0), Trial(4, {"x": 4}, "running")]
    space = {"x": {"low": 0, "high": 9}}
    state = sweep_state(tmp_path, trials, space, n_parallel=2)
    # Four ended of ten; six to come at 20 s each, of which 5 s are gone, in two slots.
    assert seconds_left(state, 10, {4: 5.0}, 60.0) == pytest.approx((6 * 20 - 5) / 2)
    # A trial that runs longer than all others ends at any moment.
    assert seconds_left(state, 5, {4: 500.0}, 60.0) == 0.0
    assert seconds_left(state, None, {}, 60.0) is None


def test_the_timeout_ends_it_earlier(tmp_path):
    trials = [Trial(0, {"x": 0}, "done", values=(0.1,), seconds=100.0)]
    state = sweep_state(tmp_path, trials, {"x": {"low": 0, "high": 9}}, timeout=150)
    assert seconds_left(state, 10, {}, 120.0) == 30.0
    assert seconds_left(state, None, {}, 999.0) == 0.0


def test_the_time_left_goes_by_the_running_stage(tmp_path):
    trials = [Trial(n, {"x": n}, "done", stage=n // 2, values=(0.1,), seconds=[1.0, 1.0, 50.0][n]) for n in range(3)]
    state = sweep_state(tmp_path, trials, {"x": {"low": 0, "high": 9}}, stage=1)
    assert seconds_left(state, 4, {}, 60.0) == 50.0
