"""What a search takes over from the iteration before: parameters to try first, and trials to learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from omegaconf import DictConfig

from hft.errors import ConfigError
from hft.running.search_request import SearchRequest
from hft.running.sweep_place import SweepPlace
from hft.search import Params


@dataclass(frozen=True)
class Past:
    """What a search begins with.

    Args:
        queue: parameters to try first.
        observations: (params, gain) of trials to learn from.
        notes: what could not be looked at.
    """

    queue: list[Params]
    observations: list[tuple[Params, float]]
    notes: tuple[str, ...] = ()


def past_of(config: DictConfig, request: SearchRequest, place: SweepPlace) -> Past:
    """What the search takes over, as `search.reuse` says.

    Args:
        config: of the search.
        request: says how the past is used.
        place: of the search; one that goes on keeps what it began with.

    Raises:
        ConfigError: there is no run to start from.
        DataError: a record of the past is not valid.
    """
    if place.details is not None:
        observations = [(dict(params), float(gain)) for params, gain in place.details.get("observations", ())]
        return Past([dict(params) for params in place.details.get("queue", ())], observations)
    if request.reuse == "none":
        return Past([], [])
    if place.start_from is None:
        raise ConfigError(
            f"search.reuse={request.reuse}: needs a run to start from. Choose iteration=next, or name one: "
            "iteration.start_from=RUN."
        )
    from hft.experiments import find_run
    from hft.experiments.reuse import past_params

    keys = [parameter.key for parameter in request.space.parameters]
    past = past_params(find_run(place.start_from, config.outputs), config.outputs, keys, request.n_top_runs)
    proposed = [past.starting, *past.top]
    if request.reuse == "replay":
        return Past(_distinct(proposed), [], past.notes)
    # What the space of today does not have was not asked for: a warm start stays inside of it.
    inside = [active for params in proposed if request.space.contains(active := request.space.active(params))]
    return Past(_distinct(inside), list(past.observations), past.notes)


def _distinct(sets: Sequence[Params]) -> list[Params]:
    from hft.search import canonical

    return list({canonical(params): params for params in sets}.values())
