"""A recorded config comes back, follows itself when it is varied, and keeps what resolvers had answered."""

from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import OmegaConf
from omegaconf.resolvers import oc
from small_runs import plain, small_config, train_line

from hft.errors import ConfigError
from hft.experiments.saved_config import (
    Change,
    apply_changes,
    config_to_repeat,
    config_to_vary,
    graft,
    saved_config,
)


def test_a_saved_config_resolves_to_what_was_recorded() -> None:
    record = train_line(small_config(), Path("run"))
    assert plain(saved_config(record)) == record.config


def test_a_value_override_is_followed_by_what_refers_to_it() -> None:
    config = saved_config(train_line(small_config(), Path("run")))
    varied = plain(apply_changes(config, [Change("settings.num_epochs", 7), Change("seed", 3)]))
    assert varied["trainer"]["max_epochs"] == 7
    assert varied["data"]["source"]["seed"] == 3


def test_what_a_resolver_answered_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACE", "then")
    record = train_line(small_config(place="${oc.env:PLACE}/${seed}"), Path("run"))
    monkeypatch.setenv("PLACE", "now")
    assert saved_config(record).place == "then/0"


@pytest.mark.parametrize(
    ("key", "value"),
    [("run_name", "${oc.env:SECRET}"), ("seed", "${threads}"), ("data", {"x": [{"y": r"\${oc.env:SECRET}"}]})],
)
def test_a_record_whose_resolved_config_holds_a_reference_is_refused(
    key: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "hush")
    record = train_line(small_config(), Path("run"))
    record.config[key] = value
    with pytest.raises(ConfigError, match=rf"config\.{key}.*Expected a value") as refusal:
        saved_config(record)
    assert "hush" not in str(refusal.value)


@pytest.mark.parametrize(
    "place",
    ["${oc.env:SECRET}", "${${kind}:SECRET}", "${oc.${part}:SECRET}", ["${oc.env:SECRET}"], {"a": "${oc.env:SECRET}"}],
)
def test_no_resolver_of_a_record_is_ever_answered(place: object, monkeypatch: pytest.MonkeyPatch) -> None:
    record = train_line(small_config(place="then", kind="oc.env", part="env"), Path("run"))
    record.config_unresolved["place"] = place
    record.config_unresolved["only_here"] = "${oc.env:SECRET}"

    def answered(name: str, *default: str) -> str:
        raise AssertionError("a resolver was answered")

    OmegaConf.register_new_resolver("oc.env", answered, replace=True)
    try:
        config = saved_config(record)
        assert plain(config) == record.config
        assert "oc.env:" not in str(config)
    finally:
        OmegaConf.clear_resolver("oc.env")
        OmegaConf.register_new_resolver("oc.env", oc.env)


def test_a_variation_is_tracked_where_the_user_tracks() -> None:
    record = train_line(small_config(), Path("run"))
    own = {"tracking": {"kind": "mlflow", "uri": "sqlite:///${outputs}/mlflow.db", "log_model": True}}
    assert config_to_vary(record, own, "outputs").tracking.kind == "csv"
    record.config["tracking"] = {"kind": "mlflow", "uri": "http://somebody.else", "log_model": True}
    record.config["outputs"] = "/somebody/else"
    assert config_to_vary(record, own, "outputs").tracking.uri == "sqlite:///outputs/mlflow.db"


def test_where_the_two_halves_disagree_the_resolved_one_counts() -> None:
    record = train_line(small_config(), Path("run"))
    record.config["settings"]["num_epochs"] = 9
    assert saved_config(record).settings.num_epochs == 9


def test_an_equal_run_uses_what_auto_was_decided_to_be_and_no_foreign_store() -> None:
    record = train_line(small_config(threads=1), Path("run"))
    record.config["tracking"] = {"kind": "mlflow", "uri": "http://somebody.else", "log_model": True}
    config = config_to_repeat(record, {}, "outputs")
    assert (config.threads, config.trainer.precision, config.trainer.accelerator) == (1, "32-true", "cpu")
    assert config.tracking.kind == "csv"


def test_changes_set_merge_and_delete() -> None:
    config = OmegaConf.create({"a": {"b": 1, "c": 2}, "d": 3})
    changes = [Change("a", {"b": 5}), Change("e.f", "new"), Change("d", delete=True), Change("a.c", delete=True)]
    assert plain(apply_changes(config, changes)) == {"a": {"b": 5}, "e": {"f": "new"}}


def test_a_group_replaces_its_node_whole() -> None:
    saved = OmegaConf.create({"loss": {"_target_": "A", "temperature": 0.1}, "seed": 7})
    before = {"loss": {"_target_": "A", "temperature": 0.05}, "seed": 0}
    after = {"loss": {"_target_": "B", "scale": 20.0}, "seed": 0}
    assert plain(graft(saved, before, after, ["loss"])) == {"loss": {"_target_": "B", "scale": 20.0}, "seed": 7}


def test_the_same_option_again_replaces_the_node_too() -> None:
    saved = OmegaConf.create({"loss": {"_target_": "A", "temperature": 0.1}})
    same = {"loss": {"_target_": "A", "temperature": 0.05}}
    assert plain(graft(saved, same, same, ["loss"])) == {"loss": {"_target_": "A", "temperature": 0.05}}


def test_a_group_that_lies_deeper_replaces_only_its_node() -> None:
    saved = OmegaConf.create({"data": {"splitter": {"_target_": "A"}, "limit": 5}})
    before = {"data": {"splitter": {"_target_": "A"}, "limit": None}}
    after = {"data": {"splitter": {"_target_": "B"}, "limit": None}}
    assert plain(graft(saved, before, after, ["data.splitter"])) == {
        "data": {"splitter": {"_target_": "B"}, "limit": 5}
    }


def test_what_a_global_option_changes_elsewhere_is_carried_over() -> None:
    saved = OmegaConf.create({"trainer": {"max_steps": -1}, "data": {"limit": None, "batch": 4, "old": 1}})
    before = {"trainer": {"max_steps": -1}, "data": {"limit": None, "batch": 8, "old": 1}}
    after = {"trainer": {"max_steps": 2}, "data": {"limit": 48, "batch": 8}, "extra": {"a": 1}}
    assert plain(graft(saved, before, after, ["trainer"])) == {
        "trainer": {"max_steps": 2},
        "data": {"limit": 48, "batch": 4},
        "extra": {"a": 1},
    }


def test_a_source_of_an_earlier_version_asks_for_what_it_asked_for_then() -> None:
    record = train_line(small_config(), Path("run"))
    logs = {"_target_": "hft.data.SessionFiles", "events_as": "weights", "fields": {"events": "clicks", "query": "q"}}
    auto = {"_target_": "hft.data.SessionFiles", "events_as": "auto"}
    source = {"sources": {"a": logs, "b": auto, "c": {"_target_": "hft.data.BeirFolder", "reading": "labelled"}}}
    record.config["data"] = record.config_unresolved["data"] = {"source": source}
    assert plain(saved_config(record))["data"]["source"]["sources"] == {
        "a": {"_target_": "hft.data.SessionFiles", "fields": {"weights": "clicks", "query": "q"}},
        "b": {"_target_": "hft.data.SessionFiles"},
        "c": {"_target_": "hft.data.BeirFolder", "reading": "simulated"},
    }
