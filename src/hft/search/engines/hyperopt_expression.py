"""A search space as a Hyperopt expression, in which a conditional parameter hangs from its parents' choices."""

from __future__ import annotations

from typing import Any

from hyperopt.pyll import scope

from hft.search.engines.coordinates import Axis, IndexAxis, IntervalAxis, StepAxis
from hft.search.engines.encoding import Encoding
from hft.search.spaces.identity import same_value
from hft.search.spaces.space import SearchSpace
from hft.search.specs import Parameter


def expression_of(space: SearchSpace, encoding: Encoding) -> Any:
    """The expression, a mapping of keys to positions on their axes.

    A choice's position switches between its children and nothing. Where a child has several parents, the switches
    are nested, and a parent that is conditional itself brings its own switches along: so every position is drawn if
    and only if the parameter is active. A node may hang from several branches and stays one parameter.
    """
    nodes = {key: scope.hyperopt_param(key, _distribution(axis)) for key, axis in encoding.axes.items()}
    branches = {parameter.key: _conditions(space, parameter) for parameter in space.parameters}
    expression = {}
    for parameter in space.parameters:
        branch: Any = nodes[parameter.key]
        for parent, wanted in reversed(branches[parameter.key].items()):
            axis = encoding.axes[parent]
            if not isinstance(axis, IndexAxis):
                raise TypeError(f"{parameter.key} is conditional on {parent}, which is no choice")
            options = [branch if _is_any(value, wanted) else None for value in axis.values]
            branch = scope.switch(nodes[parent], *options)
        expression[parameter.key] = branch
    return expression


def _conditions(space: SearchSpace, parameter: Parameter) -> dict[str, tuple[Any, ...]]:
    """Conditions of a parameter and of all its ancestors, outermost first."""
    conditions: dict[str, tuple[Any, ...]] = {}
    for parent, wanted in parameter.when.items():
        for ancestor, of_ancestor in _conditions(space, space[parent]).items():
            known = conditions.get(ancestor, of_ancestor)
            conditions[ancestor] = tuple(value for value in known if _is_any(value, of_ancestor))
        known = conditions.get(parent, wanted)
        conditions[parent] = tuple(value for value in known if _is_any(value, wanted))
    order = [parameter.key for parameter in space.parameters if parameter.key in conditions]
    return {key: conditions[key] for key in order}


def _distribution(axis: Axis) -> Any:
    if isinstance(axis, IndexAxis):
        return scope.randint(axis.count)
    if isinstance(axis, StepAxis):
        # Half a step beyond both ends, so that rounding gives the outermost values their share.
        return scope.quniform(-0.5, axis.count - 0.5, 1.0)
    if isinstance(axis, IntervalAxis):
        return scope.uniform(*axis.ends)
    return scope.normal(axis.mean, axis.std)


def _is_any(value: Any, values: tuple[Any, ...]) -> bool:
    return any(same_value(value, other) for other in values)
