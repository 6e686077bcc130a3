"""A config from elsewhere runs nothing outside the allow-list, however the target is spelt."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from hft.config import check_trusted, compose
from hft.errors import ConfigError


def test_the_shipped_job_is_trusted_and_comes_back_resolved(folder):
    resolved = check_trusted(compose(["run_name=${method.meta.name}"]))
    assert OmegaConf.to_container(resolved, resolve=False)["run_name"] == "text_embeddings"


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


@pytest.mark.parametrize(
    "target",
    ["hft.losses.InfoNCELoss", "hft.models.load_text_model", "torch.optim.AdamW", "torch.optim.lr_scheduler.StepLR",
     "torch.nn.Linear", "pytorch_lightning.Trainer"],
)  # fmt: skip
def test_what_shipped_configs_name_is_trusted(target):
    check_trusted(OmegaConf.create({"node": {"_target_": target}}))


def test_a_target_behind_a_reference_is_seen():
    config = OmegaConf.create({"x": {"_target_": "${y}"}, "y": "os.system"})
    with pytest.raises(ConfigError, match=r"x\._target_: found os\.system"):
        check_trusted(config)


def test_a_node_made_by_a_resolver_is_seen():
    config = OmegaConf.create({"x": "${oc.create:'{_target_: os.system}'}"})
    with pytest.raises(ConfigError, match=r"x\._target_: found os\.system"):
        check_trusted(config)


def test_a_reference_that_would_be_followed_only_later_is_refused():
    config = OmegaConf.create({"x": r"\${oc.create:'{_target_: os.system}'}"})
    with pytest.raises(ConfigError, match="followed only later"):
        check_trusted(config)


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
