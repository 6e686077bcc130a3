"""Names that become folders, or names in a tracking store: of methods, iterations, searches."""

from __future__ import annotations

import re

from hft.errors import ConfigError

# A file system takes 255 bytes; a temporary name beside the folder takes some.
MOST_BYTES = 200
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def why_no_name(name: object) -> str | None:
    """Why nothing may be named so; None: it may. Parts between slashes are folders in folders.

    Args:
        name: of a method, for example.
    """
    if not isinstance(name, str) or not name:
        return "is no text"
    if _CONTROLS.search(name):
        return "has a control character"
    if "\\" in name:
        return "has a backslash"
    for part in name.split("/"):
        if not part or part.startswith(".") or part != part.strip():
            return "leads elsewhere or to a hidden folder (a part is empty, begins with a dot, or has blanks around it)"
        if len(part.encode()) > MOST_BYTES:
            return f"is longer than {MOST_BYTES} bytes"
    return None


def require_name(key: str, name: object) -> str:
    """The name.

    Args:
        key: of the config, for the message.
        name: its value.

    Raises:
        ConfigError: nothing may be named so.
    """
    reason = why_no_name(name)
    if reason is not None:
        raise ConfigError(f"{key}: found {name!r}, which {reason}. It becomes a folder's name: {EXPECTED_NAME}.")
    return str(name)


EXPECTED_NAME = f"letters, digits and other signs, at most {MOST_BYTES} bytes, such as text_2"
