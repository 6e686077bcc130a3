"""A config from elsewhere runs nothing outside the allow-list, however the target is spelt, and reads nothing here."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from hydra.utils import get_object
from omegaconf import OmegaConf

from hft.config import check_trusted, compose
from hft.config.searchpath import packaged_folder
from hft.config.trust import ANY, TRUSTED, is_trusted
from hft.errors import ConfigError

CONF = packaged_folder()


def nodes_of_shipped_files() -> list[tuple[str, tuple[str, ...], str]]:
    """File, path of keys and `_target_` of every node with one under conf/."""
    found: list[tuple[str, tuple[str, ...], str]] = []

    def collect(name: str, value: Any, path: tuple[str, ...]) -> None:
        if isinstance(value, dict):
            if "_target_" in value:
                found.append((name, path, value["_target_"]))
            for key, child in value.items():
                collect(name, child, (*path, str(key)))

    for file in sorted(CONF.rglob("*.yaml")):
        name = file.relative_to(CONF).as_posix()
        everywhere = "@package _global_" in file.read_text(encoding="utf-8")
        path = () if everywhere else tuple(name.split("/")[:-1])
        collect(name, OmegaConf.to_container(OmegaConf.load(file), resolve=False), path)
    return found


def test_the_shipped_job_is_trusted_and_comes_back_resolved(folder):
    resolved = check_trusted(compose(["run_name=${method.meta.name}"]), resolvers=True)
    assert OmegaConf.to_container(resolved, resolve=False)["run_name"] == "text_embeddings"


@pytest.mark.parametrize(("name", "path", "target"), nodes_of_shipped_files())
def test_every_shipped_target_is_trusted_at_its_own_node_and_at_no_other(name, path, target):
    assert is_trusted(path, target)
    own = {node for node in TRUSTED if target in TRUSTED[node]}
    assert {node for node in TRUSTED if is_trusted(tuple(part.replace(ANY, "x") for part in node), target)} == own
    assert not is_trusted((*path, "inner"), target)
    assert not is_trusted((), target)


@pytest.mark.parametrize("target", sorted(set().union(*TRUSTED.values())))
def test_what_is_trusted_is_a_public_class_or_one_of_six_functions(target):
    found = get_object(target)
    functions = ("load_text_model", "build_clip", "load_clip", "constant_rate", "linear_warmup", "cosine_warmup")
    assert inspect.isclass(found) or target.rpartition(".")[2] in functions
    assert not inspect.isabstract(found)


def test_only_optimizers_and_schedulers_are_trusted_of_torch():
    import torch

    for node, kind in (("optimizer", torch.optim.Optimizer), ("scheduler", torch.optim.lr_scheduler.LRScheduler)):
        of_torch = [target for target in TRUSTED[(node,)] if target.startswith("torch.")]
        assert of_torch
        assert all(issubclass(get_object(target), kind) for target in of_torch)


# Each built, or overwrote, or called something that no config is meant to name.
ATTACKS = [
    ("loss", "hft.training.checkpoint_folder.CheckpointFolder.save_checkpoint"),
    ("loss", "hft.models.sentence_saving.save_model"),
    ("model", "hft.models.TextEmbeddingModel.save"),
    ("model", "hft.models.load_saved_model"),
    ("data.source", "hft.data.Quarantine"),
    ("data.source", "hft.data.prepare_ranking_data"),
    ("data.source", "hft.data.PythonDocs.read"),
    ("scheduler", "torch.optim.lr_scheduler.Callable"),
    ("optimizer", "torch.optim.Optimizer"),
    ("optimizer", "torch.optim.lr_scheduler.StepLR"),
    ("loss", "torch.nn.Module"),
    ("loss", "hft.losses.InfoNCELoss.forward"),
    ("loss", "hft.losses.infonce.InfoNCELoss"),
    ("loss", "hft.data.PythonDocs"),
    ("trainer", "pytorch_lightning.Trainer.save_checkpoint"),
    ("metrics.calculators", "hft.metrics.NDCG"),
    ("metrics.calculators.ndcg.inner", "hft.metrics.NDCG"),
    ("trainer.callbacks", "hft.training.StepLog"),
    ("run_name", "hft.losses.InfoNCELoss"),
]


@pytest.mark.parametrize(("node", "target"), ATTACKS)
def test_what_is_not_listed_for_a_node_is_refused(node, target):
    config = OmegaConf.create({})
    OmegaConf.update(config, node, {"_target_": target}, force_add=True)
    with pytest.raises(ConfigError, match=rf"{node}\._target_: found {target}, which is not on the list") as refusal:
        check_trusted(config)
    assert f"--trust {target}" in str(refusal.value)
    check_trusted(config, [target])


def test_a_target_in_a_list_inside_of_a_trusted_node_is_refused():
    callbacks = [{"_target_": "pytorch_lightning.callbacks.ModelCheckpoint", "dirpath": "x"}]
    config = OmegaConf.create({"trainer": {"_target_": "pytorch_lightning.Trainer", "callbacks": callbacks}})
    with pytest.raises(ConfigError, match=r"trainer\.callbacks\.0\._target_"):
        check_trusted(config)
    check_trusted(config, ["pytorch_lightning.callbacks"])


def test_arguments_by_position_are_refused():
    config = OmegaConf.create({"loss": {"_target_": "hft.losses.InfoNCELoss", "_args_": [0.05]}})
    with pytest.raises(ConfigError, match=r"loss\._args_: .* only by name"):
        check_trusted(config)
    check_trusted(config, ["hft.losses.InfoNCELoss"])


@pytest.mark.parametrize(
    "text",
    ["${oc.env:SECRET}", "a ${oc.env:SECRET,x} b", "${ oc.env:SECRET}", "${${y}:SECRET}", "${oc.${z}:SECRET}",
     "${oc.env:${k}}", "${oc.select:y}", "${a.${z}}"],
)  # fmt: skip
def test_a_resolver_is_refused_and_not_answered(text, monkeypatch):
    monkeypatch.setenv("SECRET", "hush")
    config = OmegaConf.create({"run_name": text, "y": "oc.env", "z": "env", "k": "SECRET", "a": {"env": 1}})
    with pytest.raises(ConfigError, match="run_name: found") as refusal:
        check_trusted(config)
    assert "hush" not in str(refusal.value)


def test_references_to_keys_are_followed():
    config = OmegaConf.create({"a": "${b.c} and ${d[0]}", "b": {"c": 1}, "d": [2]})
    assert check_trusted(config).a == "1 and 2"


@pytest.mark.parametrize(
    "target",
    [
        "joblib.load",
        "os.system",
        "subprocess.run",
        "builtins.eval",
        "hydra.utils.get_method",
        "torch.load",
        "torch.hub.load",
        "torch.nn.modules.module.torch.load",
        "torch.optim.adamw.torch.load",
        "torch.optim",
        "hft.cli.main",
        "hft.losses.infonce.torch.load",
        "hft.data.session_files.Path.unlink",
        "hft.experiments.track",
        "hft.losses",
        "hft.losses.NoSuchLoss",
        "hft_evil.Loss",
        "pytorch_lightning.Trainer.fit",
        "",
        7,
        ["hft.losses.InfoNCELoss"],
    ],
)
def test_any_other_target_is_refused_with_its_key(target):
    with pytest.raises(ConfigError, match=r"a\.0\.b\._target_: found") as refusal:
        check_trusted(OmegaConf.create({"a": [{"b": {"_target_": target}}]}))
    assert "--trust" in str(refusal.value)


def test_a_target_behind_a_reference_is_seen():
    config = OmegaConf.create({"x": {"_target_": "${y}"}, "y": "os.system"})
    with pytest.raises(ConfigError, match=r"x\._target_: found os\.system"):
        check_trusted(config)


def test_a_node_made_by_a_resolver_is_seen():
    config = OmegaConf.create({"x": "${oc.create:'{_target_: os.system}'}"})
    with pytest.raises(ConfigError, match=r"x\._target_: found os\.system"):
        check_trusted(config, resolvers=True)


def test_a_reference_that_would_be_followed_only_later_is_refused():
    config = OmegaConf.create({"x": r"\${oc.create:'{_target_: os.system}'}"})
    with pytest.raises(ConfigError, match="followed only later"):
        check_trusted(config, resolvers=True)


def test_hydras_own_node_is_refused():
    with pytest.raises(ConfigError, match="hydra: a config from elsewhere"):
        check_trusted(OmegaConf.create({"hydra": {"callbacks": {"x": {"_target_": "hft.losses.InfoNCELoss"}}}}))


def test_the_user_may_trust_more():
    config = OmegaConf.create({"x": {"_target_": "my_package.losses.Mine"}})
    with pytest.raises(ConfigError):
        check_trusted(config)
    check_trusted(config, ["my_package"])
    check_trusted(config, ["my_package.losses.Mine"])
    with pytest.raises(ConfigError):
        check_trusted(config, ["my_pack"])
