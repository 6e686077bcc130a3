"""The file beside a saved model that says how its texts are made of records; see hft.data.text_declaration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hft.errors import ModelError

__all__ = ["TEXTS_NAME", "read_texts_file"]

TEXTS_NAME = "hft_texts.json"
# Bytes. A declaration has a few hundred.
_LARGEST = 1 << 20


def read_texts_file(folder: Path) -> dict[str, Any] | None:
    """Its plain values, not yet believed; None where the folder has no such file.

    Raises:
        ModelError: it is too large, or no JSON object.
    """
    file = folder / TEXTS_NAME
    if not file.is_file():
        return None
    advice = (
        "It says how the model's texts are made of records: copy the model again, or remove the file to do without."
    )
    try:
        if file.stat().st_size > _LARGEST:
            raise ModelError(f"{file}: has {file.stat().st_size:,} bytes, where a few hundred are expected. {advice}")
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{file}: cannot be read as JSON ({error}). {advice}") from error
    if not isinstance(found, dict):
        raise ModelError(f"{file}: found {type(found).__name__}, expected an object. {advice}")
    return found
