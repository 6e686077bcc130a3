from __future__ import annotations

import textwrap
from pathlib import Path

from hft.data.docstrings import Docstring, docstrings, query_and_item

SOURCE = '''
"""Tools for text.

They never fail."""
raise SystemExit("this module must not be run")

class Wrapper:
    """Wraps text.

    See Wrapper.fill."""

    async def fill(self, text):
        """Fill one paragraph."""
'''


def test_docstrings_are_read_without_running_the_source(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text('"""The package."""')
    (tmp_path / "package" / "tools.py").write_text(SOURCE)
    (tmp_path / "broken.py").write_text('"""Not Python""" (')
    (tmp_path / "site-packages").mkdir()
    (tmp_path / "site-packages" / "other.py").write_text('"""Somebody else\'s."""')
    assert [(found.module, found.name) for found in docstrings(tmp_path)] == [
        ("package", ""),
        ("package.tools", ""),
        ("package.tools", "Wrapper"),
        ("package.tools", "Wrapper.fill"),
    ]


def test_names_are_left_out_of_the_item() -> None:
    text = textwrap.dedent(
        """
        Remove common leading whitespace with dedent.

        Dedent works on `text`; see textwrap.indent and fill(text, width=70) -> str. The
        textwrap module has more, e.g. wrapping.

        >>> dedent("  a")
        'a'

        Tabs are whitespace too."""
    ).strip()
    query, item = query_and_item(Docstring("textwrap", "dedent", text))
    assert query == "Remove common leading whitespace with dedent."
    assert item == "works on `text`; see and. The module has more, e.g. wrapping. Tabs are whitespace too."


def test_a_signature_is_left_out_of_the_query() -> None:
    text = "open(path, flags) -> file descriptor\nOpen a file for low level access.\n\nRest."
    docstring = Docstring("os", "open", text)
    query, item = query_and_item(docstring)
    assert "(" not in query
    assert query.endswith("Open a file for low level access.")
    assert item == "Rest."


def test_a_docstring_of_one_paragraph_has_no_item() -> None:
    assert query_and_item(Docstring("os", "getcwd", "Return the current folder."))[1] == ""
