"""run.yaml: the first half is there before step 1, the second after the run; what cannot be read is named."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from small_runs import plain, small_config, start_run, train_line

from hft.errors import DataError, RunNotFoundError
from hft.experiments import load_record, new_run_folder, weights_hash
from waiting import wait_until


def test_the_first_half_is_on_disk_before_step_1() -> None:
    config = small_config()
    start_run(config, Path("run"), choices={"loss": "infonce"}, overrides=["loss=infonce"], parent="abc")
    content = yaml.safe_load(Path("run/run.yaml").read_text())
    assert content["schema_version"] == 1
    assert content["status"] == "running"
    assert content["choices"] == {"loss": "infonce"}
    assert content["overrides"] == ["loss=infonce"]
    assert content["hashes"] == {"data": "data-1", "base_model": "base-1"}
    assert content["parent"] == "abc"
    assert content["config"] == plain(config)
    assert content["config_unresolved"]["trainer"]["max_epochs"] == "${settings.num_epochs}"
    assert content["environment"]["threads"] == torch.get_num_threads()
    assert content["environment"]["kernels"]["cpu_capability"] == torch.backends.cpu.get_cpu_capability()
    assert content["versions"]["torch"] == torch.__version__
    assert content["hardware"]["cores"] == os.cpu_count()
    assert content["results"]["finished"] is None


def test_the_second_half_says_what_came_out() -> None:
    train_line(small_config(), Path("run"), score=0.75)
    record = load_record("run")
    assert record.status == "done"
    assert record.results.metrics["test_ndcg@10"] == 0.75
    assert record.results.weights == weights_hash("run/model")
    assert record.results.num_steps == 12
    assert record.results.seconds["training"] == 1.5
    assert record.results.seconds["total"] >= 0


def test_a_record_comes_back_as_it_was_written() -> None:
    written = train_line(small_config(params__items_lr=1e-5, run_name="2026-01-01"), Path("run"))
    assert load_record("run").model_dump() == written.model_dump()
    assert load_record("run/run.yaml").folder == Path("run")


def test_a_record_that_is_missing_is_no_run() -> None:
    with pytest.raises(RunNotFoundError, match=r"nowhere.run\.yaml"):
        load_record("nowhere")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("a: [1,", r"line \d"),
        ("", "schema_version"),
        ("- 1", "schema_version"),
        ("schema_version: 1\nstatus: happy", "status"),
        ("schema_version: 1\nsurprise: 1", "surprise"),
        (b"\xff\xfe\x00", "decode|special characters"),
    ],
)
def test_a_broken_record_is_named_with_the_reason(content: str | bytes, reason: str) -> None:
    Path("run").mkdir()
    Path("run/run.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=rf"run.run\.yaml: is not a run record that can be read: (?s:.)*({reason})"):
        load_record("run")


def test_a_record_of_a_newer_schema_is_refused_with_what_to_do() -> None:
    Path("run").mkdir()
    Path("run/run.yaml").write_text("schema_version: 99\nunknown: 1\n")
    with pytest.raises(DataError, match=r"newer hft \(schema 99; .*Upgrade hft"):
        load_record("run")


def test_a_record_holds_no_python_objects() -> None:
    Path("run").mkdir()
    Path("run/run.yaml").write_text("schema_version: 1\nname: !!python/object/apply:os.system ['touch owned']\n")
    with pytest.raises(DataError):
        load_record("run")
    assert not Path("owned").exists()


def test_a_run_that_still_goes_is_running() -> None:
    start_run(small_config(), Path("run"))
    assert load_record("run").status_now == "running"


def test_a_run_whose_process_was_killed_is_interrupted() -> None:
    script = (
        "import sys, time; sys.path.insert(0, sys.argv[1]); from small_runs import *\n"
        "run = start_run(small_config(), Path('run')); run.log({'step': 1, 'train_loss': 0.5}); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(Path(__file__).parent)])
    steps = Path("run/steps.jsonl")
    wait_until(lambda: steps.exists() and steps.stat().st_size, "a step")
    assert load_record("run").status_now == "running"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert load_record("run").status == "running"
    assert load_record("run").status_now == "interrupted"


def test_a_run_of_another_machine_may_still_run() -> None:
    run = start_run(small_config(), Path("run"))
    run.record.process = run.record.process.model_copy(update={"host": "elsewhere", "pid": 1})
    run.record.save()
    assert load_record("run").status_now == "running"


def test_two_runs_at_once_get_two_folders() -> None:
    folders = {new_run_folder("outputs", "line") for _ in range(20)}
    assert len(folders) == 20
    assert all(folder.parent == Path("outputs/line") for folder in folders)
