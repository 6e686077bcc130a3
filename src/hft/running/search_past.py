"""What a search takes over from the iteration before: parameters to try first, and trials to learn from."""

from __future__ import annotations

from collections.abc import Sequence

from omegaconf import DictConfig

from hft.errors import ConfigError
from hft.running.search_request import SearchRequest
from hft.running.sweep_place import SweepPlace
from hft.search import Params


def past_of(
    config: DictConfig, request: SearchRequest, place: SweepPlace
) -> tuple[list[Params], list[tuple[Params, float]]]:
    """The parameters to begin with, and (params, gain) of trials to learn from.

    Args:
        config: of the search.
        request: says how the past is used.
        place: of the search; one that goes on keeps what it began with.

    Raises:
        ConfigError: there is no run to start from.
        DataError: a record of the past is not valid.
    """
    if place.details is not None:
        queue = [dict(params) for params in place.details.get("queue", ())]
        return queue, [(dict(params), float(gain)) for params, gain in place.details.get("observations", ())]
    if request.reuse == "none":
        return [], []
    if place.start_from is None:
        raise ConfigError(
            f"search.reuse={request.reuse}: needs a run to start from. Choose iteration=next, or name one: "
            "iteration.start_from=RUN."
        )
    from hft.experiments import find_run
    from hft.experiments.reuse import past_params

    parent = find_run(place.start_from, config.outputs)
    keys = [parameter.key for parameter in request.space.parameters]
    past = past_params(parent, config.outputs, keys, request.n_top_runs)
    proposed = [past.starting, *past.top]
    if request.reuse == "replay":
        return _distinct(proposed), []
    # What the space of today does not have was not asked for: a warm start stays inside of it.
    inside = [active for params in proposed if request.space.contains(active := request.space.active(params))]
    return _distinct(inside), list(past.observations)


def _distinct(sets: Sequence[Params]) -> list[Params]:
    from hft.search import canonical

    return list({canonical(params): params for params in sets}.values())
