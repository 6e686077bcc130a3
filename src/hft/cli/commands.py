"""The list of subcommands: a name, which is also the name of its module, and what it does in a line."""

from __future__ import annotations

from hft.errors import ConfigError

COMMANDS = {
    "train": "fine-tune a model: hft train [KEY=VALUE ...] [-m], or go on: hft train --resume RUN",
    "check": "say what is wrong with a request, in under a second: hft check [KEY=VALUE ...]",
    "data": "show what the data looks like, and what of it is left out: hft data describe [KEY=VALUE ...]",
    "evaluate": "measure a model or a run on the test split: hft evaluate RUN|MODEL [KEY=VALUE ...]",
    "reproduce": "run a recorded run again and compare: hft reproduce RUN [KEY=VALUE ...]",
    "runs": "list the runs, and push records that a tracking server missed",
    "compare": "compare two runs: hft compare RUN RUN",
    "promote": "make a run the champion of its method, if it is shown to be better: hft promote RUN [KEY=VALUE ...]",
    "rollback": "make the champion's predecessor champion again: hft rollback [METHOD]",
    "embed": "write the vectors of a file of texts: hft embed RUN FILE",
    "export": "write a run's model in the sentence-transformers layout: hft export RUN DIR",
    "stores": "show what is kept on disk between runs, and remove it: hft stores [--clear [KIND]]",
    "init": "start a project of your own: hft init DIR",
    "completion": "print shell completion: hft completion bash|zsh|fish",
}


def usage() -> str:
    """What `hft --help` prints."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name.ljust(width)}  {summary}" for name, summary in COMMANDS.items()]
    return "\n".join(
        [
            "usage: hft COMMAND ...",
            "",
            "hft (Hydra Fine-Tuning) fine-tunes models from a declaration.",
            "",
            *lines,
            "",
            "`hft COMMAND --help` says more; `hft --version` prints the version.",
            "Exit status: 0 done, 1 tried without success, 2 a wrong request, 130 Ctrl-C, 143 SIGTERM.",
        ]
    )


def unknown_command(name: str) -> ConfigError:
    """The error for a subcommand that does not exist, with the nearest that does."""
    import difflib

    close = difflib.get_close_matches(name, COMMANDS, n=1)
    hint = f" Did you mean `hft {close[0]}`?" if close else ""
    return ConfigError(f"hft {name}: there is no such command.{hint} Commands: {', '.join(COMMANDS)}.")
