"""`hft export RUN DIR`: a run's tuned model as a folder that `SentenceTransformer(DIR)` loads."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `hft export`."""
    parser.add_argument("run", metavar="RUN", help="a run folder, or an id or name that `hft runs` lists")
    parser.add_argument("folder", metavar="DIR", help="where to write the model; must not exist, or be empty")
    parser.add_argument("--outputs", metavar="DIR", default="outputs", help="where runs land (default: outputs)")


def run(args: argparse.Namespace) -> int:
    """Load the model, which checks it, and write it again."""
    from hft.errors import ConfigError

    folder = Path(args.folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"hft export: {folder} exists and is not an empty folder. Give another one.")
    from hft.api import load

    model = load(args.run, args.outputs)
    model.save(folder)
    towers = "one tower" if model.shared else "two towers: use encode_query and encode_document"
    print(f"{folder}: {model.dim} dimensions, {towers}. Load it with SentenceTransformer({str(folder)!r}).")
    return 0
