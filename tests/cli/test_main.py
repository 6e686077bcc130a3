"""The frame of the command: subcommands, their help, exit status, and messages for slips and bugs."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import hft.cli
from hft.cli import main
from hft.cli.commands import COMMANDS
from hft.cli.failures import exit_status
from hft.errors import ConfigError, DataError, TrainingError

LIGHT = {
    *("__future__", "argparse", "sys", "typing", "collections", "pathlib", "os", "contextlib"),
    *("hft.cli.commands", "hft.errors", "hft.terminal"),
}


def test_help_lists_every_command(capsys):
    assert main(["--help"]) == 0
    printed = capsys.readouterr().out
    assert all(f"\n  {name}" in printed for name in COMMANDS)
    assert main([]) == 0


def test_version_is_printed(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("hft ")
    assert main(["train", "--version"]) == 0
    assert capsys.readouterr().out.startswith("hft ")


def test_a_misspelt_command_is_refused_with_the_nearest(capsys):
    assert main(["trian"]) == 2
    assert "Did you mean `hft train`?" in capsys.readouterr().err


def test_a_misspelt_option_is_refused_with_the_nearest(folder, capsys):
    assert main(["train", "--multrun"]) == 2
    assert "Did you mean --multirun?" in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"train"}))
def test_every_command_has_help_of_its_own(name, capsys):
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    assert stop.value.code == 0
    assert f"usage: hft {name}" in capsys.readouterr().out


@pytest.mark.parametrize("path", sorted(Path(hft.cli.__file__).parent.glob("*.py")), ids=lambda p: p.name)
def test_modules_of_commands_import_nothing_heavy_at_the_top(path):
    if path.stem not in COMMANDS:
        return
    for statement in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Import):
            names = [alias.name for alias in statement.names]
        elif isinstance(statement, ast.ImportFrom):
            names = [statement.module or ""]
        else:
            continue
        for name in names:
            assert name in LIGHT or name.split(".")[0] in LIGHT or name.startswith("hft.cli")


def test_the_current_folder_is_not_on_the_import_path(folder, monkeypatch):
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry and Path(entry) != folder])
    main(["--help"])
    assert not {"", str(folder)} & set(sys.path)


@pytest.mark.parametrize(
    ("error", "status"), [(ConfigError("a: wrong"), 2), (DataError("b"), 2), (TrainingError("c"), 1)]
)
def test_a_slip_is_one_message_with_its_status(error, status, capsys):
    assert exit_status(error) == status
    printed = capsys.readouterr().err
    assert printed == f"hft: {error}\n"


def raised(action: Callable[[], object]) -> BaseException:
    """What an action raises."""
    with pytest.raises(BaseException) as caught:  # noqa: PT011  # whatever it is
        action()
    return caught.value


def test_a_slip_wrapped_by_hydra_is_still_a_slip(capsys):
    from hydra.errors import InstantiationException

    def build():
        raise InstantiationException("Error in call to target") from DataError("items.jsonl is empty")

    assert exit_status(raised(build)) == 2
    assert capsys.readouterr().err == "hft: items.jsonl is empty\n"


def test_a_bug_keeps_its_traceback_and_says_so(capsys):
    assert exit_status(raised(lambda: {}["x"])) == 1
    printed = capsys.readouterr().err
    assert "Traceback" in printed
    assert "this is a bug of hft" in printed


def test_a_folder_that_cannot_be_written_is_no_bug(folder, capsys):
    (folder / "outputs").write_text("a file where a folder should be")
    assert exit_status(raised((folder / "outputs" / "run").mkdir)) == 1
    printed = capsys.readouterr().err
    assert "Traceback" not in printed
    assert "outputs" in printed
