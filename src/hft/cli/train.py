"""`hft train`: check the request, then run it through Hydra."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omegaconf import DictConfig

_INFO = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Hydra's options, without those that replace hft's own config or run code from a file."""
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("-cd", "--config-dir", metavar="DIR")
    parser.add_argument("-cn", "--config-name", metavar="NAME", default="train")
    parser.add_argument("-p", "--package", metavar="NODE")
    parser.add_argument("--resolve", action="store_true")
    parser.add_argument("--resume", metavar="RUN", help="go on with a run that was interrupted")
    parser.add_argument("--elsewhere", action="store_true", help="the run's process, on another machine, has ended")
    parser.add_argument("--trust", metavar="TARGET", action="append", default=[], help="as in hft reproduce")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("-h", "--help", action="store_true")
    mode.add_argument("--hydra-help", action="store_true")
    mode.add_argument("--version", action="store_true")
    mode.add_argument("-m", "--multirun", action="store_true")
    mode.add_argument("-r", "--run", action="store_true")
    mode.add_argument("-c", "--cfg", choices=("job", "hydra", "all"))
    mode.add_argument("-i", "--info", choices=_INFO, nargs="?", const="all")
    mode.add_argument("-sc", "--shell-completion", action="store_true")


def run(args: argparse.Namespace) -> int:
    """Train, or show what would be trained; the exit status."""
    if args.version:
        from hft import __version__

        print(f"hft {__version__}")
        return 0
    from hft.config.searchpath import config_dir_first

    with config_dir_first(args.config_dir):
        if args.help:
            from hft.cli.train_help import train_help

            print(train_help())
            return 0
        if args.resume is not None:
            from hft.cli.resume import resume

            return resume(args)
        if _only_shows(args):
            return _show(args)
        if not _checked(args):
            return 2
        from hft.cli.jobs import Jobs

        jobs = Jobs()

        def job(config: DictConfig) -> Any:
            # Hydra names the job after the module of this function: train.
            return jobs.train(config)

        return jobs.run(lambda: _hydra_main(args, job))


def _only_shows(args: argparse.Namespace) -> bool:
    return bool(args.hydra_help or args.cfg or args.info or args.shell_completion)


def _show(args: argparse.Namespace) -> int:
    """Print what Hydra prints; where the request does not compose, the report of the check."""
    if args.shell_completion:
        os.environ["COMP_LINE"] = _without_options(os.environ.get("COMP_LINE", ""))
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        _hydra_main(args, _never_called)
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        from hft.config.preflight import check

        report = check(args.overrides, config_dir=args.config_dir, config_name=args.config_name, multirun=False)
        report.raise_errors(otherwise=error)
    return 0


def _checked(args: argparse.Namespace) -> bool:
    """Whether the request passes the pre-flight check. What it finds is printed on stderr."""
    from hft.config.preflight import check

    report = check(args.overrides, config_dir=args.config_dir, config_name=args.config_name, multirun=args.multirun)
    if report.errors or report.warnings or report.notes:
        print(report.text(), file=sys.stderr)
    if report.ok and report.run_folder is not None and not args.multirun:
        from hft.cli.resume import refuse_taken_folder

        refuse_taken_folder(args, report.run_folder)
    return report.ok


def _hydra_main(args: argparse.Namespace, task: Callable[[DictConfig], Any]) -> None:
    """Run Hydra's own main. What it raises comes through, so that one place decides on messages and exit status."""
    import hydra
    from hydra.core.hydra_config import HydraConfig

    from hft.config.composer import VERSION_BASE
    from hft.config.searchpath import CONFIG_MODULE

    main = hydra.main(version_base=VERSION_BASE, config_path=f"pkg://{CONFIG_MODULE}", config_name=args.config_name)
    with _as_hydra_expects(args):
        try:
            main(task)()
        except SystemExit as stop:
            if stop.code:
                raise
        finally:
            # Hydra leaves its job set: a later hft.train of this process would record this one's choices.
            HydraConfig.instance().cfg = None


@contextmanager
def _as_hydra_expects(args: argparse.Namespace) -> Iterator[None]:
    """Options before overrides in sys.argv, and full errors, within the block."""
    argv, full_error = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv = ["hft train", *_hydra_options(args), *args.overrides]
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        sys.argv = argv
        if full_error is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = full_error


def _hydra_options(args: argparse.Namespace) -> list[str]:
    flags = ("hydra_help", "multirun", "run", "resolve", "shell_completion")
    options = [f"--{flag.replace('_', '-')}" for flag in flags if getattr(args, flag)]
    values = ("cfg", "info", "package")
    return [*options, *(f"--{name}={getattr(args, name)}" for name in values if getattr(args, name))]


def _without_options(line: str) -> str:
    """A line to complete, without options: Hydra's parser refuses them between overrides."""
    words = [word for word in line.split() if not word.startswith("-")]
    return " ".join(words) + (" " if line.endswith(" ") or len(words) < 2 else "")


def _never_called(config: DictConfig) -> None:
    raise AssertionError("Hydra runs no job when it only shows something")
