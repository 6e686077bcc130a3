"""`hft init`: a project that works as it is."""

from __future__ import annotations

import json

from hft.cli import main
from hft.config import check, compose


def test_the_project_passes_the_check_from_inside(folder, monkeypatch):
    assert main(["init", "mine"]) == 0
    monkeypatch.chdir(folder / "mine")
    report = check(["method=my_method"])
    assert report.text() == "config: nothing wrong was found"
    assert compose(["method=my_method"]).data.source.sessions == "data/sessions.jsonl"


def test_sessions_show_items_that_exist_and_pick_shown_ones(folder):
    main(["init", "mine"])
    items = [json.loads(line) for line in (folder / "mine/data/items.jsonl").read_text().splitlines()]
    sessions = [json.loads(line) for line in (folder / "mine/data/sessions.jsonl").read_text().splitlines()]
    ids = {item["item_id"] for item in items}
    assert len({session["query"] for session in sessions}) == len(sessions)
    for session in sessions:
        assert set(session["results"]) <= ids
        assert len(set(session["results"])) == len(session["results"])
        assert set(session["events"]) <= set(session["results"])


def test_nothing_is_overwritten(folder, capsys):
    main(["init", "mine"])
    method = folder / "mine/conf/method/my_method.yaml"
    method.write_text("mine now\n")
    (folder / "mine/README.md").unlink()
    assert main(["init", "mine"]) == 2
    assert "conf/method/my_method.yaml" in capsys.readouterr().err
    assert method.read_text() == "mine now\n"
    assert not (folder / "mine/README.md").exists()


def test_a_file_in_the_way_is_refused(folder, capsys):
    (folder / "mine").write_text("")
    assert main(["init", "mine"]) == 2
    assert "is a file" in capsys.readouterr().err


def test_the_method_opens_with_its_command(folder):
    main(["init", "mine"])
    lines = (folder / "mine/conf/method/my_method.yaml").read_text().splitlines()
    assert lines[0] == "# @package _global_"
    assert "hft train method=my_method" in lines[1]
