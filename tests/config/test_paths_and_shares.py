"""What single values do not tell, and the run would refuse: the check refuses it first."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hft.config import check


def errors(*overrides: str) -> dict[str, str]:
    """Text of each error, by where it is."""
    return {finding.where: str(finding) for finding in check(overrides).errors}


@pytest.mark.parametrize("splitter", ["by_query", "by_group"])
def test_shares_that_leave_nothing_for_train_are_refused_with_both_keys(folder, splitter):
    shares = ("data.splitter.validation=0.5", "data.splitter.test=0.5")
    found = errors(f"data/splitter={splitter}", *shares)
    assert set(found) == {"data.splitter.validation"}
    assert "data.splitter.test is 0.5" in found["data.splitter.validation"]
    assert errors(f"data/splitter={splitter}", shares[0]) == {}


def test_a_path_of_a_model_that_is_not_there_is_refused(folder):
    assert set(errors("model=local", "model.source=/nope")) == {"model.source"}
    assert set(errors("model=local", "model.source=./nope")) == {"model.source"}
    (folder / "mine").mkdir()
    assert errors("model=local", "model.source=./mine") == {}


def test_outputs_that_are_a_file_are_refused(write):
    write("taken", "")
    assert "Set outputs=DIR" in errors("outputs=taken")["outputs"]
    assert "cannot write to taken/runs" in errors("outputs=taken/runs")["outputs"]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc here")
def test_outputs_that_cannot_be_made_are_refused(folder):
    assert "cannot write to /proc/x (" in errors("outputs=/proc/x")["outputs"]


def test_looking_whether_outputs_can_be_written_leaves_nothing(folder):
    assert errors("outputs=a/b") == {}
    assert os.listdir(folder) == []
