"""`hft data describe`: tables, pictures, JSON, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hydra.utils import instantiate

from hft.cli import main


@pytest.fixture
def request_of(folder: Path) -> list[str]:
    """A request over 120 sessions with users, times and one broken line; seven of a robot."""
    items = [{"item_id": name, "text": f"the text of {name}", "title": name} for name in "abcd"]
    lines: list[Any] = []
    for number in range(120):
        events = [{"item_id": "ab"[number % 2], "type": "click", "dwell": number}] if number % 3 else []
        agent = "Googlebot" if number < 7 else "Mozilla"
        lines.append(
            {"query": f"query {number % 50}", "results": list("abcd"), "events": events, "user_id": f"u{number % 30}",
             "timestamp": 1_760_000_000 + 3_600 * number, "user_agent": agent}
        )  # fmt: skip
    (folder / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    (folder / "clicks.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + "{broken\n")
    return ["data=sessions", "data.source.sessions=clicks.jsonl", "data.source.items=items.jsonl"]


def test_tables_and_pictures_of_the_data_that_would_be_trained_on(
    request_of: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = ["data/converter=clean", "data/splitter=by_time", "data.time_window=[2025-10-09,null]"]
    assert main(["data", "describe", *request_of, *overrides, "--report", "report"]) == 0
    printed = capsys.readouterr().out
    assert "sessions of user agents of robots" in printed
    assert "malformed JSON" in printed
    assert "Leakage" in printed
    assert "split by time" in printed
    for name in ("events_by_position.png", "sessions.png", "lengths.png", "time.png"):
        assert (folder / "report" / name).read_bytes().startswith(b"\x89PNG")
    found = json.loads((folder / "report" / "description.json").read_text())
    assert found["sessions"]["all"] == 113
    assert (folder / "report" / "quarantine.jsonl").is_file()


def test_json_is_all_that_is_printed_and_nothing_is_written_unasked(
    request_of: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = set(folder.iterdir())
    assert main(["data", "describe", *request_of, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["sessions"]["all"] == 120
    assert found["users"]["all"] == 30
    assert set(folder.iterdir()) == before


def test_pictures_land_among_the_outputs_where_no_folder_is_named(
    request_of: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "describe", *request_of, "outputs=mine"]) == 0
    [made] = (folder / "mine" / "data").iterdir()
    assert (made / "description.json").is_file()
    assert str(Path("mine/data") / made.name) in capsys.readouterr().out


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["data/splitter=by_item", "data.splitter.lists=none"], "data.splitter.lists"),
        (["data.time_window=[2030-01-01,null]"], "data.time_window: no session is in 2030-01-01"),
        (["data/splitter=stratified"], "data.source.fields.group"),
        (["data.converter.rules.dwell.seconds=-1"], "data.converter.rules.dwell.seconds"),
        (["data.converter.rules.dwel.seconds=1"], "data.converter.rules.dwel"),
    ],
)
def test_a_wrong_request_names_its_key(
    overrides: list[str], told: str, request_of: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "describe", *request_of, *overrides]) == 2
    assert told in capsys.readouterr().err


def test_an_action_that_there_is_not_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "show"]) == 2
    assert "describe" in capsys.readouterr().err


@pytest.mark.parametrize("clicks", ["naive", "position_based"])
def test_what_is_described_is_what_a_run_takes(
    clicks: str, request_of: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A click model's run keeps the training sessions without a click."""
    import hft
    from hft.data import prepare_ranking_data
    from hft.running.assembly import data_options

    request = [*request_of, f"data/clicks={clicks}"]
    assert main(["data", "describe", *request, "--json"]) == 0
    described = json.loads(capsys.readouterr().out)["report"]
    config = hft.compose([*request, "stores.data=false"])
    options = data_options(config, None, makes_store=False)
    taken = prepare_ranking_data(instantiate(config.data.source), instantiate(config.data.splitter), **options).report
    assert {**described, "seconds": 0} == json.loads(json.dumps({**taken.to_dict(), "seconds": 0}))
    assert any("sessions without an event" in reason and "train" in reason for reason in described["dropped"]) == (
        clicks == "naive"
    )


@pytest.mark.parametrize("clicks", ["naive", "dbn"])
def test_torch_is_not_imported(clicks: str, request_of: list[str], folder: Path) -> None:
    code = (
        "import sys; from hft.cli import main; status = main(sys.argv[1:]);"
        "heavy = [name for name in ('torch', 'transformers', 'pytorch_lightning', 'mlflow') if name in sys.modules];"
        "sys.exit(status or repr(heavy) * bool(heavy) or 0)"
    )
    command = [sys.executable, "-c", code, "data", "describe", *request_of, f"data/clicks={clicks}", "--json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
