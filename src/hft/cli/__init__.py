"""The `hft` command.

Each subcommand is one module of this folder with `add_arguments(parser) -> None` and `run(args) -> int` (the exit
status), imported only when it is called; what it needs beyond argparse is imported inside its functions. A new one is
a module and a line in `hft.cli.commands`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from hft.stopping import interrupts_heard

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand.

    Args:
        arguments: the command line without the program's name; that of the process where None.

    Returns:
        The exit status: 0 done, 1 tried without success, 2 a wrong request, 130 Ctrl-C, 143 SIGTERM.
    """
    with interrupts_heard(ends=arguments is None):
        try:
            return _run(list(sys.argv[1:] if arguments is None else arguments))
        except (Exception, KeyboardInterrupt) as error:
            from hft.cli.failures import exit_status
            from hft.terminal import safe_output

            with safe_output():
                return exit_status(error)


def _run(arguments: list[str]) -> int:
    # Imported here, so that Ctrl-C is heard from the first import on.
    from hft.terminal import safe_output
    from hft.threads import wait_politely
    from hft.user_modules import SAFE_PATH, seek_user_modules

    # Neither this process nor one that it starts imports from the current folder, unless a config names a class there.
    os.environ.setdefault(SAFE_PATH, "1")
    seek_user_modules()
    wait_politely()
    with safe_output():
        return _dispatch(arguments)


def _dispatch(arguments: list[str]) -> int:
    from hft.cli.commands import COMMANDS, usage
    from hft.cli.parser import CommandParser

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
