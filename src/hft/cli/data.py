"""`hft data describe`: what a log looks like, and what of it is left out, before anything is trained."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omegaconf import DictConfig

DESCRIPTION_FILE = "description.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `hft data`."""
    parser.add_argument("action", choices=["describe"], help="describe: tables and pictures of sessions and splits")
    parser.add_argument(
        "overrides", nargs="*", metavar="KEY=VALUE", help="as `hft train` takes them: data=sessions ..."
    )
    parser.add_argument(
        "--report", metavar="DIR", help="where pictures and description.json go (default: a new folder)"
    )
    parser.add_argument(
        "--json", action="store_true", help="print the description as JSON; pictures only with --report"
    )


def run(args: argparse.Namespace) -> int:
    """Describe the data that a request would train on. torch is not imported."""
    from hft.config import check, compose

    report = check(args.overrides, multirun=False)
    report.raise_errors()
    for warning in report.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    config = compose(args.overrides)
    folder = Path(args.report) if args.report else _new_folder(config)
    found = _described(config, None if args.json and not args.report else folder)
    if args.json:
        import json

        print(json.dumps(found, indent=2))
        return 0
    from hft.reporting import print_description

    print_description(found)
    print(f"\nPictures and {DESCRIPTION_FILE}: {folder}")
    return 0


def _described(config: DictConfig, folder: Path | None) -> dict[str, Any]:
    """The description; with a folder, it and its pictures and the lines set aside are written there."""
    import json

    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    from hft.data import describe_data, preparation_for

    values: Any = OmegaConf.to_container(config.data, resolve=True)
    # What is built of a _target_ beside those below (parts and variants of texts) changes nothing that is described.
    options = {name: value for name, value in values.items() if not isinstance(value, dict) and name != "converter"}
    converter = config.data.get("converter")
    found = describe_data(
        instantiate(config.data.source),
        instantiate(config.data.splitter),
        **options,
        **preparation_for(instantiate(config.data.get("clicks"))),
        converter=None if converter is None else instantiate(converter),
        quarantine_path=None if folder is None else folder / "quarantine.jsonl",
        seed=config.seed,
    )
    if folder is not None:
        from hft.files import atomic_write
        from hft.reporting import save_data_pictures

        save_data_pictures(found, folder)
        with atomic_write(folder / DESCRIPTION_FILE) as file:
            file.write(json.dumps(found, indent=2))
    return found


def _new_folder(config: DictConfig) -> Path:
    from datetime import datetime

    return Path(config.outputs) / "data" / datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")
