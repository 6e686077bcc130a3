"""Own folder first, for hft's own app and for no other."""

from __future__ import annotations

import pytest
from hydra import compose as hydra_compose
from hydra import initialize_config_module

from hft.config import check, compose
from hft.config.searchpath import packaged_folder
from hft.errors import ConfigError


def test_an_option_dropped_into_conf_of_the_current_folder_is_found(write):
    write("conf/loss/mine.yaml", "_target_: hft.losses.InfoNCELoss\ntemperature: 0.3\n")
    assert compose(["loss=mine"]).loss.temperature == 0.3


def test_a_file_that_shadows_a_packaged_one_wins_and_is_noted(write):
    path = write("conf/loss/infonce.yaml", "_target_: hft.losses.InfoNCELoss\ntemperature: 0.3\n")
    assert compose().loss.temperature == 0.3
    report = check()
    assert report.ok
    assert [(note.where, note.found) for note in report.notes] == [
        (str(path), "takes the place of the packaged loss/infonce.yaml")
    ]


def test_a_copy_of_a_packaged_file_is_not_worth_a_note(write):
    text = (packaged_folder() / "loss" / "infonce.yaml").read_text(encoding="utf-8")
    write("conf/loss/infonce.yaml", text)
    assert check().notes == []


def test_a_train_yaml_of_another_app_is_refused(write):
    path = write("conf/train.yaml", "defaults:\n  - db: mysql\n  - _self_\nlr: 1\n")
    write("conf/db/mysql.yaml", "host: localhost\n")
    with pytest.raises(ConfigError, match="was not written for hft") as refusal:
        compose()
    assert str(path) in str(refusal.value)
    assert [error.where for error in check().errors] == ["config"]


def test_a_train_yaml_of_ones_own_with_hfts_groups_is_taken(write):
    text = (packaged_folder() / "train.yaml").read_text(encoding="utf-8")
    write("conf/train.yaml", text.replace("seed: 0", "seed: 5"))
    assert compose().seed == 5


def test_other_hydra_apps_do_not_see_the_folder(write, monkeypatch):
    write("other_app/__init__.py", "")
    write("other_app/app.yaml", "colour: red\n")
    write("conf/app.yaml", "colour: blue\n")
    with initialize_config_module("other_app", version_base="1.2"):
        assert hydra_compose("app").colour == "red"


def test_the_packaged_folder_is_not_taken_for_the_users(monkeypatch):
    monkeypatch.chdir(packaged_folder().resolve().parent)
    assert check().notes == []
