"""hft.train from files to a finished run: it repeats bit by bit, leaves what it should, and fails in one message."""

from __future__ import annotations

import errno
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import hft
from hft.errors import ConfigError, StorageError, TrainingError
from hft.experiments import load_record
from hft.experiments.steps import read_steps, repeatable
from hft.losses import InfoNCELoss
from hft.training.checkpoint_folder import checkpoints_in

WORDS = ("server", "film", "path", "number", "list", "cinema", "message", "file", "answer", "night", "door", "tree")
Run = Callable[..., Path]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Session files: 60 queries, four shown items each, the second one picked."""
    folder = tmp_path_factory.mktemp("files")
    items = [{"item_id": f"i{n}", "text": f"a {WORDS[n % 12]} and a {WORDS[n * 7 % 12]} number {n}"} for n in range(48)]
    sessions = [
        {
            "session_id": f"s{n}",
            "query": f"{WORDS[n % 12]} {WORDS[n // 12]} {n}",
            "results": [f"i{(n * 5 + place * 11) % 48}" for place in range(4)],
            "events": [f"i{(n * 5 + 11) % 48}"],
        }
        for n in range(60)
    ]
    for name, rows in (("items", items), ("sessions", sessions)):
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return folder


@pytest.fixture
def train(files: Path, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`train(folder name, *overrides)` trains into a folder of tmp_path and returns it."""
    monkeypatch.chdir(tmp_path)

    def call(name: str, *overrides: str) -> Path:
        given = [
            "data=sessions",
            f"data.source.sessions={files}/sessions.jsonl",
            f"data.source.items={files}/items.jsonl",
            "model=local",
            f"model.source={tiny_bert}",
            "model.max_length=32",
            "model.dropout=0.2",
            "settings.batch_size=8",
            "settings.negatives=both",
            "params.items_lr=1e-3",
            "params.query_lr=1e-3",
            "trainer=cpu",
            "trainer.enable_progress_bar=false",
            "tracking=csv",
            "threads=1",
            *overrides,
        ]
        hft.train(hft.compose(given), folder=tmp_path / name, overrides=given)
        return tmp_path / name

    return call


def steps_of(run: Path) -> list[dict[str, Any]]:
    return [repeatable(row) for row in read_steps(run / "steps.jsonl")]


def weights_of(run: Path) -> dict[str, torch.Tensor]:
    found = {
        f"{file.parent.relative_to(run)}/{name}": value
        for file in sorted((run / "model").rglob("*.safetensors"))
        for name, value in load_file(file).items()
    }
    assert found
    return found


def assert_equal_runs(first: Path, second: Path) -> None:
    assert steps_of(first) == steps_of(second)
    one, other = weights_of(first), weights_of(second)
    assert set(one) == set(other)
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def leftovers(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.endswith((".partial", ".old", ".tmp"))]


def test_two_runs_are_equal_to_the_last_bit_whatever_ran_between_them(train: Run) -> None:
    first = train("first")
    train("other", "threads=2", "seed=7", "trainer.max_steps=1", "data.limit_sessions=10")
    assert_equal_runs(first, train("second"))
    assert steps_of(first) != steps_of(Path("other"))


def test_two_runs_with_two_towers_are_equal_to_the_last_bit(train: Run) -> None:
    assert_equal_runs(train("first", "model.shared=false"), train("second", "model.shared=false"))


def test_a_run_that_succeeded_keeps_its_model_and_no_checkpoint(train: Run) -> None:
    run = train("run", "trainer.max_steps=2")
    assert (run / "model" / "modules.json").is_file()
    assert not (run / "checkpoints").exists()
    assert load_record(run).status == "done"
    assert leftovers(run) == []


def test_checkpoints_stay_where_they_are_asked_for(train: Run) -> None:
    run = train("run", "trainer.max_steps=4", "+trainer.enable_checkpointing=true", "checkpoints.every_n_steps=2")
    assert [path.name for path in checkpoints_in(run / "checkpoints")] == ["step-00000004", "step-00000002"]


