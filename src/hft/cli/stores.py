"""`hft stores`: what is kept on disk between runs, how large it is, and away with it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hft.stores import StoreEntry, StoreFolder

_ALL = "all"
_MEANING = {
    "files": "checksums of data files",
    "data": "prepared data",
    "tokens": "tokens of texts",
    "activations": "what fixed layers give",
    "vectors": "what starting models give for the texts of an evaluation",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `hft stores`."""
    parser.add_argument("--outputs", metavar="DIR", default="outputs", help="where runs land (default: outputs)")
    parser.add_argument("--folder", metavar="DIR", help="of the stores, as in stores.folder (default: OUTPUTS/stores)")
    parser.add_argument(
        "--clear",
        metavar="KIND",
        nargs="?",
        const=_ALL,
        help=f"remove what is kept, of all kinds or of one ({', '.join(_MEANING)}); runs make again what they need",
    )
    parser.add_argument("--json", action="store_true", help="print the entries, or what was freed, as JSON")


def run(args: argparse.Namespace) -> int:
    """List or clear."""
    from hft.stores import StoreFolder

    store = StoreFolder(args.folder or Path(args.outputs) / "stores", disk_budget=None)
    entries = store.entries()
    if args.clear is not None:
        return _clear(store, entries, args.clear, as_json=args.json)
    if args.json:
        _print_json([_as_dict(entry) for entry in reversed(entries)])
    elif entries:
        _print_table(entries)
        print(f"{store.root}. To remove what is kept of a kind: hft stores --clear KIND")
    else:
        print(f"Nothing is kept under {store.root}. `hft train` does, unless it is told stores=none.")
    return 0


def _clear(store: StoreFolder, entries: Sequence[StoreEntry], kind: str, *, as_json: bool) -> int:
    from hft.cli.sizes import size_text
    from hft.errors import ConfigError

    known = {entry.kind for entry in entries} | set(_MEANING)
    if kind != _ALL and kind not in known:
        raise ConfigError(
            f"--clear {kind}: there is no such kind. Choose one of {', '.join(sorted(known))}, or none: all."
        )
    freed = store.clear(None if kind == _ALL else kind)
    if as_json:
        _print_json({"folder": str(store.root), "freed_bytes": freed})
    else:
        print(f"Freed {size_text(freed)} in {store.root}.")
    return 0


def _print_table(entries: Sequence[StoreEntry]) -> None:
    from datetime import datetime

    from hft.cli.sizes import size_text

    lines = [("kind", "entries", "size", "last use", "")]
    for kind in sorted({entry.kind for entry in entries}):
        of_kind = [entry for entry in entries if entry.kind == kind]
        last = datetime.fromtimestamp(max(entry.last_use for entry in of_kind)).astimezone()
        size = size_text(sum(entry.size for entry in of_kind))
        lines.append((kind, str(len(of_kind)), size, f"{last:%Y-%m-%d %H:%M}", _MEANING.get(kind, "")))
    lines.append(("all", str(len(entries)), size_text(sum(entry.size for entry in entries)), "", ""))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _as_dict(entry: StoreEntry) -> dict[str, object]:
    return {
        "kind": entry.kind,
        "key": entry.key,
        "folder": str(entry.path),
        "bytes": entry.size,
        "last_use": entry.last_use,
    }


def _print_json(value: object) -> None:
    import json

    print(json.dumps(value, indent=2))
