"""Parameter sets as the engines hold them: a position on an axis for each active parameter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hft.search.engines.coordinates import Axis, axis_of
from hft.search.spaces.identity import same_value
from hft.search.spaces.space import SearchSpace
from hft.search.specs import Parameter, Params


def is_active(parameter: Parameter, params: Mapping[str, Any]) -> bool:
    """Whether the parameters so far, its parents among them, meet its condition."""
    return all(
        parent in params and any(same_value(params[parent], value) for value in wanted)
        for parent, wanted in parameter.when.items()
    )


class Encoding:
    """The axes of a space.

    Attributes:
        axes: by key, in the order of the space.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self.axes: dict[str, Axis] = {parameter.key: axis_of(parameter.spec) for parameter in space.parameters}

    def positions(self, params: Mapping[str, Any]) -> dict[str, float]:
        """Positions of the values that this space can hold.

        Left out, so that an algorithm learns nothing from them: keys of another space, values outside of theirs, and
        parameters whose condition does not hold here.
        """
        kept: dict[str, Any] = {}
        positions: dict[str, float] = {}
        for parameter in self._space.parameters:
            key = parameter.key
            if key not in params or not is_active(parameter, kept):
                continue
            position = self.axes[key].encode(params[key])
            if position is not None:
                kept[key], positions[key] = params[key], position
        return positions

    def params(self, positions: Mapping[str, float]) -> Params:
        """Values at positions, in the order of the space."""
        return {key: axis.decode(positions[key]) for key, axis in self.axes.items() if key in positions}
