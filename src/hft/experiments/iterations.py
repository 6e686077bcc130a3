"""Which iteration a config means, and from which run it starts. The runs say what iterations there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hft.errors import ConfigError, RunNotFoundError
from hft.experiments.find import find_run
from hft.experiments.iteration_records import (
    Iteration,
    batch_of,
    best_of,
    is_measured_on_test,
    iterations,
    read_records,
    sign_of,
    validation_value,
)
from hft.experiments.run_model import has_model, require_model
from hft.experiments.run_record import RunRecord
from hft.experiments.store import TrackingError

__all__ = [
    "AUTO",
    "INITIAL",
    "Iteration",
    "ResolvedIteration",
    "best_of",
    "has_model",
    "is_measured_on_test",
    "iterations",
    "read_records",
    "resolve_iteration",
    "sign_of",
    "validation_value",
]

INITIAL = "initial"
AUTO = "auto"


@dataclass(frozen=True)
class ResolvedIteration:
    """Which iteration a config means.

    Args:
        name: of the iteration.
        start_from: id of the run whose model it starts from; None: the model of the config.
        parent: that run.
        why: why it is this run, and this iteration, in words; empty where nothing had to be decided.
    """

    name: str
    start_from: str | None
    parent: RunRecord | None
    why: str = field(default="", compare=False)


def resolve_iteration(config: Mapping[str, Any]) -> ResolvedIteration:
    """Decides `iteration.start_from=auto` and `iteration.name=null`. Reads records only; imports no torch.

    `auto` is, in this order:

    1. where `data.batch_id` names a batch that an iteration of this method was started on before, or `iteration.name`
       an iteration with a parent: that iteration's parent. So the same command goes on with the same iteration.
    2. the champion of the method.
    3. the best run, by its main metric on validation, of the last finished iteration of the method: of those with a run
       that was measured on test the deepest in the chain of parents, and of equally deep ones the one begun last. Runs
       that failed, were pruned or kept no model are no candidates.

    A name of null is the number after the parent's (initial -> 1 -> 2); numbers that are taken by an iteration of
    another parent or batch, or by a finished one of no named batch, are passed over.

    Args:
        config: composed, with `iteration`, `method`, `data`, `outputs` and `tracking`.

    Raises:
        RunNotFoundError: no such run, none to start from, or its model is gone.
        ConfigError: `iteration.start_from` is a run of another method, or neither it nor a name is given.
        TrackingError: the champion cannot be asked for.
    """
    asked = config.get("iteration") or {"name": INITIAL}
    name, start_from = asked.get("name"), asked.get("start_from")
    name = None if name is None else str(name)
    if start_from is None:
        if name is None:
            raise ConfigError(
                "iteration.name and iteration.start_from: both are null, so that nothing says which iteration this is. "
                f"Give the run to start from (iteration.start_from=RUN, or {AUTO}), or a name to start from the "
                f"initial model (iteration=initial, or iteration.name={INITIAL})."
            )
        return ResolvedIteration(name, None, None)
    outputs, method = str(config.get("outputs") or "outputs"), _method_of(config)
    known = iterations(read_records(outputs), method)
    batch = (config.get("data") or {}).get("batch_id")
    if str(start_from) == AUTO:
        parent, why = _automatic_parent(config, known, name, batch)
    else:
        parent, why = find_run(str(start_from), outputs), ""
    _require_usable(parent, method, outputs)
    if name is None:
        name = _next_name(parent, known, batch)
        if "goes on" not in why and any(one.name == name for one in known):
            goes_on = f"iteration {name} was begun from this run before{_on_batch(batch)}: it goes on"
            why = "; ".join(filter(None, (why, goes_on)))
    return ResolvedIteration(name, parent.run_id, parent, why)


def _automatic_parent(
    config: Mapping[str, Any], known: list[Iteration], name: str | None, batch: str | int | None
) -> tuple[RunRecord, str]:
    """The run to start from, and why it is that one, in words."""
    outputs, method = str(config.get("outputs") or "outputs"), _method_of(config)
    again = _same_again(known, name, batch)
    if again is not None and again.parent is not None:
        begun = f"iteration {name} was begun" if name else f"batch {batch} was begun as iteration {again.name}"
        return find_run(again.parent, outputs), f"{begun} before: it goes on"
    champion = _champion(config, method, outputs)
    if champion is not None:
        return champion, "the champion"
    finished = [one for one in known if one.name != name and one.is_finished and one.best() is not None]
    if finished:
        last = max(finished, key=lambda one: (one.depth, one.begun))
        best = last.best()
        assert best is not None
        data = f" on batch {batch_of(best)}" if len(last.on_each_data()) > 1 and batch_of(best) is not None else ""
        return best, f"best of the last finished iteration {last.name}{data}"
    raise RunNotFoundError(
        f"iteration.start_from={AUTO}: the method {method!r} has no champion, and no finished iteration under "
        f"{outputs} whose best run could be started from. Make the first one with `hft train -m`, or name a run "
        "(iteration.start_from=RUN)."
    )


def _champion(config: Mapping[str, Any], method: str, outputs: str) -> RunRecord | None:
    from hft.experiments.champions import champion_of

    tracking = config.get("tracking") or {}
    uri = str(tracking["uri"]) if tracking.get("kind") == "mlflow" and tracking.get("uri") else None
    try:
        return champion_of(method, outputs, uri)
    except TrackingError as error:
        leave_out = "leave the store out (tracking=csv), or " if uri is not None else ""
        raise TrackingError(
            f"iteration.start_from={AUTO}: nobody can say which run is the champion of {method!r}: {error} "
            f"Name the run to start from (iteration.start_from=RUN; `hft runs` lists them), {leave_out}give the "
            "address of a store that answers (tracking.uri=...)."
        ) from error


def _same_again(known: list[Iteration], name: str | None, batch: str | int | None) -> Iteration | None:
    """The iteration that a name or, without one, a batch means, if it was started from another run before."""
    started = [one for one in known if one.parent is not None]
    if name is not None:
        return next((one for one in started if one.name == name), None)
    if batch is None:
        return None
    return max((one for one in started if _batch_is(one, batch)), key=lambda one: (one.depth, one.begun), default=None)


def _next_name(parent: RunRecord, known: list[Iteration], batch: str | int | None) -> str:
    depths = {one.name: one.depth for one in known}
    before = parent.iteration
    number = int(before) if before.isdecimal() else depths.get(before, 0)
    taken = {one.name: one for one in known}
    while True:
        number += 1
        one = taken.get(str(number))
        if one is None or (one.parent == parent.run_id and _goes_on(one, batch)):
            return str(number)


def _goes_on(one: Iteration, batch: str | int | None) -> bool:
    """Whether runs on this batch belong to the iteration."""
    return _batch_is(one, batch) and (batch is not None or not one.is_finished)


def _batch_is(one: Iteration, batch: str | int | None) -> bool:
    return any(str(known) == str(batch) for known in one.batches)


def _require_usable(parent: RunRecord, method: str, outputs: str) -> None:
    if parent.method != method:
        raise ConfigError(
            f"iteration.start_from: the run {parent.run_id[:8]} ({parent.folder}) is of the method {parent.method!r}, "
            f"and this is an iteration of {method!r}. Start from a run of {method!r}; `hft runs` lists them."
        )
    try:
        require_model(parent, outputs)
    except RunNotFoundError as error:
        raise RunNotFoundError(f"iteration.start_from: {error}") from error


def _on_batch(batch: str | int | None) -> str:
    return "" if batch is None else f" on batch {batch}"


def _method_of(config: Mapping[str, Any]) -> str:
    return str(((config.get("method") or {}).get("meta") or {}).get("name") or "?")
