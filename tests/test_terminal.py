"""No text of a stranger moves a terminal's cursor, colours its lines, turns its letters or shows a password."""

from __future__ import annotations

import io
import json
import logging
import sys

import pytest
from rich.table import Table
from rich.text import Text

from hft.consoles import Console
from hft.terminal import escaped, escaped_line, safe_output

OBEYED = "\x1b]0;t\x07 \x9b31m \x7f \u202eabc\u2066 \u2028 \ud800 \r \x00 \ufeff \U000e0041"


def test_what_a_terminal_obeys_is_shown_as_its_code() -> None:
    shown = escaped(f"name{OBEYED}")
    assert shown.isprintable()
    assert shown.startswith("name\\u001b]0;t\\u0007 \\u009b31m")
    assert escaped("Ünï 日本 👩‍👩‍👧 a\n\tb") == "Ünï 日本 👩‍👩‍👧 a\n\tb"


def test_json_stays_json() -> None:
    value = {"name": f"x{OBEYED}"}
    assert json.loads(escaped(json.dumps(value, ensure_ascii=False))) == value


def test_a_name_with_line_feeds_stays_one_line() -> None:
    assert escaped_line("a\nhft: promoted\tb") == "a\\nhft: promoted\\tb"


def test_tables_have_their_colours_and_names_have_none() -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, color_system="standard", width=200)
    table = Table("[red]heading", f"x{OBEYED}")
    table.add_row(f"[bold]cell[/] :smile: {OBEYED}", Text("done", "green"))
    console.print(table)
    console.print(f"[link=x]{OBEYED}")
    shown = file.getvalue()
    assert "[red]heading" in shown
    assert "[bold]cell[/] :smile:" in shown
    assert "\x1b[32m" in shown
    assert not set("\x07\x9b\u202e\u2066\r\x00\ud800") & set(shown)
    assert "\x1b]" not in shown


def test_whatever_is_printed_or_logged_inside_of_a_command_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    with safe_output():
        print(f"a{OBEYED} http://me:secret@host/x")
        sys.stderr.write("\r 50%\x1b[A")
        handler = logging.StreamHandler(err)
        logger = logging.getLogger("hft.test_terminal")
        logger.addHandler(handler)
        logger.warning("%s", "\x1b[31m postgresql://me:secret@host/x")
        logger.removeHandler(handler)
        Console(force_terminal=True, color_system="standard").print(Text("green", "green"))
    assert sys.stdout is out
    assert out.getvalue().count("\x1b") == 2  # of the colour
    assert "http://me:***@host/x" in out.getvalue()
    assert err.getvalue().splitlines() == ["", " 50%\\u001b[A\\u001b[31m postgresql://me:***@host/x"]
    assert "secret" not in out.getvalue() + err.getvalue()
