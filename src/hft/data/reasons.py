"""Why a line was set aside, in words that are the same for the same fault."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hft.data.text_lines import decoded

if TYPE_CHECKING:
    from pydantic import ValidationError

MISSING_FIELD = "missing field "


def reason_of(error: ValidationError, raw: bytes | str) -> str:
    """The reason of the first fault that pydantic found in a line."""
    if isinstance(raw, bytes) and decoded(raw) is None:
        return "not UTF-8"
    fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
    if fault["type"] == "json_invalid":
        return "malformed JSON"
    if fault["type"] in ("model_type", "model_attributes_type", "dict_type"):
        return "not an object"
    name = str(fault["loc"][0]) if fault["loc"] else "line"
    if fault["type"] == "missing":
        return f"{MISSING_FIELD}{name!r}"
    return f"field {name!r}: {fault['msg']}"
