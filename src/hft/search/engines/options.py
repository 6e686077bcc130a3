"""What the algorithms of the engines can be told, and whether this search may use them."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from typing import Any

from hft.errors import ConfigError
from hft.search.settings import ALGORITHMS, SearchSettings

DEFAULT_ALGORITHM = "tpe"

# By engine and algorithm: name and kind. Left out: what the engines set themselves (seed), functions, and what the
# libraries will remove.
_TPE = {
    "n_startup_trials": int,
    "n_ei_candidates": int,
    "multivariate": bool,
    "group": bool,
    "constant_liar": bool,
}
_CMAES = {
    "n_startup_trials": int,
    "popsize": int,
    "consider_pruned_trials": bool,
    "use_separable_cma": bool,
    "with_margin": bool,
    "lr_adapt": bool,
}
OPTIONS: dict[str, dict[str, Mapping[str, type]]] = {
    "hyperopt": {
        "tpe": {"prior_weight": float, "n_startup_jobs": int, "n_EI_candidates": int, "gamma": float},
        "random": {},
        "anneal": {"avg_best_idx": float, "shrink_coef": float},
    },
    "optuna": {
        "tpe": _TPE,
        "cmaes": _CMAES,
        "random": {},
        "grid": {},
        "qmc": {"qmc_type": str, "scramble": bool},
        "nsga2": {"population_size": int},
    },
}
# Of the numbers that may not be smaller: CMA-ES learns from the better half of a generation, which one trial is not;
# a mean position is at least the first; a child has two parents.
LEAST: dict[str, float] = {"popsize": 4, "avg_best_idx": 1.0, "population_size": 2}


def nearest(name: str, names: list[str]) -> str:
    """`; nearest: 'x'`, or nothing where no name is like it."""
    close = difflib.get_close_matches(name, names, 1)
    return f"; nearest: {close[0]!r}" if close else ""


def algorithm_of(engine: str, settings: SearchSettings) -> str:
    """The algorithm of a search, by default TPE.

    Raises:
        ConfigError: the engine has no such algorithm.
    """
    algorithm = settings.algorithm or DEFAULT_ALGORITHM
    if algorithm in ALGORITHMS[engine]:
        return algorithm
    other = next((name for name in ALGORITHMS if algorithm in ALGORITHMS[name]), None)
    elsewhere = f"; hydra/sweeper=hft_{other} has it" if other else nearest(algorithm, list(ALGORITHMS[engine]))
    allowed = ", ".join(ALGORITHMS[engine])
    raise ConfigError(f"search.algorithm: found {algorithm!r}; allowed with {engine}: {allowed}{elsewhere}")


def checked_options(engine: str, settings: SearchSettings) -> dict[str, Any]:
    """`search.algorithm_options`, each known to the algorithm and of its kind.

    Raises:
        ConfigError: every one that is not.
    """
    algorithm = algorithm_of(engine, settings)
    allowed = OPTIONS[engine][algorithm]
    problems = []
    for name, value in settings.algorithm_options.items():
        where = f"search.algorithm_options.{name}"
        if name not in allowed:
            names = ", ".join(allowed) or "none"
            problems.append(
                f"{where}: {engine}'s {algorithm} has no such option; allowed: {names}{nearest(name, list(allowed))}"
            )
        elif not _fits(name, value, allowed[name]):
            problems.append(f"{where}: found {value!r}; allowed: {_in_words(name, allowed[name])}")
    if problems:
        raise ConfigError("\n".join(problems))
    return {name: allowed[name](value) for name, value in settings.algorithm_options.items()}


def signs_of(engine: str, algorithm: str, settings: SearchSettings) -> tuple[float, ...]:
    """Factor of each metric that makes lower better.

    Raises:
        ConfigError: several metrics where the algorithm takes one, or not one direction a metric.
    """
    count = len(settings.metric)
    if len(settings.direction) != count:
        raise ConfigError(
            f"search.direction: found {len(settings.direction)} for {count} metrics ({', '.join(settings.metric)}); "
            "allowed: one a metric, maximize or minimize"
        )
    if count > 1 and engine == "hyperopt":
        raise ConfigError(
            f"search.metric: Hyperopt optimises one metric, found {count} ({', '.join(settings.metric)}); "
            "for several use hydra/sweeper=hft_optuna"
        )
    if count > 1 and algorithm == "cmaes":
        raise ConfigError(
            f"search.algorithm: cmaes optimises one metric, found {count} ({', '.join(settings.metric)}); "
            "for several use tpe, nsga2, random, grid or qmc"
        )
    return settings.signs


def _fits(name: str, value: Any, kind: type) -> bool:
    if kind is bool or kind is str:
        return isinstance(value, kind)
    if isinstance(value, bool) or not isinstance(value, int if kind is int else int | float):
        return False
    return bool(math.isfinite(value) and value > 0 and value >= LEAST.get(name, 0))


def _in_words(name: str, kind: type) -> str:
    if kind is bool or kind is str:
        return "true or false" if kind is bool else "a word"
    least = LEAST.get(name, 1 if kind is int else 0)
    return (
        f"a whole number, at least {least}"
        if kind is int
        else f"a number{f', at least {least}' if least else ' above 0'}"
    )
