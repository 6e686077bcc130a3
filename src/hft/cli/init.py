"""`hft init`: start a project of one's own, with a method to edit and a little data to try it on."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `hft init`."""
    parser.add_argument("folder", metavar="DIR", help="a new folder, or one without such files")


def run(args: argparse.Namespace) -> int:
    """Write the project.

    Raises:
        ConfigError: a file is there already; nothing is written.
        StorageError: the folder cannot be written.
    """
    from hft.cli.project_files import project_files
    from hft.errors import ConfigError
    from hft.files import atomic_write

    folder = Path(args.folder)
    files = project_files()
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"hft init: {folder} is a file. Expected the name of a folder.")
    present = [name for name in files if (folder / name).exists()]
    if present:
        raise ConfigError(
            f"hft init: {folder} has {', '.join(present)} already, and nothing is overwritten. Name another folder."
        )
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(folder / name) as file:
            file.write(text)
    print(f"{folder}: {', '.join(files)}")
    print(f"Next: cd {folder} && hft train method=my_method trainer=debug")
    return 0
