"""Which `_target_`s a config from elsewhere may run.

Building a `_target_` calls it, so a record or config from elsewhere could call anything. What it may call without
being asked for is listed here, by where the code is defined and not by the name that leads to it: a name such as
`hft.losses.infonce.torch.load` leads out of hft.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from hft.config.report import first_line
from hft.config.static import NotFoundError, NotVerifiableError, Sources, Symbols
from hft.config.tree import join
from hft.errors import ConfigError

# Rooms of hft whose classes and functions are parts of a config. Not the command, not the run records.
TRUSTED_ROOMS = (
    "hft.data.",
    "hft.losses.",
    "hft.methods.",
    "hft.metrics.",
    "hft.models.",
    "hft.search.",
    "hft.techniques.",
    "hft.training.",
)

# Classes of other packages, by a name that is looked up: each builds an object and runs nothing else.
TRUSTED_MODULES = ("torch.optim", "torch.optim.lr_scheduler", "torch.nn")
TRUSTED_TARGETS = ("pytorch_lightning.Trainer",)


def check_trusted(config: DictConfig, extra: Sequence[str] = ()) -> DictConfig:
    """Refuse a config from elsewhere that could run code outside the allow-list.

    Args:
        config: the config as it came.
        extra: more targets, or packages and modules with all that is in them, that the user trusts (`--trust`).

    Returns:
        The config with every reference followed. Use this one: what was checked is what runs.

    Raises:
        ConfigError: a target that is not trusted, a `hydra` node, or a reference that cannot be followed.
    """
    if "hydra" in config:
        raise ConfigError(
            "hydra: a config from elsewhere may not configure Hydra itself (it loads plugins and callbacks). "
            "Remove the node `hydra`."
        )
    try:
        values = OmegaConf.to_container(config, resolve=True, throw_on_missing=False)
    except (OmegaConfBaseException, ValueError, TypeError) as error:
        raise ConfigError(
            f"config: a reference cannot be followed, so the config cannot be trusted: {first_line(error)}"
        ) from error
    symbols = Symbols(Sources(seconds_a_target=5.0))
    for key, target in _targets_in(values, ""):
        _require_trusted(key, target, extra, symbols)
    for key, text in _texts_in(values, ""):
        if "${" in text:
            raise ConfigError(
                f"{key}: found {text!r}, a reference that would be followed only later. "
                "A config from elsewhere may not hide what it runs."
            )
    return OmegaConf.create(values)  # type: ignore[return-value]  # a mapping makes a DictConfig


def is_trusted(target: str, extra: Sequence[str] = (), symbols: Symbols | None = None) -> bool:
    """Whether a config from elsewhere may run `target`."""
    if any(target == name or target.startswith(f"{name}.") for name in extra):
        return True
    if target in TRUSTED_TARGETS:
        return True
    module, _, name = target.rpartition(".")
    if module in TRUSTED_MODULES and name.isidentifier() and name[0].isupper():
        return True
    if not target.startswith(TRUSTED_ROOMS):
        return False
    try:
        origin = (symbols or Symbols(Sources(seconds_a_target=5.0))).find(target).origin
    except (NotFoundError, NotVerifiableError):
        return False
    return origin.startswith(TRUSTED_ROOMS)


def _require_trusted(key: str, target: Any, extra: Sequence[str], symbols: Symbols) -> None:
    if not isinstance(target, str) or not is_trusted(target, extra, symbols):
        raise ConfigError(
            f"{key}: found {target}, which is not on the list of what a config from elsewhere may run. "
            f"If you know it and trust it, say so: --trust {target}"
        )


def _targets_in(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Every `_target_`, of whatever type, at whatever depth."""
    if isinstance(value, dict):
        if "_target_" in value:
            yield join(key, "_target_"), value["_target_"]
        for name, child in value.items():
            yield from _targets_in(child, join(key, name))
    elif isinstance(value, list):
        for position, child in enumerate(value):
            yield from _targets_in(child, join(key, position))


def _texts_in(value: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, child in value.items():
            yield from _texts_in(child, join(key, name))
    elif isinstance(value, list):
        for position, child in enumerate(value):
            yield from _texts_in(child, join(key, position))
    elif isinstance(value, str):
        yield key, value
