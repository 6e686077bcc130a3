"""Slips in a user's own files: told with the file, the line and what to write, and only where the request reads it."""

from __future__ import annotations

import pytest

from hft.config import check

GLOBAL = "# @package _global_\n"


def errors(*overrides: str) -> dict[str, str]:
    """Text of each error, by where it is."""
    return {finding.where: str(finding) for finding in check(overrides).errors}


def test_a_broken_file_that_the_request_does_not_read_is_only_warned_of(write):
    path = write("conf/loss/broken.yaml", "a: [\n")
    report = check(["loss=margin"])
    assert report.ok
    assert [finding.where for finding in report.warnings] == [f"{path}:2"]


def test_a_broken_file_hides_no_slip_of_the_file_that_was_asked_for(write):
    broken = write("conf/loss/broken.yaml", "a: [\n")
    write("conf/method/mine.yaml", f"{GLOBAL}defaults:\n  - text_embeddings\n  - override /loss: infonse\n")
    found = errors("method=mine")
    assert "did you mean loss/infonce?" in found["method=mine"]
    assert f"{broken}:2" not in found


def test_a_broken_file_that_another_file_of_the_request_names_is_refused(write):
    broken = write("conf/loss/broken.yaml", "a: [\n")
    write("conf/method/mine.yaml", f"{GLOBAL}defaults:\n  - text_embeddings\n  - override /loss: broken\n")
    assert set(errors("method=mine")) == {f"{broken}:2"}


@pytest.mark.parametrize("first", ["", "# my method\n" + GLOBAL])
def test_a_package_line_that_is_not_first_is_asked_for(write, first):
    path = write("conf/method/mine.yaml", first + "defaults:\n  - text_embeddings\n  - override /loss: margin\n")
    assert "the first line must be: # @package _global_" in errors("method=mine")[f"{path}:1"]


@pytest.mark.parametrize("before", ["text_embeddings", "override /model: minilm"])
def test_a_forgotten_override_is_told_with_the_line_to_write(write, before):
    path = write("conf/method/mine.yaml", f"{GLOBAL}defaults:\n  - {before}\n  - /loss: margin\n")
    assert "write: override /loss: margin" in errors("method=mine")[f"{path}:4"]


def test_a_misspelt_group_is_told_with_the_nearest(write):
    path = write("conf/method/mine.yaml", f"{GLOBAL}defaults:\n  - text_embeddings\n  - override /los: margin\n")
    found = errors("method=mine")[f"{path}:4"]
    assert "did you mean override /loss?" in found
    assert "data/splitter" in found


def test_an_error_names_the_file_and_the_line_that_set_the_key(write):
    write("conf/method/mine.yaml", f"{GLOBAL}defaults:\n  - text_embeddings\nparams:\n  item_lr: 3e-5\n  margin: x\n")
    found = errors("method=mine")
    assert "(found 3e-05; set in conf/method/mine.yaml:5)" in found["params.item_lr"]
    assert "(set in conf/method/mine.yaml:6)" in found["params.margin"]
    assert "mine.yaml" not in errors("method=mine", "params.margin=y")["params.margin"]


def test_a_key_of_a_groups_option_is_found_under_the_groups_name(write):
    write("conf/loss/mine.yaml", "_target_: hft.losses.InfoNCELoss\ntemperature: -1\n")
    assert "(set in conf/loss/mine.yaml:2)" in errors("loss=mine")["loss.temperature"]
