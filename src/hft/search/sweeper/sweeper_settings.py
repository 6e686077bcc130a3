"""The options of `hydra.sweeper.*` as settings of a search."""

from __future__ import annotations

from typing import Any

from hft.errors import ConfigError
from hft.search.settings import ALGORITHMS, EngineName, SearchSettings
from hft.search.spaces.problems import closest

# Of what is neither a number nor a word.
_FORMS = {
    "algorithm_options": "a mapping, as in {n_startup_trials: 5}",
    "pruner": "median, asha or hyperband; with options {kind: asha, min_reports: 2}",
    "stages": "a list, as in [{max_evals: 20}, {max_evals: 10, around_best: 0.5}]",
}
_NO_SUCH_FORM = ("dict_type", "model_type", "tuple_type")


def search_settings(options: dict[str, Any], engine: EngineName, where: str = "hydra.sweeper") -> SearchSettings:
    """Settings from plain options.

    Args:
        options: fields of SearchSettings; `metric` and `direction` as strings or lists, of which one direction is that
            of every metric. None: as by default.
        engine: who is to search.
        where: config key of the options, for errors.

    Raises:
        ConfigError: an option is not right, with its key, what was found and what is allowed.
    """
    from pydantic import ValidationError

    values = {key: value for key, value in options.items() if value is not None}
    values["metric"] = metrics = _listed(values.get("metric", "value"))
    directions = _listed(values.get("direction", "minimize"))
    if isinstance(values.get("pruner"), str):
        values["pruner"] = {"kind": values["pruner"]}
    values["direction"] = directions * len(metrics) if len(directions) == 1 else directions
    try:
        settings = SearchSettings.model_validate(values)
    except ValidationError as error:
        raise ConfigError("\n".join(_told(problem, where) for problem in error.errors())) from error
    if len(metrics) > 1 and engine == "hyperopt":
        raise ConfigError(
            f"{where}.metric: found {len(metrics)} metrics, and Hyperopt searches by one; for several: "
            "hydra/sweeper=hft_optuna"
        )
    if settings.algorithm is not None and settings.algorithm not in ALGORITHMS[engine]:
        near = closest(settings.algorithm, ALGORITHMS[engine])
        hint = f" (did you mean {near}?)" if near else ""
        raise ConfigError(
            f"{where}.algorithm: found {settings.algorithm!r}; allowed with hft_{engine}: "
            f"{', '.join(ALGORITHMS[engine])}{hint}"
        )
    return settings


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _told(problem: Any, node: str) -> str:
    where = ".".join(str(part) for part in problem["loc"])
    if where in _FORMS and problem["type"] in _NO_SUCH_FORM:
        return f"{node}.{where}: found {problem['input']!r}; expected: {_FORMS[where]}"
    return f"{node}.{where}: {problem['msg']}; found {problem['input']!r}"
