"""Sweeps as they stand, made by hand: no engine and no launcher is needed to look at results."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hft.search.hooks import SweepState
from hft.search.settings import SearchSettings
from hft.search.spaces.space import SearchSpace
from hft.search.trial import Trial

MIXED_SPACE: dict[str, Any] = {
    "params.items_lr": {"low": 1e-6, "high": 1e-2, "log": True},
    "params.num_fixed_layers": {"low": 0, "high": 6, "integer": True},
    "loss": ["infonce", "prob_margin"],
    "params.margin": {"low": 0.01, "high": 0.05, "when": {"loss": "prob_margin"}},
    "optimizer": ["adamw", "sgd", None],
    "params.examples_order": [[11], [1, 2, 11], "a string, with = and 'quotes'"],
}


def sweep_state(
    folder: Path, trials: Sequence[Trial], space: Mapping[str, Any] | None = None, **changes: Any
) -> SweepState:
    """The state of a sweep with these trials; best and front are what the loop would find.

    Args:
        folder: of the sweep.
        trials: by number.
        space: in the grammar of conf/search; None: MIXED_SPACE.
        changes: of the settings, or `ended`, `elapsed`, `stage`, `is_search` of the state.
    """
    of_state = {name: changes.pop(name) for name in ("ended", "elapsed", "stage", "is_search") if name in changes}
    settings = SearchSettings(**{"metric": ("ndcg@10",), "direction": ("maximize",), **changes})
    stage = max((trial.stage for trial in trials if trial.state == "done"), default=0)
    done = [trial for trial in trials if trial.state == "done" and trial.values and trial.stage == stage]
    costs = {t.number: [s * v for s, v in zip(settings.signs, t.values, strict=True)] for t in done}
    front = [t for t in done if not any(_beats(costs[other.number], costs[t.number]) for other in done)]
    if len(settings.metric) == 1:
        front = front[:1]
    return SweepState(
        folder=folder,
        space=SearchSpace.parse(MIXED_SPACE if space is None else space),
        settings=settings,
        trials=tuple(trials),
        best=front[0] if front else None,
        front=tuple(front),
        **{"elapsed": sum(trial.seconds for trial in trials), **of_state},
    )


def mixed_trials(count: int = 30, n_metrics: int = 1, *, seed: int = 0) -> list[Trial]:
    """Trials over MIXED_SPACE: mostly done, some pruned, some failed, one from the record, one hopeless."""
    draw = random.Random(seed)
    trials = []
    for number in range(count):
        params = mixed_params(draw)
        value = 0.55 - 0.03 * abs(math.log10(params["params.items_lr"]) + 4) + draw.gauss(0, 0.006)
        value += 0.02 if params["loss"] == "prob_margin" else 0.0
        value -= 0.4 if number == 5 else 0.0
        values = (value, 90 - 60 * value + 8 * params["params.num_fixed_layers"])[:n_metrics]
        state = "failed" if number % 11 == 4 else "pruned" if number % 5 == 3 else "done"
        trials.append(
            Trial(
                number=number,
                params=params,
                state=state,  # type: ignore[arg-type]
                values=() if state == "failed" else tuple(values),
                reason={"failed": f"ValueError: batch {number} is not finite", "pruned": "worse than the median"}.get(
                    state
                ),
                known_from="run 12f1bffb" if number == 7 else None,
                folder=str(number),
                started="2026-11-21T07:44:03+00:00",
                seconds=40.0 + number % 7,
                source="enqueued" if number == 0 else "engine",
            )
        )
    return trials


def mixed_params(draw: random.Random) -> dict[str, Any]:
    """A point of MIXED_SPACE."""
    params: dict[str, Any] = {
        "params.items_lr": 10 ** draw.uniform(-6, -2),
        "params.num_fixed_layers": draw.randint(0, 6),
        "loss": draw.choice(["infonce", "prob_margin"]),
    }
    if params["loss"] == "prob_margin":
        params["params.margin"] = draw.uniform(0.01, 0.05)
    params["optimizer"] = draw.choice(["adamw", "sgd", None])
    params["params.examples_order"] = draw.choice(MIXED_SPACE["params.examples_order"])
    return params


def _beats(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True)) and list(one) != list(other)
