"""Which trials are stopped: cases worked out by hand, and a simulation of what it saves."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from hft.search import PrunerSettings
from hft.search.pruning.pruners import Reports, bracket_of, first_rung, is_rung, n_brackets, verdict


def reports(number: int, *values: float | None, state: str = "done") -> Reports:
    """Reports at steps 1, 2, ...; None is a report without a value."""
    found = {step: value for step, value in enumerate(values, start=1) if value is not None}
    return Reports(number, state, found, len(values))


def is_stopped(kind: str, own: Reports, siblings: list[Reports], sign: float = 1.0, **options: Any) -> bool:
    return verdict(PrunerSettings(kind=kind, **options), own, siblings, sign) is not None


FIVE = [reports(number, value, value / 2) for number, value in enumerate([1.0, 2.0, 3.0, 4.0, 5.0])]


@pytest.mark.parametrize(
    ("values", "stopped"),
    [
        ([3.0], False),  # the median itself
        ([3.1], True),
        ([9.0, 1.5], False),  # the median of the second reports is 1.5
        ([9.0, 1.6], True),
        ([1.0, 99.0], False),  # its best so far counts
    ],
)
def test_median_stops_what_is_worse_than_the_middle_at_the_same_step(values, stopped):
    assert is_stopped("median", reports(9, *values, state="running"), FIVE) is stopped


def test_median_turns_round_where_higher_is_better():
    assert is_stopped("median", reports(9, 2.9), FIVE, sign=-1.0)
    assert not is_stopped("median", reports(9, 3.1), FIVE, sign=-1.0)


def test_median_waits_for_finished_trials_and_for_reports():
    hopeless = reports(9, 99.0)
    assert not is_stopped("median", hopeless, FIVE[:4])
    assert is_stopped("median", hopeless, FIVE[:4], min_trials=4)
    assert not is_stopped("median", hopeless, FIVE, min_reports=2)
    assert is_stopped("median", reports(9, 99.0, 99.0), FIVE, min_reports=2)


@pytest.mark.parametrize("state", ["running", "pruned", "failed"])
def test_median_looks_at_finished_trials_only(state):
    unfinished = [reports(number, 1.0, state=state) for number in range(5)]
    assert not is_stopped("median", reports(9, 99.0), unfinished)


def test_a_report_without_a_value_is_compared_with_nothing():
    silent = [reports(number, None, None) for number in range(9)]
    assert not is_stopped("median", reports(9, 99.0), silent)
    assert not is_stopped("median", reports(9, None), FIVE)
    assert not is_stopped("asha", reports(9, 99.0), silent)


@pytest.mark.parametrize(
    ("own", "others", "stopped"),
    [
        (5.0, [], False),
        (5.0, [1.0], False),  # two at the rung: too few for thirds
        (5.0, [1.0, 2.0], True),  # three: one goes on
        (1.5, [1.0, 2.0], True),
        (0.5, [1.0, 2.0], False),
        (1.0, [1.0, 2.0], False),  # as good as the best
        (1.5, [1.0, 2.0, 3.0, 4.0, 5.0], False),  # six: two go on
        (2.5, [1.0, 2.0, 3.0, 4.0, 5.0], True),
    ],
)
def test_halving_lets_the_best_third_at_a_rung_go_on(own, others, stopped):
    siblings = [reports(number, value, state="pruned") for number, value in enumerate(others)]
    assert is_stopped("asha", reports(9, own), siblings) is stopped


def test_halving_judges_at_rungs_alone():
    siblings = [reports(number, *[1.0] * 9) for number in range(5)]
    stopped = [count for count in range(1, 10) if is_stopped("asha", reports(9, *[5.0] * count), siblings)]
    assert stopped == [1, 3, 9]
    stopped = [c for c in range(1, 10) if is_stopped("asha", reports(9, *[5.0] * c), siblings, min_reports=2)]
    assert stopped == [2, 6]


def test_halving_ignores_failed_trials_and_those_that_did_not_get_there():
    failed = [reports(number, 1.0, state="failed") for number in range(5)]
    assert not is_stopped("asha", reports(9, 5.0), failed)
    short = [reports(number, 1.0, state="pruned") for number in range(5)]
    assert not is_stopped("asha", reports(9, 5.0, 5.0, 5.0), short)


def test_rungs():
    assert [report for report in range(1, 30) if is_rung(report, 1, 3)] == [1, 3, 9, 27]
    assert [report for report in range(1, 30) if is_rung(report, 4, 2)] == [4, 8, 16]


def test_hyperband_has_brackets_that_begin_at_different_rungs():
    pruner = PrunerSettings(kind="hyperband", max_reports=9)
    assert n_brackets(pruner) == 3
    assert [first_rung(pruner, bracket) for bracket in range(3)] == [9, 3, 1]
    # ceil(3/1), ceil(3/2 * 3), ceil(3/3 * 9) trials a round
    assert Counter(bracket_of(pruner, number) for number in range(17)) == {0: 3, 1: 5, 2: 9}
    assert {bracket_of(pruner, number) for number in range(4)} == {0, 1, 2}
    assert [bracket_of(pruner, number) for number in range(34)][17:] == [bracket_of(pruner, n) for n in range(17)]


def test_hyperband_compares_within_a_bracket():
    pruner = {"max_reports": 9}
    settings = PrunerSettings(kind="hyperband", **pruner)
    early = [number for number in range(34) if bracket_of(settings, number) == 2]
    late = [number for number in range(34) if bracket_of(settings, number) == 0]
    others = [reports(number, 1.0) for number in early[1:]]
    assert is_stopped("hyperband", reports(early[0], 5.0), others, **pruner)
    assert not is_stopped("hyperband", reports(late[0], 5.0), others, **pruner)
    assert not is_stopped("hyperband", reports(early[0], 5.0), [reports(n, 1.0) for n in late], **pruner)


@pytest.mark.parametrize(("kind", "saved"), [("median", 0.5), ("asha", 0.8), ("hyperband", 0.5)])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_where_the_order_never_changes_hopeless_trials_are_cut_short_and_the_best_never(kind, saved, sign):
    """80 trials of 27 reports each; the order of their curves is the same at every step."""
    draw = random.Random(0)
    goals = [draw.random() for _ in range(80)]
    pruner = PrunerSettings(kind=kind, max_reports=27)
    ended: list[Reports] = []
    best_so_far = min(goals)
    made = []
    for number, goal in enumerate(goals):
        curve: dict[int, float] = {}
        state = "done"
        for step in range(1, 28):
            curve[step] = sign * (goal + 1 / step)
            if verdict(pruner, Reports(number, "running", curve, step), ended, sign) is not None:
                state = "pruned"
                break
        ended.append(Reports(number, state, curve, len(curve)))
        made.append((goal, len(curve), state))
    hopeless = [count for goal, count, _ in made if goal > 0.5]
    assert all(state == "done" for goal, _, state in made if goal == best_so_far)
    assert 1 - sum(hopeless) / (27 * len(hopeless)) >= saved
