"""An argument parser that takes options and arguments in any order, and refuses in one message."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from hft.errors import ConfigError


class CommandParser(argparse.ArgumentParser):
    """`hft train a=1 -m b=1,2` is as good as `hft train -m a=1 b=1,2`; wrong usage is a ConfigError."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, conflict_handler="resolve", **settings)

    def parse_command(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Parse options and arguments in any order.

        Raises:
            ConfigError: an option or argument that the command does not take.
        """
        if "--" in arguments:
            raise ConfigError(
                f"{self.prog}: a bare -- is not expected here: options and arguments come in any order. Leave it out."
            )
        parsed, unknown = self.parse_known_intermixed_args(list(arguments))
        if unknown:
            word = unknown[0]
            options = re.findall(r"--[\w-]+", self.format_help())
            close = difflib.get_close_matches(word.split("=")[0], options, n=1)
            hint = f" Did you mean {close[0]}?" if close else ""
            raise ConfigError(f"{self.prog}: {word} is not expected here.{hint} See `{self.prog} --help`.")
        return parsed

    def error(self, message: str) -> NoReturn:
        """Refuse wrong usage.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(f"{self.prog}: {message}. See `{self.prog} --help`.")
