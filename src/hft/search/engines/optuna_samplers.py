"""Optuna's samplers over our axes, told in advance which parameters they can move together."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, CmaEsSampler, NSGAIISampler, QMCSampler, RandomSampler, TPESampler

from hft.errors import ConfigError
from hft.search.engines.coordinates import IndexAxis
from hft.search.engines.encoding import Encoding
from hft.search.engines.optuna_axes import distribution_of
from hft.search.spaces.space import SearchSpace

Distributions = dict[str, BaseDistribution]

# CMA-ES adapts a covariance: of one number there is none.
CMAES_PARAMETERS = 2


class _FixedSpaceCmaEs(CmaEsSampler):
    """CMA-ES over parameters named in advance, whatever the first trials happened to hold."""

    def __init__(self, together: Distributions, **options: Any) -> None:
        super().__init__(**options)
        self._together = together

    def infer_relative_search_space(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> Distributions:
        return dict(self._together)


class _FixedSpaceQmc(QMCSampler):
    """A low-discrepancy sequence over all parameters; a trial takes the coordinates of those that are active."""

    def __init__(self, together: Distributions, **options: Any) -> None:
        super().__init__(**options)
        self._together = together

    def infer_relative_search_space(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> Distributions:
        return dict(self._together)


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Without Optuna's log lines and its warnings of what it calls experimental; the caller's level comes back."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"optuna|hft\.search\.engines")
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)


def make_sampler(
    algorithm: str, options: Mapping[str, Any], space: SearchSpace, encoding: Encoding, metrics: int, seed: int
) -> BaseSampler:
    """The sampler of an algorithm.

    Args:
        algorithm: tpe, cmaes, random, qmc or nsga2.
        options: checked; of the sampler's constructor.
        space, encoding: what is sampled.
        metrics: how many.
        seed: of this sampler, 32 bits.

    Raises:
        ConfigError: the space is not for the algorithm, or the sampler does not take these options together.
    """
    try:
        if algorithm == "random":
            return RandomSampler(seed=seed)
        if algorithm == "nsga2":
            return NSGAIISampler(seed=seed, **options)
        if algorithm == "cmaes":
            return _FixedSpaceCmaEs(
                _numbers_that_are_always_there(space, encoding),
                seed=seed,
                warn_independent_sampling=False,
                **options,
            )
        together = {key: distribution_of(axis) for key, axis in encoding.axes.items()}
        if algorithm == "qmc":
            scrambled = {"scramble": True, **options}
            return _FixedSpaceQmc(together, seed=seed, warn_independent_sampling=False, **scrambled)
        is_conditional = any(parameter.when for parameter in space.parameters)
        # One density over all parameters needs all of them in every trial; where some are conditional, a density a
        # group of parameters that come and go together.
        grouped = {"multivariate": True, "group": True} if is_conditional and metrics == 1 else {}
        return TPESampler(seed=seed, **_without_contradiction({**grouped, **options}, options))
    except ValueError as error:
        raise ConfigError(
            f"search.algorithm_options: Optuna's {algorithm} does not take {dict(options)}: {error}"
        ) from error


def _without_contradiction(wanted: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """A user's `multivariate: false` means that there are no groups."""
    if given.get("multivariate") is False and "group" not in given:
        return {**wanted, "group": False}
    if given.get("group") is True and "multivariate" not in given:
        return {**wanted, "multivariate": True}
    return wanted


def _numbers_that_are_always_there(space: SearchSpace, encoding: Encoding) -> Distributions:
    conditional = {parameter.key for parameter in space.parameters if parameter.when}
    numbers = {
        key: distribution_of(axis)
        for key, axis in encoding.axes.items()
        if key not in conditional and not isinstance(axis, IndexAxis)
    }
    if len(numbers) < CMAES_PARAMETERS:
        found = ", ".join(numbers) or "none"
        raise ConfigError(
            "search.algorithm: cmaes moves numbers that every trial has, at least two; "
            f"this space has {len(numbers)} ({found}); choose search.algorithm=tpe"
        )
    return numbers
