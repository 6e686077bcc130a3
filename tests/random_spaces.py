"""Random search spaces for property tests: every kind of parameter, chains of conditions, several at once."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from hft.search.spaces.space import SearchSpace

CHOICES: list[list[Any]] = [
    ["a", "b"],
    [None, "x=y,z", [1, 2], [1, 3]],
    [True, False],
    [1e-4, 3e-4, 0.001],
    [0],
    ["it's", 'a "word"', "", " "],
]


@st.composite
def numbers(draw: st.DrawFn) -> dict[str, Any]:
    """A spec of a number, as it stands in YAML."""
    kind = draw(st.sampled_from(["uniform", "log", "integer", "integer log", "quantised", "log steps", "normal"]))
    low = draw(st.sampled_from([0.001, 0.1, 0.37, 1.0, 25.0]))
    width = draw(st.sampled_from([0.001, 0.3, 1.0, 7.5, 1000.0]))
    step = draw(st.sampled_from([0.1, 0.05, 0.007, 3.0]))
    whole = draw(st.integers(1, 9))
    span = draw(st.integers(0, 40))
    step = min(step, width / 2)
    return {
        "uniform": {"low": -low, "high": -low + width},
        "log": {"low": low, "high": low + width, "log": True},
        "integer": {
            "low": whole - 5,
            "high": whole - 4 + span,
            "integer": True,
            "step": draw(st.integers(1, max(1, min(span, 5)))),
        },
        "integer log": {"low": whole, "high": whole + span, "integer": True, "log": True},
        "quantised": {"low": low, "high": low + width, "step": step},
        "log steps": {"low": low, "high": low + width, "step": step, "log": True},
        "normal": {"mean": low, "std": width, **draw(st.sampled_from([{}, {"log": True}, {"step": step}]))},
    }[kind]


@st.composite
def spaces(draw: st.DrawFn, *, conditions: bool = True) -> SearchSpace:
    """A space of two to seven parameters; a later one may be conditional on some of the choices before it."""
    mapping: dict[str, Any] = {"first": draw(numbers()), "second": draw(numbers())}
    choices: dict[str, list[Any]] = {}
    for position in range(draw(st.integers(0, 5))):
        key = f"group.p{position}"
        values = draw(st.sampled_from(CHOICES))
        is_choice = draw(st.booleans())
        node: dict[str, Any] = {"choices": values} if is_choice else draw(numbers())
        parents = draw(st.lists(st.sampled_from(sorted(choices)), unique=True, max_size=2)) if choices else []
        if conditions and parents:
            node["when"] = {
                parent: draw(
                    st.lists(st.sampled_from(choices[parent]), min_size=1, unique_by=repr).map(list),
                )
                for parent in parents
            }
        mapping[key] = node
        if is_choice:
            choices[key] = values
    return SearchSpace.parse(mapping)
