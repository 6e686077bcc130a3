"""Text of strangers on its way to a terminal or a log: names, paths, messages of records and data may hold anything.

A terminal obeys some characters (escape sequences) and shows others out of order (bidirectional controls). They are
written as their codes.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from hft.redaction import redacted

# Controls but for tab and line feed; what turns the direction of letters, joins nothing or breaks lines; halves of
# characters, which no terminal takes.
_OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f\ud800-\udfff]"
)


def escaped(text: str) -> str:
    """The text with `\\u001b` for what a terminal would obey, and `***` for passwords; line feeds and tabs stay."""
    if "://" in text:
        text = redacted(text)
    return text if text.isprintable() else _OBEYED.sub(_code, text)


def escaped_line(text: object) -> str:
    """As `escaped`, and in one line: a name with a line feed must not look like a line of hft's own."""
    return escaped(str(text)).replace("\n", "\\n").replace("\t", "\\t")


@contextlib.contextmanager
def safe_output() -> Iterator[None]:
    """Within the block whatever is printed or logged is escaped, and what is logged has no passwords in it."""
    out, err, factory = sys.stdout, sys.stderr, logging.getLogRecordFactory()
    sys.stdout, sys.stderr = _Escaping(out), _Escaping(err)
    logging.setLogRecordFactory(_Record)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = out, err
        logging.setLogRecordFactory(factory)


def own_stream(stream: Any) -> Any:
    """The stream behind one that escapes, for whoever escapes for himself and writes colours."""
    return stream.__dict__["stream"] if isinstance(stream, _Escaping) else stream


class _Escaping:
    """A text stream that escapes what is written to it."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        # Bars of other packages begin with a carriage return.
        start = "\r" if text.startswith("\r") else ""
        return self.stream.write(start + escaped(text[len(start) :]))

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


class _Record(logging.LogRecord):
    def getMessage(self) -> str:  # noqa: N802  (logging's name)
        return escaped(redacted(super().getMessage()))


def _code(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code > 0xFFFF:  # as JSON has it
        code -= 0x10000
        return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
    return f"\\u{code:04x}"
