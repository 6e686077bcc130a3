"""What is wrong with a search space, in words."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hft.errors import ConfigError


@dataclass(frozen=True)
class Problem:
    """Something wrong with a space.

    Args:
        key: of the parameter, as it would stand in the config; `` for the space itself.
        found: what was found, a clause.
        allowed: what is allowed; None where `found` says it.
        advice: what to do, or the nearest right spelling.
    """

    key: str
    found: str
    allowed: str | None = None
    advice: str | None = None

    def __str__(self) -> str:
        text = f"{self.key}: {self.found}" if self.key else self.found
        if self.allowed:
            text += f"; allowed: {self.allowed}"
        return f"{text} ({self.advice})" if self.advice else text


def space_error(where: str, problems: list[Problem]) -> ConfigError:
    """One error of all problems.

    Args:
        where: the config key of the space.
        problems: at least one.
    """
    if len(problems) == 1:
        return ConfigError(f"{where}.{problems[0]}" if problems[0].key else f"{where}: {problems[0]}")
    return ConfigError("\n".join([f"{where}:", *(f"  {problem}" for problem in problems)]))


def closest(name: str, names: Iterable[str]) -> str | None:
    """The name that is spelt most like one; None where none is alike."""
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.6)
    return close[0] if close else None


def shown(value: Any) -> str:
    """A value as YAML has it, cut where it is long."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = value if isinstance(value, str) and value.strip() else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
