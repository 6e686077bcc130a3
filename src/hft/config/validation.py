"""Say in words what pydantic refuses."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from hft.config.report import Finding, listed, nearest
from hft.config.tree import join

_IN_WORDS = {
    "dict_type": "a mapping",
    "list_type": "a list",
    "model_type": "a mapping",
    "none_required": "null",
    "tuple_type": "a list",
}


def findings_of(error: ValidationError, prefix: str, value: Any, model: Any = None) -> list[Finding]:
    """One finding a key, whatever the number of alternatives that were tried on its value.

    Args:
        error: what was raised.
        prefix: dotted key of the validated value.
        value: the validated value.
        model: the pydantic model, for the names that are allowed where one is refused.
    """
    by_key: dict[str, list[dict[str, Any]]] = {}
    for detail in error.errors(include_url=False):
        path = _path_in(value, detail["loc"], missing=detail["type"] == "missing")
        by_key.setdefault(".".join([prefix, *path] if prefix else path), []).append({**detail, "path": path})
    return [_finding(key, details, value, model) for key, details in by_key.items()]


def _finding(key: str, details: list[dict[str, Any]], value: Any, model: Any) -> Finding:
    first = details[0]
    where = key or "config"
    if first["type"] == "extra_forbidden":
        names = _field_names(model, first["path"][:-1])
        close = nearest(first["path"][-1], names)
        parent = ".".join(key.split(".")[:-1])
        return Finding(
            where, f"there is no such key (found {first['input']!r})", listed(names), close and join(parent, close)
        )
    if first["type"] == "missing":
        return Finding(where, "is missing", advice="it must be set, by its group or by a value")
    if first["type"] in ("path_not_file", "path_not_directory"):
        kind, other = ("file", "folder") if first["type"] == "path_not_file" else ("folder", "file")
        if "://" in str(first["input"]):
            return Finding(where, f"{first['input']} is in a store", f"the path of a {kind} on this machine")
        if Path(str(first["input"])).exists():
            return Finding(where, f"{first['input']} is a {other}, not a {kind}", f"the path of a {kind}")
        return Finding(where, f"there is no {kind} {first['input']}", f"the path of a {kind} that exists")
    found = _short(_value_at(value, first["path"]) if first["type"] != "value_error" else first["input"])
    allowed = list(dict.fromkeys(_allowed(detail) for detail in details))
    return Finding(where, f"found {found}", " or ".join(allowed))


def _allowed(detail: dict[str, Any]) -> str:
    if detail["type"] == "value_error":
        return str(detail["ctx"]["error"])
    if detail["type"] in _IN_WORDS:
        return _IN_WORDS[detail["type"]]
    # Without pydantic's account of how it tried: "a valid integer, unable to parse string as an integer".
    message = str(detail["msg"]).removeprefix("Input should be ").partition(", unable to parse")[0]
    message = message.partition(", got a number")[0]
    return message[:1].lower() + message[1:]


def _path_in(value: Any, location: tuple[int | str, ...], *, missing: bool) -> list[str]:
    """The part of a location that is in the value: pydantic adds the names of the alternatives that it tried."""
    path: list[str] = []
    for position, part in enumerate(location):
        if _has(value, part):
            value = value[part]
        elif not (missing and position == len(location) - 1):
            continue
        path.append(str(part))
    return path


def _has(value: Any, part: int | str) -> bool:
    if isinstance(value, dict):
        return part in value
    return isinstance(value, list) and isinstance(part, int) and part < len(value)


def _value_at(value: Any, path: list[str]) -> Any:
    for part in path:
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def _field_names(model: Any, path: list[str]) -> list[str]:
    for part in path:
        model = _model_in(model)
        if model is None or part not in model.model_fields:
            return []
        model = model.model_fields[part].annotation
    model = _model_in(model)
    return [] if model is None else list(model.model_fields)


def _model_in(kind: Any) -> type[BaseModel] | None:
    if inspect.isclass(kind) and issubclass(kind, BaseModel):
        return kind
    return next((model for part in get_args(kind) if (model := _model_in(part)) is not None), None)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
