"""What each slot's worker has to itself."""

from __future__ import annotations

import os
import signal
import stat
import sys

import pytest

from hft.search.launching.slots import available_cores, slot_environment, visible_gpus
from hft.search.launching.worker_handle import WorkerDied


def test_cores_are_divided_and_never_none():
    assert slot_environment(0, 1, [], {})["OMP_NUM_THREADS"] == str(available_cores())
    assert set(slot_environment(0, 10_000, [], {}).values()) == {"1"}


def test_what_the_user_has_set_stays():
    chosen = slot_environment(0, 2, [], {"OMP_NUM_THREADS": "7"})
    assert set(chosen) == {"MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"}


def test_slots_take_turns_on_the_gpus():
    assert [slot_environment(slot, 3, ["2", "5"])["CUDA_VISIBLE_DEVICES"] for slot in range(3)] == ["2", "5", "2"]
    assert "CUDA_VISIBLE_DEVICES" not in slot_environment(0, 3, [])


@pytest.mark.parametrize(
    ("said", "gpus"), [("", []), ("-1", []), ("1", ["1"]), ("3, 1", ["3", "1"]), ("GPU-8f,MIG-2", ["GPU-8f", "MIG-2"])]
)
def test_the_gpus_that_the_user_allows_are_the_ones(said, gpus):
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": said}) == gpus


def test_gpus_are_counted_by_the_driver_where_torch_is_not_loaded(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    command = tmp_path / "nvidia-smi"
    lines = (
        "GPU 0: NVIDIA H100 (UUID: GPU-1)\\n  MIG 1g.10gb Device 0: (UUID: MIG-1)\\nGPU 1: NVIDIA H100 (UUID: GPU-2)"
    )
    command.write_text(f"#!/bin/sh\nprintf '{lines}\\n'\n")
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert visible_gpus({}) == ["0", "1"]
    command.write_text("#!/bin/sh\nexit 9\n")
    assert visible_gpus({}) == []


@pytest.mark.parametrize(
    ("exitcode", "words"),
    [
        (-signal.SIGKILL, "SIGKILL (by hand"),
        (-signal.SIGSEGV, "killed by SIGSEGV"),
        (3, "exit status 3"),
        (-250, "250"),
    ],
)
def test_a_workers_death_is_told_in_words(exitcode, words):
    assert words in WorkerDied(exitcode).reason
