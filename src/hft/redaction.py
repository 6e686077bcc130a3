"""Secrets taken out of texts that people and files get to see: passwords in addresses, and what the environment hides.

Credentials come from the environment only. What follows is the net below that rule: a message of a driver, an address
that somebody typed all the same.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, quote_plus, unquote

HIDDEN = "***"
# scheme://user:password@ -- up to the last @ before a blank or a quote, for people do not escape their passwords.
_ADDRESS = re.compile(r"(?P<start>[A-Za-z][A-Za-z0-9+.-]*://[^\s/@:'\"]*:)(?P<password>[^\s\"]+)(?=@)")
_PARAMETER = re.compile(
    r"(?P<start>[?&;](?:password|passwd|pwd|sslpassword|secret|token|access_token|api_key|sig|signature"
    r"|x-amz-(?:signature|credential|security-token))=)(?P<password>[^&;\s'\"]+)",
    re.IGNORECASE,
)
# host=... password=...: how libpq, ODBC and Azure write an address.
_SETTING = re.compile(
    r"(?P<start>\b(?:password|passwd|pwd|accountkey|sharedaccesskey|sslpassword)\s*=\s*)"
    r"(?P<password>'[^']*'|\{[^}]*\}|[^\s;&,'\"*]+)",
    re.IGNORECASE,
)
_SECRET_NAME = re.compile(r"SECRET|PASSWORD|PASSWD|PGPASS|TOKEN|ACCESS_KEY|ACCOUNT_KEY|API_KEY|CONNECTION_STRING")
# A variable that holds less is no secret that could be told apart from words.
_SHORTEST_SECRET = 6


def has_password(text: str) -> bool:
    """Whether an address in the text carries a password or a signature."""
    return _ADDRESS.search(text) is not None or _PARAMETER.search(text) is not None


def redacted(text: str, *secrets: str) -> str:
    """The text without passwords in addresses, values of variables of the environment that are secrets, and these.

    Args:
        text: a message.
        secrets: more of what must not be in it, plain or as in an address.
    """
    return _without(text, _forms(secrets))


def redacted_values(value: Any) -> Any:
    """Nested settings, each text in them as `redacted` gives it: what is written down of a run."""
    return _tree_without(value, _forms())


def completed(address: str) -> str:
    """An address that was written down without its password, with it where the environment has the very address."""
    if HIDDEN not in address:
        return address
    return next((value for value in os.environ.values() if value != address and redacted(value) == address), address)


def _forms(secrets: Sequence[str] = ()) -> list[str]:
    """What must not be in a text, the longest first."""
    hidden = {value for name, value in os.environ.items() if _SECRET_NAME.search(name.upper())}
    hidden |= {match["password"] for value in os.environ.values() for match in _ADDRESS.finditer(value)}
    forms = {form for value in (*secrets, *hidden) for form in (value, unquote(value), quote(value), quote_plus(value))}
    kept = [form for form in forms if len(form) >= _SHORTEST_SECRET or (form and form in secrets)]
    return sorted(kept, key=len, reverse=True)


def _without(text: str, forms: Sequence[str]) -> str:
    for form in forms:
        text = text.replace(form, HIDDEN)
    for pattern in (_ADDRESS, _PARAMETER, _SETTING):
        text = pattern.sub(lambda match: match["start"] + HIDDEN, text)
    return text


def _tree_without(value: Any, forms: Sequence[str]) -> Any:
    if isinstance(value, str):
        return _without(value, forms)
    if isinstance(value, Mapping):
        return {key: _tree_without(child, forms) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [_tree_without(child, forms) for child in value]
    return value
