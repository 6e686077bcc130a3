"""Trials through Hydra's launchers: one after another in this process, or a thread each."""

from __future__ import annotations

import sys
import threading
import weakref
from typing import Any

import pytest
from hydra.core.utils import JobReturn, JobStatus

from hft.search.launching.hydra_launcher import InProcessLauncher, ThreadLauncher
from hft.search.launching.job_outcome import Expected

EXPECTED = Expected(("value",))


def returned(value: Any) -> JobReturn:
    """What a launcher gives back of a job that returned a value."""
    job = JobReturn(status=JobStatus.COMPLETED)
    job.return_value = value
    return job


def test_one_trial_at_a_time_runs_when_it_is_waited_for():
    launched: list[int] = []

    def launch(overrides: list[str], number: int) -> JobReturn:
        launched.append(number)
        return returned(float(overrides[0].removeprefix("x=")))

    launcher = InProcessLauncher(launch, EXPECTED)
    launcher.start(4, ["x=2"])
    assert launched == []
    (finished,) = launcher.wait()
    assert (finished.number, finished.outcome.values) == (4, (2.0,))
    assert launcher.wait() == []


def test_sys_exit_fails_its_trial_alone():
    launcher = InProcessLauncher(lambda overrides, number: sys.exit(7), EXPECTED)
    launcher.start(0, [])
    (finished,) = launcher.wait()
    assert (finished.outcome.state, finished.outcome.reason) == ("failed", "SystemExit: 7")


def test_ctrl_c_comes_through():
    def interrupted(overrides: list[str], number: int) -> JobReturn:
        raise KeyboardInterrupt

    launcher = InProcessLauncher(interrupted, EXPECTED)
    launcher.start(0, [])
    with pytest.raises(KeyboardInterrupt):
        launcher.wait()


def test_a_failed_trial_keeps_nothing_of_its_job_alive():
    class Model:
        pass

    models: list[weakref.ref[Model]] = []

    def launch(overrides: list[str], number: int) -> JobReturn:
        model = Model()
        models.append(weakref.ref(model))
        raise RuntimeError("out of memory")

    launcher = InProcessLauncher(launch, EXPECTED)
    launcher.start(0, [])
    (finished,) = launcher.wait()
    assert finished.outcome.error is not None
    assert models[0]() is None


def test_a_free_slot_takes_a_trial_while_another_still_runs():
    gate = threading.Event()

    def launch(overrides: list[str], number: int) -> JobReturn:
        if number == 0:
            gate.wait(60)
        return returned(float(number))

    launcher = ThreadLauncher([launch, launch], EXPECTED)
    launcher.start(0, [])
    for number in (1, 2, 3):
        launcher.start(number, [])
        assert [finished.number for finished in launcher.wait()] == [number]
    assert launcher.wait(timeout=0.01) == []
    gate.set()
    assert [finished.number for finished in launcher.wait()] == [0]


def test_an_interrupt_in_a_job_of_another_process_is_a_failed_trial():
    def interrupted(overrides: list[str], number: int) -> JobReturn:
        raise KeyboardInterrupt

    launcher = ThreadLauncher([interrupted], EXPECTED)
    launcher.start(0, [])
    (finished,) = launcher.wait()
    assert finished.outcome.reason == "KeyboardInterrupt"


class _Cancelled(BaseException):
    pass


@pytest.mark.parametrize("came", [_Cancelled, KeyboardInterrupt])
def test_whatever_ends_a_launch_in_a_thread_is_heard_of(came):
    def launch(overrides: list[str], number: int) -> JobReturn:
        raise came

    launcher = ThreadLauncher([launch], EXPECTED)
    launcher.start(0, [])
    (finished,) = launcher.wait(timeout=60)
    assert (finished.outcome.state, finished.outcome.reason) == ("failed", came.__name__)


def test_a_return_that_cannot_be_read_fails_its_trial_alone():
    launcher = ThreadLauncher([lambda overrides, number: "no JobReturn"], EXPECTED)
    launcher.start(0, [])
    (finished,) = launcher.wait(timeout=60)
    assert finished.outcome.state == "failed"
