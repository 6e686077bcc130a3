"""`hft check`: one report, and an exit status for scripts."""

from __future__ import annotations

import json

from hft.cli import main


def test_a_right_request_exits_with_0(folder, capsys):
    assert main(["check", "loss=margin", "-m", "seed=1,2"]) == 0
    assert capsys.readouterr().out == "config: nothing wrong was found\n"


def test_a_wrong_request_exits_with_2_and_one_report(folder, capsys):
    assert main(["check", "loss=infonse", "+sed=1"]) == 2
    printed = capsys.readouterr().out
    assert "did you mean loss=infonce?" in printed
    assert "did you mean seed?" in printed
    assert printed.endswith("config: 2 errors, 0 warnings\n")


def test_json_is_for_scripts(folder, capsys):
    assert main(["check", "--json", "loss=infonse"]) == 2
    report = json.loads(capsys.readouterr().out)
    assert report["errors"][0]["nearest"] == "loss=infonce"


def test_several_values_without_the_flag_of_a_sweep_are_warned_of(folder, capsys):
    assert main(["check", "seed=0,1"]) == 0
    assert "warning: seed=0,1: several values for one run\n    add -m" in capsys.readouterr().out
