"""The `hft` command.

Each subcommand is one module of this folder with `add_arguments(parser) -> None` and `run(args) -> int` (the exit
status), imported only when it is called; what it needs beyond argparse is imported inside its functions. A new one is
a module and a line in `hft.cli.commands`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from hft.cli.commands import COMMANDS, usage
from hft.cli.failures import exit_status
from hft.cli.parser import CommandParser
from hft.threads import wait_politely

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand.

    Args:
        arguments: the command line without the program's name; that of the process where None.

    Returns:
        The exit status: 0 done, 1 tried without success, 2 a wrong request, 130 stopped by the user.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    _import_from_current_folder()
    wait_politely()
    try:
        return _dispatch(arguments)
    except (Exception, KeyboardInterrupt) as error:
        return exit_status(error)


def _dispatch(arguments: list[str]) -> int:
    name, rest = (arguments[0], arguments[1:]) if arguments else ("--help", [])
    if name in ("-h", "--help", "help"):
        print(usage())
        return 0
    if name == "--version":
        from hft import __version__

        print(f"hft {__version__}")
        return 0
    if name not in COMMANDS:
        from hft.cli.commands import unknown_command

        raise unknown_command(name)
    command = import_module(f"hft.cli.{name}")
    parser = CommandParser(prog=f"hft {name}", description=COMMANDS[name])
    command.add_arguments(parser)
    status: int = command.run(parser.parse_command(rest))
    sys.stdout.flush()
    return status


def _import_from_current_folder() -> None:
    """Make modules of the current folder importable, as `python -m` does, so that a `_target_` can name them."""
    import os

    folder = os.getcwd()
    if "" not in sys.path and folder not in sys.path:
        sys.path.insert(0, folder)