def test_after_a_run_the_model_is_on_the_cpu(
    train: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The model leaves for the device and comes back, also where the training fails."""
    went: list[str] = []
    to = torch.nn.Module.to

    def noting(self: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
        if args and isinstance(args[0], str) and type(self).__name__ == "TextEmbeddingModel":
            went.append(args[0])
        return to(self, *args, **kwargs)

    monkeypatch.setattr(torch.nn.Module, "to", noting)
    monkeypatch.setattr(InfoNCELoss, "forward", lambda self, features: features.positive_ranks.sum() * math.nan)
    with pytest.raises(TrainingError):
        train("run", "loss=infonce")
    assert went[-1] == "cpu"
    assert len(went) > 1


def test_a_loss_that_is_not_a_number_is_a_failure_on_record(train: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(InfoNCELoss, "forward", lambda self, features: features.positive_ranks.sum() * math.nan)
    with pytest.raises(TrainingError, match="loss became nan"):
        train("run", "loss=infonce")
    record = load_record(Path("run"))
    assert record.status == "failed"
    assert "loss became nan" in str(record.results)
    assert not Path("run/model").exists()


def test_an_unmeasured_main_metric_is_a_wrong_request(train: Run) -> None:
    with pytest.raises(ConfigError, match=r"ndcg@11"):
        train("run", "method.main_metric=ndcg@11")


def no_space(*args: Any, **kwargs: Any) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class FullDisk:
    """A file that takes some bytes and then says that the disk is full."""

    def __init__(self, file: Any, room: int) -> None:
        self.file, self.room = file, room

    def write(self, data: bytes) -> int:
        self.room -= len(data)
        return int(self.file.write(data)) if self.room > 0 else no_space()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def __enter__(self) -> FullDisk:
        return self

    def __exit__(self, *args: Any) -> None:
        self.file.close()


def full_disk_for(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    """The disk is full for files whose name holds the word."""
    import hft.files

    create = hft.files._create

    def creating(path: Path, mode: Any) -> Any:
        file = create(path, mode)
        return FullDisk(file, room=0) if word in path.name else file

    monkeypatch.setattr(hft.files, "_create", creating)


def assert_failed_for_want_of_space(run: Path, error: StorageError) -> None:
    message = str(error)
    assert "No space left on device" in message
    assert "\n" not in message
    assert error.exit_status == 1
    record = load_record(run)
    assert record.status == "failed"
    assert "No space left" in str(record.results)
    assert leftovers(run) == []


def test_a_disk_that_fills_while_a_checkpoint_is_written(train: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hft.training.checkpoint_folder.save_file", no_space)
    with pytest.raises(StorageError, match=r"cannot be written") as caught:
        train("run", "checkpoints.every_n_steps=1")
    assert_failed_for_want_of_space(Path("run"), caught.value)
    assert checkpoints_in(Path("run/checkpoints")) == []


def test_a_disk_that_fills_while_the_model_is_saved(train: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def half_a_file(tensors: Any, filename: Any, *args: Any, **kwargs: Any) -> None:
        Path(filename).write_bytes(b"half")
        no_space()

    monkeypatch.setattr("transformers.modeling_utils.safe_save_file", half_a_file)
    with pytest.raises(StorageError, match=r"model: cannot be written") as caught:
        train("run", "trainer.max_steps=1")
    assert_failed_for_want_of_space(Path("run"), caught.value)
    assert not Path("run/model").exists()
    assert not Path("run/report.json").exists()


def test_the_command_says_it_in_one_message_and_exits_with_1(
    train: Run, files: Path, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from hft.cli import main

    monkeypatch.setattr("hft.training.checkpoint_folder.save_file", no_space)
    arguments = [
        *("train", "data=sessions", f"data.source.sessions={files}/sessions.jsonl"),
        *(f"data.source.items={files}/items.jsonl", "model=local", f"model.source={tiny_bert}"),
        *("model.max_length=32", "tracking=csv", "threads=1", "trainer=debug"),
        "checkpoints.every_n_steps=1",
    ]
    assert main(arguments) == 1
    told = capsys.readouterr().err
    assert "No space left on device" in told
    assert "Traceback" not in told
