"""A record from a stranger may hold anything: it is one line of `hft runs`, and stops and moves nothing else."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from recorded_runs import at, recorded

from hft.cli import main
from hft.errors import HftError
from hft.experiments import RunRecord, list_runs, load_record
from hft.experiments.run_record import Tracking
from hft.experiments.saved_config import saved_config

JUNK: tuple[Any, ...] = (
    None, True, -1, 10**100, 1e308, float("nan"), float("-inf"), "", "x" * 5000, "\x1b]0;t\x07\n[red]\u202e",
    "../../..", "/etc/passwd", "a\0b", [], {}, [[]], {"a": {"b": [1]}}, ["\x1b[31m"],
)  # fmt: skip


def paths_of(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every key of a record, at whatever depth."""
    found = [path] if path else []
    if isinstance(value, dict):
        found += [inner for key, child in value.items() for inner in paths_of(child, (*path, key))]
    return found


def with_value(content: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(content)
    node = changed
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return changed


def write(name: str, text: str | bytes) -> Path:
    file = Path("outputs") / name / "run.yaml"
    file.parent.mkdir(parents=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode(errors="surrogatepass"))
    return file


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, without a store of the user's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


def test_no_value_of_any_field_stops_a_command(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, other = recorded("good", started=at(2)), recorded("other", started=at(3), value=0.6)
    content = yaml.safe_load((good.folder / "run.yaml").read_text())
    for place_, path in enumerate(paths_of(content)):
        # Every field meets some of the junk, every piece of junk some fields.
        for number in range(3):
            junk = JUNK[(3 * place_ + number * 7) % len(JUNK)]
            changed = with_value(content, path, junk)
            if path[0] != "run_id":
                changed["run_id"] = f"{place_:016x}{number:016x}"
            write(f"{place_}-{number}", yaml.dump(changed, allow_unicode=True))
    for words in ([], ["--limit", "0"], ["--limit", "0", "--json"], ["--trials", "--limit", "0"], ["--tree"],
                  ["--tree", "--json"], ["--prune", "keep=1", "--dry-run"]):  # fmt: skip
        # What to remove is not decided while the best run may be one that cannot be read.
        assert main(["runs", *words]) == (2 if "--prune" in words else 0), words
        printed = capsys.readouterr()
        assert not set("\x1b\x07\u202e\0") & set(printed.out + printed.err), words
        if words[-1:] == ["0"]:
            assert good.run_id[:8] in printed.out
    assert main(["compare", good.run_id, other.run_id]) == 0


BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 20))


@pytest.mark.parametrize(
    "text",
    [
        b"", b"\0", b"\xff\xfe", b"[]", b"x", b"schema_version: 1", b"schema_version: 999", b"schema_version: true",
        BOMB.encode(), b"schema_version: 1\n" + BOMB.encode(), b"'" + b"k" * 10_000_000 + b"': 1", b"[" * 1_000_000,
        b"schema_version: 1\nconfig: {a: &x {b: *x}}\n",
    ],
    ids=range(13),
)  # fmt: skip
def test_what_is_no_record_is_one_line_and_refused_by_name(
    place: Path, capsys: pytest.CaptureFixture[str], text: bytes
) -> None:
    recorded("good")
    file = write("bad", text)
    assert main(["runs"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("broken ")]
    assert len(lines) == 1
    assert "bad/run.yaml" in lines[0]
    assert main(["runs", "--tree", "--json"]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert "bad/run.yaml" in line
    for command in (["reproduce"], ["evaluate"], ["promote"], ["export", "-"], ["compare", "good"]):
        assert main([command[0], str(file.parent), *command[1:]]) == 2
        assert "Traceback" not in capsys.readouterr().err


def test_a_record_that_is_no_file_is_not_waited_for(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recorded("good")
    for name, make in {"pipe": os.mkfifo, "folder": os.mkdir}.items():
        (Path("outputs") / name).mkdir()
        make(Path("outputs") / name / "run.yaml")
    os.mkdir("outputs/endless")
    os.symlink("/dev/zero", "outputs/endless/run.yaml")
    assert main(["runs"]) == 0
    assert "good" in capsys.readouterr().out


def unresolved(change: Callable[[dict[str, Any], dict[str, Any]], None]) -> RunRecord:
    """A record whose two configs were changed."""
    record = recorded("bomb")
    record.config_unresolved = copy.deepcopy(record.config)
    change(record.config, record.config_unresolved)
    record.save()
    return load_record(record.folder)


def test_references_to_references_do_not_grow(place: Path) -> None:
    def change(config: dict[str, Any], written: dict[str, Any]) -> None:
        config["data"] |= {f"x{i}": "x" for i in range(30)}
        written["data"] = {**config["data"], **{f"x{i}": f"${{data.x{i - 1}}}" * 9 for i in range(1, 30)}}

    record = unresolved(change)
    assert saved_config(record).data == record.config["data"]


def test_references_in_a_circle_are_the_recorded_values(place: Path) -> None:
    def change(config: dict[str, Any], written: dict[str, Any]) -> None:
        config["data"] |= {"a": 1, "b": 1}
        written["data"] = {**config["data"], "a": "${data.b}", "b": "${data.a}"}

    assert saved_config(unresolved(change)).data.a == 1


def test_a_reference_that_gives_what_was_recorded_goes_on_being_followed(place: Path) -> None:
    def change(config: dict[str, Any], written: dict[str, Any]) -> None:
        config["settings"] |= {"a": 1, "b": "0-1"}
        written["settings"] = {**config["settings"], "a": "${settings.num_epochs}", "b": "${seed}-${settings.a}"}

    config = saved_config(unresolved(change))
    config.settings.num_epochs = 7
    assert (config.settings.a, config.settings.b) == (7, "0-7")


@pytest.mark.parametrize(
    "name", ["../../../x", "/x", "a/../../b", ".hidden", "a\0b", "a\nb", "x" * 300, "", " x", "a//b"]
)
@pytest.mark.parametrize("key", [("method", "meta", "name"), ("iteration", "name")])
def test_a_name_that_leads_out_of_its_folder_is_a_bad_record(place: Path, key: tuple[str, ...], name: str) -> None:
    record = recorded("a")
    (record.folder / "run.yaml").write_text(yaml.safe_dump(with_value(record.model_dump(), ("config", *key), name)))
    with pytest.raises(HftError, match=r"config: .*name"):
        load_record(record.folder)
    assert [row.status for row in list_runs()] == ["broken"]


def test_json_of_a_bad_record_says_why(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write("bad", "schema_version: 1\nrun_id: a\nstarted: yesterday")
    assert main(["runs", "--json"]) == 0
    [row] = json.loads(capsys.readouterr().out)
    assert row["status"] == "broken"
    assert "started" in row["problem"]


def test_no_password_is_written_and_the_environment_gives_it_back(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = "postgresql://me:gFx7-sw0rd@127.0.0.1:9/db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    record = recorded("a", changes={"tracking": {"kind": "mlflow", "uri": address}})
    record.tracking = Tracking(kind="mlflow", uri=address, reason=f"{address} refuses", pending=True)
    record.results.error = f"host=h password=gFx7-sw0rd: {address}"
    record.save()
    text = (record.folder / "run.yaml").read_text()
    assert "gFx7-sw0rd" not in text
    assert load_record(record.folder).tracking.uri == address
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert load_record(record.folder).tracking.uri == "postgresql://me:***@127.0.0.1:9/db"
