"""Bad input: one clear message with the key or file:line, the right exit status, and nothing half-written left."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hft.checksums import CHECKSUMS_NAME, check_folder
from hft.cli import main
from hft.experiments import load_record
from small_collections import items, sessions, write_lines

Refusal = Callable[..., str]


@pytest.fixture
def refused(place: Path, capsys: pytest.CaptureFixture[str]) -> Refusal:
    """Runs the command and gives its one message; checks exit status, tracebacks and what lies about."""

    def run(*arguments: str, status: int = 2) -> str:
        found = main(list(arguments))
        printed = capsys.readouterr().err
        assert found == status, printed
        assert "Traceback" not in printed
        messages = [line for line in printed.splitlines() if line.startswith("hft: ")]
        assert len(messages) <= 1, printed
        left = [path for path in place.rglob("*") if path.name.endswith((".partial", ".old"))]
        assert left == []
        assert not [path for path in place.rglob("model") if path.is_dir() and not (path / "modules.json").is_file()]
        return messages[0] if messages else printed

    return run


def _nothing_was_left(place: Path) -> bool:
    return not [path for path in place.rglob("*") if path.is_file()]


def _replaced(small_run: list[str], **files: Path) -> list[str]:
    """The small run with other files."""
    named = [f"data.source.{name}=" for name in files]
    kept = [override for override in small_run if not override.startswith(tuple(named))]
    return [*kept, *(f"data.source.{name}={path}" for name, path in files.items())]


def test_an_unknown_option_of_a_group_names_the_nearest(refused: Refusal, place: Path, small_run: list[str]) -> None:
    message = refused("train", *small_run, "loss=infonse")
    assert "loss: found infonse" in message
    assert "did you mean loss=infonce?" in message
    assert _nothing_was_left(place)


def test_a_wrong_type_names_the_key(refused: Refusal, place: Path, small_run: list[str]) -> None:
    message = refused("train", *small_run, "settings.num_epochs=many")
    assert "settings.num_epochs" in message
    assert "many" in message
    assert _nothing_was_left(place)


def test_a_value_out_of_range_names_key_and_range(refused: Refusal, place: Path, small_run: list[str]) -> None:
    message = refused("train", *small_run, "params.items_lr=-1")
    assert "params.items_lr" in message
    assert "-1" in message
    assert "0" in message
    assert _nothing_was_left(place)


def test_all_that_is_wrong_is_told_at_once(refused: Refusal, small_run: list[str]) -> None:
    message = refused("train", *small_run, "params.margim=1", "settings.batch_size=0", "loss.temprature=1")
    assert "did you mean params.margin?" in message
    assert "settings.batch_size" in message
    assert "did you mean loss.temperature?" in message


def test_a_missing_file_names_key_and_file(refused: Refusal, place: Path, small_run: list[str]) -> None:
    message = refused("train", *_replaced(small_run, sessions=place / "nowhere.jsonl"))
    assert "data.source.sessions" in message
    assert "nowhere.jsonl" in message
    assert _nothing_was_left(place)


def test_a_missing_folder_names_key_and_folder(refused: Refusal, place: Path, two_steps: list[str]) -> None:
    message = refused("train", "data=beir", "data.source.folder=nowhere", *two_steps)
    assert "data.source.folder" in message
    assert "nowhere" in message
    assert _nothing_was_left(place)


def test_a_value_that_must_be_given_is_asked_for(refused: Refusal, place: Path, two_steps: list[str]) -> None:
    message = refused("train", "data=sessions", *two_steps)
    assert "data.source.sessions" in message
    assert "data.source.items" in message
    assert "???" not in message


@pytest.mark.parametrize("name", ["sessions", "items"])
def test_an_empty_file_is_named(refused: Refusal, place: Path, small_run: list[str], name: str) -> None:
    (place / "empty.jsonl").touch()
    message = refused("train", *_replaced(small_run, **{name: place / "empty.jsonl"}))
    assert "empty.jsonl: the file is empty" in message
    assert not (place / "outputs" / "text_embeddings").exists() or not list(
        (place / "outputs" / "text_embeddings").iterdir()
    )


def test_data_without_any_event_is_refused(refused: Refusal, place: Path, small_run: list[str]) -> None:
    rows = write_lines(place / "silent.jsonl", ({**row, "events": []} for row in sessions()))
    message = refused("train", *_replaced(small_run, sessions=rows))
    assert "none of the 48 sessions has an event" in message
    assert "data.source.fields.events" in message


def test_a_one_sided_split_says_which_and_what_to_change(refused: Refusal, place: Path, small_run: list[str]) -> None:
    rows = write_lines(place / "same.jsonl", ({**row, "query": "a warm tent"} for row in sessions()))
    message = refused("train", *_replaced(small_run, sessions=rows))
    assert "data.splitter" in message
    assert "no session is left for" in message
    assert "data/splitter=" in message


def test_a_field_of_another_name_is_asked_for(refused: Refusal, place: Path, small_run: list[str]) -> None:
    rows = [{"search_term" if key == "query" else key: value for key, value in row.items()} for row in sessions()]
    message = refused("train", *_replaced(small_run, sessions=write_lines(place / "other.jsonl", rows)))
    assert "data.source.fields.query" in message
    assert "search_term" in message


@pytest.mark.parametrize(
    "arguments", [("reproduce", "nosuchrun"), ("embed", "nosuchrun", "texts.txt"), ("export", "nosuchrun", "out")]
)
def test_an_unknown_run_is_told_by_its_name(refused: Refusal, place: Path, arguments: tuple[str, ...]) -> None:
    (place / "texts.txt").write_text("a tent\n")
    message = refused(*arguments)
    assert "'nosuchrun'" in message
    assert "hft train makes one" in message
    assert {path.name for path in place.iterdir()} == {"texts.txt"}


def test_pickled_weights_are_refused(refused: Refusal, place: Path, small_run: list[str], tiny_bert: Path) -> None:
    shutil.copytree(tiny_bert, place / "pickled")
    (place / "pickled" / "model.safetensors").rename(place / "pickled" / "pytorch_model.bin")
    message = refused("train", *small_run, "model.source=pickled")
    assert "pytorch_model.bin" in message
    assert "safetensors" in message
    assert not list((place / "outputs").rglob("run.yaml"))


def test_another_checksum_is_refused(refused: Refusal, place: Path, small_run: list[str]) -> None:
    message = refused("train", *small_run, f"model.sha256={'0' * 64}")
    assert "model.safetensors: the SHA-256 is" in message
    assert f"expected {'0' * 64}" in message
    assert not list((place / "outputs").rglob("run.yaml"))


def test_a_number_as_checksum_is_refused_by_the_check(refused: Refusal, small_run: list[str]) -> None:
    assert "model.sha256" in refused("train", *small_run, "model.sha256=12")


@pytest.fixture
def small_disk(place: Path) -> Path:
    """A file system of 400 kB, where this user may mount one."""
    folder = place / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("this user may not mount a file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.pictures  # which fill the disk
def test_a_full_disk_is_told_and_leaves_no_half_file(refused: Refusal, small_disk: Path, small_run: list[str]) -> None:
    message = refused("train", *small_run, f"outputs={small_disk}/outputs", status=1)
    assert "No space left on device" in message
    assert str(small_disk) in message
    assert "outputs=FOLDER" in message
    for model in small_disk.rglob("model"):
        assert (model / CHECKSUMS_NAME).is_file()
        check_folder(model, remedy="")
    assert not list(small_disk.rglob(".model.*"))


def test_a_disk_that_fills_while_the_model_is_saved(
    refused: Refusal, place: Path, small_run: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def full(descriptor: int) -> None:
        if "/.model." in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("this system does not tell what a descriptor is open on")
    monkeypatch.setattr(os, "fsync", full)
    message = refused("train", *small_run, status=1)
    [record] = [load_record(path) for path in place.rglob("run.yaml")]
    assert "model: cannot be written: No space left on device" in message
    assert record.status == "failed"
    assert "No space left" in str(record.results.error)
    assert not (record.folder / "model").exists()
    assert not (record.folder / "report.json").exists()


def _with_bad_lines(place: Path, bad: list[str]) -> Path:
    path = write_lines(place / "mixed.jsonl", sessions())
    good = path.read_text().splitlines()
    path.write_text("\n".join([*good[:2], *bad, *good[2:]]) + "\n")
    return path


BAD_LINES = ['{"query": "cut off', '{"query": "", "results": ["a", "b"], "events": []}', "[1, 2]"]


def test_malformed_lines_go_to_the_quarantine_with_line_and_reason(
    place: Path, small_run: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = _with_bad_lines(place, BAD_LINES)
    status = main(["train", *_replaced(small_run, sessions=path)])
    printed = capsys.readouterr().err
    assert status == 0
    assert "3 of 51 lines" in printed
    [file] = (place / "outputs").rglob("quarantine.jsonl")
    entries = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(Path(entry["file"]).name, entry["line"], entry["raw"]) for entry in entries] == [
        ("mixed.jsonl", number, raw) for number, raw in enumerate(BAD_LINES, start=3)
    ]
    assert all(entry["reason"] for entry in entries)


def test_too_many_malformed_lines_name_the_key_and_keep_the_quarantine(
    refused: Refusal, place: Path, small_run: list[str]
) -> None:
    message = refused("train", *_replaced(small_run, sessions=_with_bad_lines(place, BAD_LINES * 4)))
    [file] = (place / "outputs").rglob("quarantine.jsonl")
    assert "mixed.jsonl: 12 of 60 lines" in message
    assert "data.max_quarantined_share" in message
    assert str(file.relative_to(place)) in message
    assert len(file.read_text().splitlines()) == 12


def test_an_evaluation_keeps_the_malformed_lines_too(refused: Refusal, place: Path, small_run: list[str]) -> None:
    wrong = _replaced(small_run, sessions=_with_bad_lines(place, BAD_LINES * 4))
    source = next(override.partition("=")[2] for override in wrong if override.startswith("model.source="))
    others = [override for override in wrong if not override.startswith(("model=", "model.source="))]
    message = refused("evaluate", source, *others)
    [file] = (place / "outputs" / "quarantine").iterdir()
    assert str(file.relative_to(place)) in message


@pytest.fixture
def finished(place: Path, small_run: list[str], capsys: pytest.CaptureFixture[str]) -> Path:
    """The folder of a run that is done."""
    assert main(["train", *small_run]) == 0
    capsys.readouterr()
    [record] = place.rglob("run.yaml")
    return record.parent


@pytest.mark.parametrize("content", ["status: [", "hello", "", "schema_version: 1\nstatus: odd\n", "\x00\x01"])
def test_a_damaged_run_record_is_named(refused: Refusal, finished: Path, content: str) -> None:
    (finished / "run.yaml").write_text(content)
    for command in ("reproduce", "evaluate"):
        message = refused(command, str(finished))
        assert f"{finished}/run.yaml: is not a run record that can be read" in message
        assert len(message) < 500


def test_a_run_in_or_around_another_one_is_refused(refused: Refusal, finished: Path, small_run: list[str]) -> None:
    before = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}
    within = refused("train", *small_run, f"hydra.run.dir={finished}/model")
    assert f"lies in the folder of run {load_record(finished).run_id[:8]}" in within
    assert "holds runs in folders of their own" in refused("train", *small_run, f"hydra.run.dir={finished.parent}")
    assert {path: path.read_bytes() for path in finished.parent.rglob("*") if path.is_file()} == before


def test_a_run_whose_model_is_gone_is_told(refused: Refusal, finished: Path, place: Path) -> None:
    shutil.rmtree(finished / "model")
    (place / "texts.txt").write_text("a tent\n")
    message = refused("embed", str(finished), "texts.txt")
    assert load_record(finished).run_id[:8] in message
    assert "hft reproduce" in message


def test_a_loss_that_is_no_number_fails_the_run(refused: Refusal, place: Path, small_run: list[str]) -> None:
    overflowing = ["loss.temperature=1e-44", "params.items_lr=1"]
    message = refused("train", *small_run, *overflowing, status=1)
    [record] = [load_record(path) for path in place.rglob("run.yaml")]
    assert "The loss became nan at step" in message
    assert "params.items_lr" in message
    assert record.status == "failed"
    assert str(record.results.error) in f"{message}"
    assert not (record.folder / "model").exists()
    assert not (record.folder / "report.json").exists()


def test_the_command_itself_exits_with_2_and_no_traceback(place: Path, small_run: list[str]) -> None:
    (place / "empty.jsonl").touch()
    done = subprocess.run(
        [sys.executable, "-m", "hft", "train", *_replaced(small_run, items=place / "empty.jsonl")],
        cwd=place, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"hft: {place}/empty.jsonl: the file is empty.")
    assert "Traceback" not in done.stderr


def test_an_outputs_folder_that_cannot_be_is_a_wrong_request(place: Path, small_run: list[str]) -> None:
    (place / "outputs").write_text("a file where the folder of runs should be")
    done = subprocess.run(
        [sys.executable, "-m", "hft", "train", *small_run], cwd=place, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "error: outputs: cannot write to" in done.stderr
    assert "Traceback" not in done.stderr


def test_items_and_sessions_that_do_not_belong_together(refused: Refusal, place: Path, small_run: list[str]) -> None:
    rows = write_lines(place / "others.jsonl", ({**row, "item_id": f"x-{row['item_id']}"} for row in items()))
    message = refused("train", *_replaced(small_run, items=rows))
    assert "sessions.jsonl" in message
    assert "no session is left of 48 lines: 48 x results that no item has the id of were left out" in message
    assert "Do the items belong to these sessions?" in message


def test_a_folder_without_files_of_records_is_called_one(refused: Refusal, place: Path, small_run: list[str]) -> None:
    (place / "logs").mkdir()
    message = refused("train", *_replaced(small_run, sessions=place / "logs"))
    assert "is a folder without a file of a known format" in message
