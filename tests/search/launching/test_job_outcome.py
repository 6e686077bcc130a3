"""What a job may return, and what is made of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf

from hft.search.launching.job_outcome import (
    Expected,
    keep_traceback,
    outcome_of_error,
    outcome_of_job,
    outcome_of_value,
)
from hft.search.trial import TrialPruned

ONE, TWO = Expected(("loss",)), Expected(("loss", "time"))

VALUES = [
    (0.5, ONE, (0.5,)),
    (3, ONE, (3.0,)),
    (np.float32(0.25), ONE, (0.25,)),
    (np.array(0.25), ONE, (0.25,)),
    ([0.5], ONE, (0.5,)),
    ((0.5, 2), TWO, (0.5, 2.0)),
    (np.array([0.5, 2.0]), TWO, (0.5, 2.0)),
    ({"loss": 0.5}, ONE, (0.5,)),
    ({"value": 0.5}, ONE, (0.5,)),
    ({"value": 9.0, "loss": 0.5}, ONE, (0.5,)),
    ({"time": 2.0, "loss": 0.5}, TWO, (0.5, 2.0)),
    (OmegaConf.create({"loss": 0.5}), ONE, (0.5,)),
]

NO_VALUES = [
    (None, ONE, "returned nothing"),
    (math.nan, ONE, "loss is nan"),
    (-math.inf, ONE, "loss is -inf"),
    ("0.5", ONE, "expected: a number"),
    (True, ONE, "expected: a number"),
    ({"accuracy": 1.0}, ONE, "without loss; found: accuracy"),
    ({}, ONE, "found: nothing"),
    (0.5, TWO, "one value"),
    ([0.5], TWO, "1 values"),
    ([0.5, math.nan], TWO, "time is nan"),
    ({"loss": 1.0}, TWO, "without time"),
]


@pytest.mark.parametrize(("returned", "expected", "values"), VALUES)
def test_numbers_are_values(returned, expected, values):
    outcome = outcome_of_value(returned, expected, folder="there", seconds=2.0)
    assert (outcome.state, outcome.values, outcome.folder, outcome.seconds) == ("done", values, "there", 2.0)


@pytest.mark.parametrize(("returned", "expected", "reason"), NO_VALUES)
def test_what_is_no_number_is_a_failure_that_says_so(returned, expected, reason):
    outcome = outcome_of_value(returned, expected)
    assert (outcome.state, outcome.values) == ("failed", ())
    assert reason in (outcome.reason or "")


def test_details_are_what_json_can_hold():
    returned = {"loss": 1.0, "run_id": "a1", "model": object(), "share": np.float64(0.5), "worst": math.nan}
    assert outcome_of_value(returned, ONE).details == {"run_id": "a1", "share": 0.5}


def test_a_job_of_an_enumeration_is_done_whatever_it_returns():
    outcome = outcome_of_value({"run_id": "a1"}, Expected(("loss",), is_required=False))
    assert (outcome.state, outcome.values, outcome.details) == ("done", (), {"run_id": "a1"})


def test_an_error_is_a_failure_with_its_type_and_its_traceback_in_the_folder(tmp_path):
    try:
        raise ValueError("no\nsuch thing")
    except ValueError as error:
        outcome = outcome_of_error(error, folder=str(tmp_path))
    assert (outcome.state, outcome.reason) == ("failed", "ValueError: no such thing")
    keep_traceback(outcome)
    assert "test_job_outcome.py" in (tmp_path / "traceback.txt").read_text()


def test_a_pruned_trial_is_no_failure(tmp_path):
    outcome = outcome_of_error(TrialPruned("worse than the median"), folder=str(tmp_path))
    assert (outcome.state, outcome.reason) == ("pruned", "worse than the median")
    keep_traceback(outcome)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_job_is_read_without_a_word_on_stderr(capsys):
    job = JobReturn(status=JobStatus.FAILED)
    job.return_value = KeyError("gone")
    outcome = outcome_of_job(job, ONE, seconds=1.0)
    assert outcome.reason == "KeyError: 'gone'"
    assert capsys.readouterr().err == ""


class _Mute(Exception):  # noqa: N818 - it is what somebody may have written
    def __str__(self) -> str:
        raise ValueError("no message")


@pytest.mark.parametrize("returned", [10**400, OmegaConf.create({"loss": "${nowhere}"}), {"loss": 10**400}])
def test_what_cannot_be_read_as_a_number_is_a_failure_and_no_error_of_the_sweep(returned):
    assert outcome_of_value(returned, ONE).state == "failed"
    assert outcome_of_value(returned, Expected(("loss",), is_required=False)).state == "done"


def test_an_error_that_cannot_tell_its_message_is_told_by_its_name():
    assert outcome_of_error(_Mute()).reason.startswith("_Mute: ")


def test_a_reason_can_be_written_to_any_file():
    assert outcome_of_error(OSError("no file \udcff")).reason.encode()


def test_ctrl_c_that_a_library_turned_into_an_exit_is_ctrl_c():
    try:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise SystemExit(1)  # noqa: B904 - as libraries do it
    except SystemExit as error:
        with pytest.raises(KeyboardInterrupt):
            outcome_of_error(error)
