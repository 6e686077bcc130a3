from __future__ import annotations

from collections.abc import Callable

from hft.data import FineTuningInputs, seen_in_training


def test_what_training_has_seen_of_each_input(make_inputs: Callable[..., FineTuningInputs]) -> None:
    train = make_inputs([("insidious 2", "abc", [1, 1, 0]), ("up", "cd", [0, 1])])
    test = make_inputs(
        [
            ("Insidious 2 netflix", "abc", [1, 0, 0]),
            ("insidious 3", "bd", [1, 1]),
            ("up", "ac", [1, 1]),
            ("alien", "ab", [0, 0]),
            ("alien", "ab", [1, 0]),
        ],
        judged=[None, None, None, None, {"f": 1.0, "a": 0.0}],
    )
    qualities = seen_in_training(train, test, ["netflix"])
    assert qualities.query_seen.tolist() == [True, False, True, False, False]
    assert seen_in_training(train, test).query_seen.tolist() == [False, False, True, False, False]
    assert qualities.items_seen.tolist() == [True, True, False, False, False]
