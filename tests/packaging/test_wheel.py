"""hft works from a wheel, in an environment that has never seen its source, from an empty folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.slow

DISCOVERED = (
    "from hydra.core.plugins import Plugins\n"
    "from hydra.plugins.search_path_plugin import SearchPathPlugin\n"
    "print([plugin.__name__ for plugin in Plugins.instance().discover(SearchPathPlugin)])\n"
)

MINE = """\
  - override /loss: prob_margin

params:
  margin: 0.03

settings:
  negatives: shown

"""


def write_method_of_the_user(packaged: Path, folder: Path) -> None:
    """`conf/method/mine.yaml`: the packaged method under another name, with another loss and margin."""
    text = (packaged / "method" / "text.yaml").read_text()
    header, body = text[: text.index("method:\n")], text[text.index("method:\n") :]
    mine = folder / "conf" / "method" / "mine.yaml"
    mine.parent.mkdir(parents=True)
    mine.write_text(f"{header}defaults:\n{MINE}{body.replace('name: text', 'name: mine')}")


def test_a_method_added_by_a_yaml_file_trains_from_a_wheel_in_an_empty_folder(from_wheel):
    where = from_wheel.run("python", "-c", "import hft; print(hft.__file__)")
    package = Path(where.stdout.strip()).parent
    assert package.is_relative_to(from_wheel.environment)

    version = from_wheel.run("hft", "--version")
    assert (version.returncode, version.stdout.split()) == (0, ["hft", "0.1.0"])
    for command in (["check"], ["train", "--cfg", "job"]):
        done = from_wheel.run("hft", *command)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert list(from_wheel.folder.iterdir()) == []

    write_method_of_the_user(package / "conf", from_wheel.folder)
    checked = from_wheel.run("hft", "check", "method=mine")
    assert checked.returncode == 0, f"{checked.stdout}\n{checked.stderr}"

    small = ["trainer=debug", "tracking=csv", "threads=1", "model.max_length=32", "data.limit_sessions=16"]
    trained = from_wheel.run("hft", "train", "method=mine", *small)
    assert trained.returncode == 0, f"{trained.stdout}\n{trained.stderr}"
    (run,) = (from_wheel.folder / "outputs" / "mine").iterdir()
    config = yaml.safe_load((run / "run.yaml").read_text())["config"]
    assert config["loss"]["_target_"] == "hft.losses.ProbMarginRankingLoss"
    assert config["params"]["margin"] == 0.03
    proof = json.loads((run / "report.json").read_text())["test"]["ndcg@10"]
    assert {"start", "tuned", "difference", "interval", "p", "queries"} <= set(proof)


@pytest.mark.parametrize("kind", ["from_wheel", "editable"])
def test_hydra_discovers_the_plugin(kind, request):
    installed = request.getfixturevalue(kind)
    done = installed.run("python", "-c", DISCOVERED)
    assert "HftSearchPathPlugin" in done.stdout, done.stderr


def test_an_editable_install_has_the_command_and_the_configs(editable):
    done = editable.run("hft", "check", "loss=margin")
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
