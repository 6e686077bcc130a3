"""Past trials to learn from, as every engine takes them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hft.errors import ConfigError
from hft.search.engines.encoding import Encoding
from hft.search.specs import Params

# By engine: algorithms that look at what was tried before they began.
LEARNING = {"hyperopt": ("tpe", "anneal"), "optuna": ("tpe",)}


@dataclass(frozen=True)
class PastTrial:
    """A trial of an earlier iteration.

    Args:
        positions: of what it shares with the present space.
        loss: minus the gain; compares with other past losses only.
    """

    positions: dict[str, float]
    loss: float


def past_trials(
    engine: str, algorithm: str, metrics: int, encoding: Encoding, observations: Sequence[tuple[Params, float]]
) -> list[PastTrial]:
    """Observations that say something about the present space.

    Of each the values that the space can hold are kept (see `Encoding.positions`); one without any, and one whose
    gain is not finite, is left out.

    Raises:
        ConfigError: the algorithm cannot learn from them, or the search has several metrics.
    """
    if algorithm not in LEARNING[engine]:
        able = "; ".join(f"{', '.join(names)} of {name}" for name, names in LEARNING.items())
        raise ConfigError(
            f"search.algorithm: {engine}'s {algorithm} cannot learn from past trials (search.reuse=warm_start); "
            f"allowed: {able}; or search.reuse=none or replay"
        )
    if metrics > 1:
        raise ConfigError(
            f"search.metric: past trials are ranked by one gain (search.reuse=warm_start), found {metrics} metrics; "
            "use search.reuse=replay or none"
        )
    encoded = [(encoding.positions(params), gain) for params, gain in observations if math.isfinite(gain)]
    return [PastTrial(positions, -gain) for positions, gain in encoded if positions]
