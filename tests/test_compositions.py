"""Configs that are copies with other values equal those that Hydra composes."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hydra import initialize_config_module
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, ListConfig, OmegaConf

import hft
from hft.compositions import ReusedCompositions

# Of the resolver of the time, which every composition asks.
TIME = re.compile(r"\d\d-\d\d-\d\d'")


class Counting(ReusedCompositions):
    """A loader of Hydra's whose compositions are counted."""

    composed = 0

    def load_configuration(self, *args, **options):
        self.composed += 1
        return self.loader.load_configuration(*args, **options)


@pytest.fixture
def hydra(tmp_path, monkeypatch):
    """Hydra's own loader for hft's configs, in a project with a group of its own."""
    (tmp_path / "conf" / "shape").mkdir(parents=True)
    (tmp_path / "conf" / "shape" / "round.yaml").write_text("radius: 1\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    GlobalHydra.instance().clear()
    with initialize_config_module("hft.conf", "train", "1.3"):
        yield GlobalHydra.instance().config_loader()


def counted(loader: ConfigLoader) -> tuple[ReusedCompositions, Counting]:
    counting = Counting(loader)
    reused = ReusedCompositions(loader)
    reused.loader = counting
    return reused, counting


def facts(node, path="") -> list[tuple]:
    """Everything that OmegaConf knows of a node, and of those below it, in order."""
    own = (path, type(node), TIME.sub("", repr(node._metadata)))
    content = node.__dict__.get("_content")
    if isinstance(node, DictConfig) and isinstance(content, dict):
        return [own, *(fact for key, child in content.items() for fact in facts(child, f"{path}.{key}"))]
    if isinstance(node, ListConfig) and isinstance(content, list):
        return [own, *(fact for place, child in enumerate(content) for fact in facts(child, f"{path}.{place}"))]
    return [(*own, node._value())]


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["params.items_lr=3e-5"],
        ["params.items_lr=1e-5", "settings.batch_size=4", "params.items_lr=2e-5"],
        ["+trainer.limit_train_batches=2", "settings.test_each_n_inputs=1.0", "params.items_lr=1e-5"],
        ["params.items_lr=1e-5", "+trainer.limit_train_batches=2", "trainer.limit_train_batches=3"],
        ["params.margin=0.3", "loss=margin", "ranker=euclidean"],
        ["data.source={seed: 3}", "params.examples_order=[1,2]"],
        ["seed=${settings.batch_size}", "threads=null"],
        ["~stopping.patience", "seed=3"],
        ["++stopping.patience=2", "seed=3"],
        ["outputs='/somewhere/a=b'", "run_name=x"],
        ["hydra.job.config.override_dirname.exclude_keys=[seed]", "hydra.run.dir=here", "seed=1", "params.margin=0.1"],
        ["+shape=round", "shape.radius=2"],
        ["+shape@form=round", "form.radius=2"],
        ["tracking=csv", "tracking.kind=mlflow", "search=none", "+search.space={seed: [1, 2]}", "search.max_evals=2"],
    ],
    ids=" ".join,
)
def test_a_copy_with_other_values_equals_a_composition(hydra, overrides):
    reused, counting = counted(hydra)
    expected = facts(hydra.load_configuration("train", list(overrides), RunMode.RUN))
    first = reused.load_configuration("train", list(overrides), RunMode.RUN)
    before = counting.composed
    second = reused.load_configuration("train", list(overrides), RunMode.RUN)
    assert facts(first) == expected
    assert facts(second) == expected
    assert counting.composed == before


def test_other_values_take_no_composition(hydra):
    reused, counting = counted(hydra)
    rates = [
        reused.load_configuration("train", ["loss=margin", f"params.items_lr={n}e-5"], RunMode.RUN).params.items_lr
        for n in range(1, 5)
    ]
    assert rates == pytest.approx([1e-5, 2e-5, 3e-5, 4e-5])
    assert counting.composed <= 1


