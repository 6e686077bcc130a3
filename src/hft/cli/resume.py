"""`hft train --resume RUN`: go on with a run that was interrupted, from its last checkpoint."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omegaconf import DictConfig


def resume(args: argparse.Namespace) -> int:
    """Go on with the run that was asked for, under its own config.

    Raises:
        ConfigError: the run cannot be resumed, or something else was asked for beside.
    """
    from hft.config import check_trusted, compose
    from hft.errors import ConfigError
    from hft.experiments import config_to_resume, find_run, require_resumable
    from hft.train import train

    if args.overrides or args.multirun:
        beside = " ".join(["-m"] * args.multirun + args.overrides)
        raise ConfigError(
            f"hft train --resume: a run goes on under its own config; found {beside} beside it. Leave that out; to "
            f"train with changes: hft reproduce {args.resume} KEY=VALUE; a sweep goes on by its own command."
        )
    record = find_run(args.resume)
    require_resumable(record, elsewhere=args.elsewhere)
    own: Any = _container(compose([]))
    config = check_trusted(config_to_resume(record, own), args.trust, resolvers=True)
    train(config, folder=record.folder, choices=record.choices, overrides=record.overrides, elsewhere=args.elsewhere)
    return 0


def refuse_taken_folder(args: argparse.Namespace, folder: str) -> None:
    """Refuse, before anything is written there, the folder of a run that has ended, or is another one.

    Args:
        args: of the request, which has passed the check.
        folder: where the run is to land.

    Raises:
        ConfigError: says what to do instead.
    """
    from hft.experiments import recorded_in, require_apart, require_resumable, require_same_config

    record = recorded_in(Path(folder))
    if record is None:
        require_apart(folder)
        return
    require_resumable(record)
    from hft.config import compose
    from hft.running import settled

    config = compose(args.overrides, config_dir=args.config_dir, config_name=args.config_name)
    require_same_config(record, settled(config))
    print(f"{folder}: holds the run of this request, which was interrupted", file=sys.stderr)


def _container(config: DictConfig) -> dict[str, Any]:
    from omegaconf import OmegaConf

    container: Any = OmegaConf.to_container(config, resolve=False)
    return {str(key): value for key, value in container.items()}
