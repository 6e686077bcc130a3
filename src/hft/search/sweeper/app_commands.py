"""Commands that a user of another Hydra app can copy: to go on with a search, to extend it, to run its winner."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from hft.search.spaces.overrides import value_text

# Needs quotes neither for Hydra nor for a shell.
_PLAIN_PATH = re.compile(r"[\w./-]+")

_CONFIG_DIR, _IS_CONFIG_DIR = ("-cd", "--config-dir"), "--config-dir="
# Of Hydra's own options, those that say which config is meant.
_OF_THE_CONFIG = ("-cn", "--config-name", "-cp", "--config-path")
_MULTIRUN = ("-m", "--multirun")

# What has to grow for more trials, by why the search ended. Of a space that is exhausted, nothing.
_MORE = {"budget": "max_evals", "timeout": "timeout", "failures": "max_failures"}


def resume_command(folder: Path, ended: str | None) -> str | None:
    """The command line of this process, with the sweep's folder settled.

    Args:
        folder: of the sweep.
        ended: why the search ended, of which MORE is asked for; None: it was stopped.

    Returns:
        the command; None: there is nothing to go on with.
    """
    if ended == "exhausted":
        return None
    path = str(folder)
    settled = [f"hydra.sweep.dir={path if _PLAIN_PATH.fullmatch(path) else value_text(path)}"]
    if ended in _MORE:
        settled.append(f"hydra.sweeper.{_MORE[ended]}=MORE")
    keys = {override.partition("=")[0] for override in settled}
    given = [argument for argument in sys.argv[1:] if argument.lstrip("+").partition("=")[0] not in keys]
    return shlex.join([*_program(), *given, *settled])


def winner_template(searchpath: Sequence[str] = ()) -> str:
    """The command that runs the winner, with `{conf}` for the folder of configs.

    Hydra takes one --config-dir. That of an app which was started with its own stays, and the winner is found by
    `hydra.searchpath` instead, which this replaces.

    Args:
        searchpath: `hydra.searchpath` of the app.
    """
    arguments = sys.argv[1:]
    options = []
    for index, argument in enumerate(arguments):
        if argument in (*_OF_THE_CONFIG, *_CONFIG_DIR):
            options += arguments[index : index + 2]
        elif argument.startswith(("--config-name=", "--config-path=", _IS_CONFIG_DIR)):
            options.append(argument)
    # Without -m it is the config that asks for a sweep, and would ask for another.
    once = [] if any(argument in _MULTIRUN for argument in arguments) else ["hydra.mode=RUN"]
    winner = "--config-dir {conf}"
    if any(option in _CONFIG_DIR or option.startswith(_IS_CONFIG_DIR) for option in options):
        before = "".join(f"{value_text(str(place))}," for place in searchpath)
        winner = f"{shlex.quote(f'hydra.searchpath=[{before}')}'\"file://'{{conf}}'\"]'"
    return f"{shlex.join([*_program(), *options])} {winner} {shlex.join(['+winner=best', *once])}"


def _program() -> list[str]:
    """How this process was started: a module, a script, or a command that was installed."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    if spec is not None:
        return ["python", "-m", spec.name.removesuffix(".__main__")]
    return ["python", sys.argv[0]] if sys.argv[0].endswith(".py") else [sys.argv[0]]
