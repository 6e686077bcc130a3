"""`hft.compose`: the config of the command line, from Python, wherever it is called."""

from __future__ import annotations

import pytest
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.utils import JobRuntime

import hft
from hft.config import CheckFailedError, compose
from hft.errors import ConfigError


def test_overrides_choose_options_and_change_values(folder):
    config = compose(["loss=margin", "params.items_lr=3e-5"])
    assert config.loss._target_ == "hft.losses.MarginRankingLoss"
    assert config.params.items_lr == 3e-5
    assert "hydra" not in config


def test_hft_offers_compose_without_importing_it_first(folder):
    assert hft.compose(["seed=7"]).seed == 7


def test_it_works_inside_another_hydra_app_and_leaves_that_app_as_it_was(write, folder):
    write("other/app.yaml", "colour: red\n")
    with initialize_config_dir(str(folder / "other"), job_name="outer", version_base="1.2"):
        outer = GlobalHydra.instance().hydra
        assert compose(["seed=3"]).seed == 3
        assert GlobalHydra.instance().hydra is outer
        assert JobRuntime.instance().get("name") == "outer"
        assert hydra_compose("app", ["colour=blue"]).colour == "blue"


def test_it_restores_the_other_app_after_a_refusal_too(write, folder):
    write("other/app.yaml", "colour: red\n")
    with initialize_config_dir(str(folder / "other"), version_base="1.2"):
        with pytest.raises(ConfigError):
            compose(["loss=nothing"])
        assert hydra_compose("app").colour == "red"


def test_a_refusal_holds_everything_that_is_wrong(folder):
    with pytest.raises(CheckFailedError) as refusal:
        compose(["loss=infonse", "params.margim=0.1"])
    assert "did you mean loss=infonce?" in str(refusal.value)
    assert "did you mean params.margin?" in str(refusal.value)
    assert refusal.value.exit_status == 2


def test_a_sweep_is_no_config(folder):
    with pytest.raises(ConfigError, match="several values"):
        compose(["seed=1,2"])


def test_config_dir_is_searched_first(write, folder):
    write("conf/loss/mine.yaml", "_target_: hft.losses.InfoNCELoss\ntemperature: 0.1\n")
    write("elsewhere/loss/mine.yaml", "_target_: hft.losses.InfoNCELoss\ntemperature: 0.2\n")
    assert compose(["loss=mine"]).loss.temperature == 0.1
    assert compose(["loss=mine"], config_dir=folder / "elsewhere").loss.temperature == 0.2


def test_a_config_dir_that_is_not_there_is_refused(folder):
    with pytest.raises(ConfigError, match=r"--config-dir: found .*nowhere"):
        compose([], config_dir=folder / "nowhere")
