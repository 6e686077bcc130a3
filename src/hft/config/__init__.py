"""Compose, check and trust configs. Imports no torch, and nothing at all until it is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hft.config.composer import compose
    from hft.config.no_effect import ineffective_keys
    from hft.config.preflight import check, check_config, require_valid
    from hft.config.report import CheckFailedError, CheckReport, Finding
    from hft.config.trust import check_trusted

__all__ = [
    "CheckFailedError",
    "CheckReport",
    "Finding",
    "check",
    "check_config",
    "check_trusted",
    "compose",
    "ineffective_keys",
    "require_valid",
]

_HOMES = {
    "CheckFailedError": "report",
    "CheckReport": "report",
    "Finding": "report",
    "check": "preflight",
    "check_config": "preflight",
    "check_trusted": "trust",
    "compose": "composer",
    "ineffective_keys": "no_effect",
    "require_valid": "preflight",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"hft.config.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'hft.config' has no attribute {name!r}")
