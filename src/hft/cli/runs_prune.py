"""`hft runs --prune keep=N`: old iterations lose their model files."""

from __future__ import annotations

import json

_UNITS = ("B", "KB", "MB", "GB", "TB")


def prune(outputs: str, asked: str, *, dry_run: bool, as_json: bool) -> int:
    """Removes, and prints what and how much it frees.

    Args:
        outputs: where runs land.
        asked: `keep=3`.
        dry_run: removes nothing.
        as_json: for scripts: a list with one object a run.

    Raises:
        ConfigError: `asked` is not understood.
        TrackingError: nobody knows which runs are champions.
        StorageError: the system refuses to remove a folder.
    """
    from hft.experiments.pruning_models import iterations_to_keep, models_to_remove, remove

    keep = iterations_to_keep(asked)
    removals = models_to_remove(outputs, keep)
    for removal in removals:
        if not dry_run:
            remove(removal)
        if not as_json:
            record = removal.record
            names = ", ".join(folder.name.removeprefix(".") for folder in removal.folders)
            where = f"{record.method}/{record.iteration}"
            print(f"{record.run_id[:8]}  {where}  {record.folder}  {names}  {_size(removal.size)}")
    total = sum(removal.size for removal in removals)
    if as_json:
        found = [
            {
                "run_id": removal.record.run_id,
                "method": removal.record.method,
                "iteration": removal.record.iteration,
                "folders": [str(folder) for folder in removal.folders],
                "bytes": removal.size,
                "removed": not dry_run,
            }
            for removal in removals
        ]
        print(json.dumps(found, indent=2))
    elif not removals:
        print(f"Nothing to remove: no iteration before the last {keep} has models that may go.")
    else:
        would = "Would free" if dry_run else "Freed"
        print(
            f"{would} {_size(total)}: models of {len(removals)} run{'s' if len(removals) != 1 else ''}. Records stay."
        )
    return 0


def _size(size: float) -> str:
    """`12.3 MB`."""
    number = 0
    while size >= 1000 and number < len(_UNITS) - 1:
        size, number = size / 1000, number + 1
    return f"{size:.1f} {_UNITS[number]}" if number else f"{size:.0f} B"