def test_a_config_is_the_callers_own(hydra):
    reused, _ = counted(hydra)
    reused.load_configuration("train", [], RunMode.RUN).params.items_lr = 5.0
    assert reused.load_configuration("train", [], RunMode.RUN).params.items_lr == pytest.approx(1e-4)


def test_the_time_is_that_of_the_request(hydra, monkeypatch):
    reused, _ = counted(hydra)
    asked = ["run_name='${now:%H-%M-%S-%f}'"]
    first, second = (reused.load_configuration("train", list(asked), RunMode.RUN) for _ in range(2))
    assert first.run_name != second.run_name


@pytest.mark.parametrize(
    "wrong", ["params.nothing=1", "params.items_lr.deeper=1", "loss=nothing", "seed=1,2", "nope/x=1"]
)
def test_what_hydra_refuses_is_refused_in_its_words(hydra, wrong):
    reused, _ = counted(hydra)
    reused.load_configuration("train", [], RunMode.RUN)
    told = []
    for loader in (hydra, reused):
        with pytest.raises(HydraException) as caught:
            loader.load_configuration("train", [wrong], RunMode.RUN)
        told.append((type(caught.value), str(caught.value)))
    assert told[0] == told[1]


def test_a_job_of_a_sweep_equals_hydras(hydra):
    master = hydra.load_configuration("train", ["hydra.sweep.dir=there", "seed=7"], RunMode.MULTIRUN)
    assert str(master.hydra.sweep.dir) == "there"
    reused, _ = counted(hydra)
    for _ in range(2):
        found = reused.load_sweep_config(master, ["loss=margin", "seed=8"])
        assert facts(found) == facts(hydra.load_sweep_config(master, ["loss=margin", "seed=8"]))
        assert OmegaConf.get_cache(found) == OmegaConf.get_cache(master)


def radius_after(change) -> tuple[object, object]:
    asked = ["+shape=round", "seed=1"]
    before = hft.compose(asked).shape.radius
    change()
    return before, hft.compose(asked).shape.radius


def test_a_changed_file_is_read_again(hydra):
    def change() -> None:
        Path("conf/shape/round.yaml").write_text("radius: 2\n", encoding="utf-8")

    assert radius_after(change) == (1, 2)


def test_a_file_of_the_same_size_and_time_is_read_again_after_it_was_replaced(hydra):
    path = Path("conf/shape/round.yaml")
    found = path.stat()

    def change() -> None:
        Path("other").write_text("radius: 3\n", encoding="utf-8")
        os.utime("other", ns=(found.st_atime_ns, found.st_mtime_ns))
        os.replace("other", path)

    assert radius_after(change) == (1, 3)


def test_a_file_that_comes_in_front_of_another_is_read(hydra):
    first = Path("first/shape")

    def change() -> None:
        first.mkdir(parents=True)
        (first / "round.yaml").write_text("radius: 4\n", encoding="utf-8")

    asked = ["+shape=round"]
    Path("first").mkdir()
    before = hft.compose(asked, config_dir="first").shape.radius
    change()
    assert (before, hft.compose(asked, config_dir="first").shape.radius) == (1, 4)


def test_a_stored_config_that_changes_is_composed_again(hydra):
    name = "stored_shape"
    ConfigStore.instance().store(group="shape", name=name, node={"radius": 5})
    before = hft.compose([f"+shape={name}"]).shape.radius
    ConfigStore.instance().store(group="shape", name=name, node={"radius": 6})
    assert (before, hft.compose([f"+shape={name}"]).shape.radius) == (5, 6)


def test_a_choice_by_the_environment_follows_it(hydra, monkeypatch):
    Path("conf/shape/flat.yaml").write_text("radius: 0\n", encoding="utf-8")
    Path("conf/form").mkdir()
    Path("conf/form/chosen.yaml").write_text("defaults: [{/shape@_here_: '${oc.env:SHAPE}'}]\n", encoding="utf-8")
    found = []
    for shape in ("round", "flat"):
        monkeypatch.setenv("SHAPE", shape)
        found.append(hft.compose(["+form=chosen"]).form.radius)
    assert found == [1, 0]
