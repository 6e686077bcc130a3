"""`hft runs --prune keep=N`: old iterations lose their model files."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

from hft.cli.sizes import size_text

if TYPE_CHECKING:
    from hft.experiments.pruning_models import Removal


def prune(outputs: str, asked: str, *, dry_run: bool, as_json: bool) -> int:
    """Removes, and prints what and how much it frees, and what stays in a store that is a server.

    Args:
        outputs: where runs land.
        asked: `keep=3`.
        dry_run: removes nothing.
        as_json: for scripts: a list with one object a run.

    Raises:
        ConfigError: `asked` is not understood.
        TrackingError: nobody knows which runs are champions, or a local store cannot be opened.
        StorageError: the system refuses to remove a folder.
        DamagedError: a record cannot be read.
    """
    from hft.cli.own_stores import own_stores
    from hft.experiments.pruning_models import iterations_to_keep, models_to_remove, remove

    keep = iterations_to_keep(asked)
    removals = models_to_remove(outputs, keep, own_stores(outputs))
    goes = [removal for removal in removals if removal.size or removal.folders]
    for removal in removals:
        if not dry_run:
            remove(removal)
        if removal in goes and not as_json:
            print(_line(removal))
    if as_json:
        print(json.dumps([_as_dict(removal, removed=not dry_run) for removal in removals], indent=2))
        return 0
    if goes:
        would = "Would free" if dry_run else "Freed"
        size = size_text(sum(removal.size for removal in goes))
        print(f"{would} {size}: models of {_runs(len(goes))}. Records stay.")
    else:
        print(f"Nothing to remove: no iteration before the last {keep} has models that may go.")
    staying = Counter(removal.stored.uri for removal in removals if removal.stored is not None and removal.stored.stays)
    for uri, number in staying.items():
        print(
            f"Copies of the models of {_runs(number)} stay in {uri}: hft removes none from a server, whose disks are "
            "not this machine's, nor from a store that a record alone names. Delete them there, where they are too "
            "large; MLFLOW_TRACKING_URI says which local store is yours."
        )
    return 0


def _line(removal: Removal) -> str:
    record = removal.record
    names = [folder.name.removeprefix(".") for folder in removal.folders]
    if removal.stored is not None and not removal.stored.stays:
        names.append("the store's copy")
    where = f"{record.method}/{record.iteration}"
    return f"{record.run_id[:8]}  {where}  {record.folder}  {', '.join(names)}  {size_text(removal.size)}"


def _as_dict(removal: Removal, *, removed: bool) -> dict[str, object]:
    stored = removal.stored
    return {
        "run_id": removal.record.run_id,
        "method": removal.record.method,
        "iteration": removal.record.iteration,
        "folders": [str(folder) for folder in removal.folders],
        "bytes": removal.size,
        "removed": removed,
        "store": None if stored is None else {"uri": stored.uri, "bytes": stored.size, "stays": stored.stays},
    }


def _runs(number: int) -> str:
    return f"{number} run{'s' * (number != 1)}"
