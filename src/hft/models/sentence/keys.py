"""Reading the JSON files of a model folder, whose keys are each known or refused."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path, PureWindowsPath
from typing import Any, TypeVar

from hft.errors import ModelError
from hft.parsing import parse_json

__all__ = ["read_json", "read_object", "refusal", "relative_path", "require_known", "value_of"]

# A longer value is cut in a message.
_SHOWN = 80

Value = TypeVar("Value")


def read_json(file: Path) -> Any:
    """The content of a JSON file.

    Raises:
        ModelError: there is no such file, or it is no JSON.
    """
    try:
        return parse_json(file.read_bytes())
    except FileNotFoundError as error:
        raise ModelError(f"{file}: the file is missing; the model's folder is not complete. Copy it again.") from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{file}: cannot be read as JSON ({error}). Copy the model again.") from error


def read_object(file: Path) -> dict[str, Any]:
    """As `read_json`, of a file that holds one object."""
    content = read_json(file)
    if not isinstance(content, dict):
        raise ModelError(f"{file}: found {shown(content)}, expected an object of keys and values.")
    return content


def refusal(file: Path, key: str, value: Any, advice: str) -> ModelError:
    """The error that names what hft does not honour.

    Args:
        file: where it stands.
        key: dotted, from the top of the file.
        value: found there.
        advice: why, and what to do.
    """
    return ModelError(f"{file}: {key}={shown(value)} is not supported. {advice}")


def require_known(file: Path, config: dict[str, Any], known: Collection[str], prefix: str = "") -> None:
    """Refuses a key that is not among the known ones.

    Raises:
        ModelError: names it, and the known ones.
    """
    for key, value in config.items():
        if key not in known:
            advice = f"hft knows {', '.join(sorted(known))} there. Remove the key if the model does without it."
            raise refusal(file, prefix + key, value, advice)


def value_of(file: Path, config: dict[str, Any], key: str, kind: type[Value], default: Any = None) -> Any:
    """A value of one type; the default where the key is missing or null.

    Raises:
        ModelError: it has another type.
    """
    value = config.get(key)
    if value is None:
        return default
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ModelError(f"{file}: {key}={shown(value)}, expected {kind.__name__}. Correct the file.")
    return value


def relative_path(file: Path, path: Any) -> str:
    """A module's path within the model's folder.

    Raises:
        ModelError: it leaves the folder, or is no path.
    """
    if not isinstance(path, str):
        raise ModelError(f"{file}: the module path {shown(path)} is no text; it is refused.")
    parts = PureWindowsPath(path)
    if parts.anchor or ".." in parts.parts or "\0" in path:
        raise ModelError(f"{file}: the module path {shown(path)} leaves the model's folder; it is refused.")
    return path


def shown(value: Any) -> str:
    """A value as a message shows it."""
    text = json.dumps(value, default=repr)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
