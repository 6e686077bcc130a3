"""Whether the keys of a space are keys of the app's config, found out before the first trial."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from hft.search.spaces.overrides import override_lines
from hft.search.spaces.problems import Problem, closest, space_error
from hft.search.specs import Choice, Integer, Normal, Parameter, Params, Uniform

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader
    from omegaconf import DictConfig

    from hft.search.spaces.space import SearchSpace

_WHOLE = "for whole numbers: int(interval(..)) on the command line, integer: true in a file"


def check_keys(loader: ConfigLoader, config: DictConfig, space: SearchSpace, fixed: Sequence[str]) -> None:
    """Compose the config once with each parameter, under a condition in which it exists.

    Args:
        loader: Hydra's.
        config: of the sweep.
        space: of the search.
        fixed: overrides of every trial.

    Raises:
        ConfigError: every key that the config does not have, or that does not take its first value, with the key that
            is spelt most like it; and every value of a group that is no option of it.
        HydraException: the config cannot be composed with the fixed overrides.
    """
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    loader.load_sweep_config(config, list(fixed))
    problems: list[Problem] = []
    for parameter in space.parameters:
        problems += _unknown_options(loader, parameter)
        if problems and problems[-1].key == parameter.key:
            continue
        lines = [*fixed, *override_lines(_example(space, parameter))]
        try:
            loader.load_sweep_config(config, lines)
        except (HydraException, OmegaConfBaseException) as error:
            problems.append(_problem(loader, config, parameter, error))
    if problems:
        raise space_error("hydra.sweeper.space", problems)


def real_for_whole(config: DictConfig, space: SearchSpace) -> list[str]:
    """A line for each whole number of the config that is searched as a real one, from whole number to whole number."""
    from omegaconf import OmegaConf

    lines = []
    for key, spec in ((parameter.key, parameter.spec) for parameter in space.parameters):
        if not isinstance(spec, Uniform) or spec.step is not None or spec.high - spec.low <= 1:
            continue
        if spec.low.is_integer() and spec.high.is_integer() and type(OmegaConf.select(config, key)) is int:
            lines.append(f"{key}: is a whole number in the config and is searched as a real one; {_WHOLE}")
    return lines


def _example(space: SearchSpace, parameter: Parameter) -> Params:
    """The first value of a parameter, with values of its parents under which it exists."""
    params: Params = {}
    for parent, wanted in parameter.when.items():
        params |= _example(space, space[parent]) | {parent: wanted[0]}
    return params | {parameter.key: _first(parameter)}


def _first(parameter: Parameter) -> Any:
    match parameter.spec:
        case Choice(values=values):
            return values[0]
        case Uniform(low=low) | Integer(low=low):
            return low
        case Normal(mean=mean):
            return mean


def _unknown_options(loader: ConfigLoader, parameter: Parameter) -> Iterator[Problem]:
    options = loader.get_group_options(_group(parameter.key))
    if not options or not isinstance(parameter.spec, Choice):
        return
    for value in parameter.spec.values:
        if isinstance(value, str) and value not in options:
            near = closest(value, options)
            advice = f"did you mean {near}?" if near else None
            yield Problem(parameter.key, f"found {value}", f"{', '.join(options)}", advice)


def _problem(loader: ConfigLoader, config: DictConfig, parameter: Parameter, error: Exception) -> Problem:
    from omegaconf import OmegaConf

    bare = parameter.key.lstrip("+")
    plain = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    known = set(_keys(OmegaConf.to_container(plain, resolve=False)))
    if bare in known or parameter.key.startswith("+"):
        cause = error.__cause__ or error
        is_whole = isinstance(parameter.spec, Uniform) and "to Integer" in str(cause)
        advice = _WHOLE if is_whole else None
        found = f"found {_first(parameter)!r}, which does not compose: {_line(cause)}"
        return Problem(parameter.key, found, advice=advice)
    near = closest(bare, known)
    advice = f"did you mean {near}?" if near else f"to add it to the config: +{bare}"
    return Problem(parameter.key, "is no key of the config", advice=advice)


def _keys(node: Any, prefix: str = "") -> Iterator[str]:
    for key, value in node.items() if isinstance(node, dict) else ():
        yield f"{prefix}{key}"
        yield from _keys(value, f"{prefix}{key}.")


def _group(key: str) -> str:
    return key.lstrip("+~").partition("@")[0]


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())
