"""report.json: the report for scripts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hft.checksums import sealed_json
from hft.files import atomic_write

REPORT_FILE = "report.json"


def write_report(report: Mapping[str, Any], folder: Path | str) -> Path:
    """Writes report.json into the folder, whole or not at all.

    Args:
        report: `Report.to_dict()`.
        folder: made if it is missing.

    Returns:
        The file.

    Raises:
        StorageError: the system refused a write.
        ValueError: a number in the report is NaN or infinite, which JSON does not know.
    """
    path = Path(folder) / REPORT_FILE
    text = sealed_json(report, allow_nan=False)
    with atomic_write(path) as file:
        file.write(text)
    return path
