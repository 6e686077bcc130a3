"""The pre-flight check: all errors at once, each with its key, what is allowed, and the nearest right spelling."""

from __future__ import annotations

import pytest

from hft.config import check, check_config, compose, require_valid
from hft.errors import ConfigError


def errors(*overrides: str, multirun: bool = True) -> dict[str, str]:
    """Text of each error, by where it is."""
    return {finding.where: str(finding) for finding in check(overrides, multirun=multirun).errors}


def warnings(*overrides: str) -> list[str]:
    return [finding.where for finding in check(overrides).warnings]


def test_the_default_job_is_right(folder):
    report = check()
    assert report.text() == "config: nothing wrong was found"


# What was typed, where the error is, and what its message must say.
REFUSED = [
    ("loss=infonse", "loss", "did you mean loss=infonce?"),
    ("loss=infonse", "loss", "allowed: cosine_prob_margin, infonce, margin, prob_margin"),
    ("loss=null", "loss", "~loss"),
    ("los=infonce", "los", "did you mean loss?"),
    ("data/spliter=by_query", "data/spliter=by_query", "did you mean data/splitter?"),
    ("data/splitter=by_qery", "data/splitter", "did you mean data/splitter=by_query?"),
    ("~loss", "loss", "is missing"),
    ("+tracking=csv", "+tracking=csv", "write it without the plus: tracking=csv"),
    ("params.margim=0.1", "params.margim", "did you mean params.margin?"),
    ("margin=0.1", "margin", "did you mean params.margin or promotion.margin?"),
    ("params.margin.x=0.1", "params.margin.x", "params.margin holds 0.02"),
    ("+sed=1", "sed", "did you mean seed?"),
    ("++sed=1", "sed", "did you mean seed?"),
    ("+params.margim=0.1", "params.margim", "did you mean params.margin?"),
    ("+settings.foo.bar=1", "settings.foo", "there is no such key"),
    ("+data.limit=1", "data.limit", "did you mean data.limit_items?"),
    ("+stopping.patiense=1", "stopping.patiense", "did you mean stopping.patience?"),
    ("+metrics.calculator={}", "metrics.calculator", "did you mean metrics.calculators?"),
    ("+loss.temprature=0.1", "loss.temprature", "did you mean loss.temperature?"),
    ("+metrics.calculators.ndcg.kk=3", "metrics.calculators.ndcg.kk", "allowed: k"),
    ("+method.meta.verson=1", "method.meta.verson", "did you mean method.meta.version?"),
    ("+hydra.job.nme=x", "hydra.job.nme", "did you mean hydra.job.name?"),
    ("+seed=1", "+seed=1", "write it without the plus: seed=1"),
    ("seed=abc", "seed", "found 'abc'"),
    ("seed=-1", "seed", "greater than or equal to 0"),
    ("seed=true", "seed", "found True"),
    ("params.items_lr=7", "params.items_lr", "less than or equal to 1"),
    ("params.examples_order=[12]", "params.examples_order.0", "less than or equal to 11"),
    ("params.max_abs_difference_threshold=-1", "params.max_abs_difference_threshold", "greater than 0"),
    ("settings.negatives=shwn", "settings.negatives", "'shown', 'in_batch' or 'both'"),
    ("loss.temperature=-1", "loss.temperature", "greater than 0"),
    ("loss.temperature=high", "loss.temperature", "a valid number"),
    ("optimizer.betas=[0.9]", "optimizer.betas.1", "is missing"),
    ("trainer.max_steps=1.5", "trainer.max_steps", "found 1.5"),
    ("optimizer.amsgrad=true", "optimizer.amsgrad", "+optimizer.amsgrad=true"),
    ("optimizer.amsgrd=true", "optimizer.amsgrd", "did you mean +optimizer.amsgrad?"),
    ("loss._target_=hft.losses.InfoNCE", "loss._target_", "did you mean hft.losses.InfoNCELoss?"),
    ("loss._target_=torch.nn.CrossEntropyLos", "loss._target_", "did you mean torch.nn.CrossEntropyLoss?"),
    ("loss._target_=hft.losses", "loss._target_", "is a module"),
    ("loss._target_=no_such_package.Loss", "loss._target_", "there is no package no_such_package"),
    ("loss._target_=3", "loss._target_", "a dotted name"),
    ("method.main_metric=ndcg@1", "method.main_metric", "did you mean ndcg@10?"),
    ("trainer.devices=2", "trainer.devices", "more than one device comes with the distributed engines"),
    ("trainer.devices=auto", "trainer.devices", "more than one device"),
    ("trainer.devices=[0,1]", "trainer.devices", "more than one device"),
    ("+trainer.strategy=ddp", "trainer.strategy", "distributed engines"),
    ("+trainer.max_tme=3", "trainer.max_tme", "did you mean trainer.max_time?"),
    ("run_name=${sed}", "run_name", "did you mean ${seed}?"),
    ("run_name=${oc.env:HFT_NO_SUCH_VARIABLE}", "run_name", "HFT_NO_SUCH_VARIABLE"),
    ("model=local", "model.source", "model.source=VALUE"),
    ("tracking.kind=wandb", "tracking.kind", "'mlflow' or 'csv'"),
    ("hydra/launcher=no_such", "hydra/launcher", "allowed: basic"),
    ("hydra.job.num=abc", "hydra.job.num", "Integer"),
    ("not an override", "not an override", "this is not an override"),
    ("seed=[1", "seed=[1", "this is not an override"),
    ("=3", "=3", "this override names no key"),
    ("+=3", "+=3", "this override names no key"),
    ("~", "~", "this override names no key"),
    ("~=3", "~=3", "allowed: KEY=VALUE, GROUP=OPTION, +KEY=VALUE or ~KEY"),
    ("", "''", "an empty argument is no override"),
    (" ", "' '", "an empty argument is no override"),
]


@pytest.mark.parametrize(("override", "where", "says"), REFUSED)
def test_a_wrong_request_is_refused_with_its_key_and_the_right_spelling(folder, override, where, says):
    found = errors(override)
    assert where in found, found
    assert says in found[where]


@pytest.mark.parametrize(
    "override",
    [
        "+optimizer.amsgrad=true",
        "+trainer.max_time=00:00:10:00",
        "+metrics.calculators.ndcg_5={_target_:hft.metrics.NDCG,k:5}",
        "trainer.devices=[0]",
        "trainer.devices='0,'",
        "loss=margin,prob_margin,cosine_prob_margin",
        "seed=range(0,3)",
        "params.items_lr=1e-5,3e-5,1e-4",
        "~experiment",
        "scheduler=step_lr",
        "hydra.job.name=mine",
        "+hydra.job.env_set.A=b",
    ],
)
def test_a_right_request_is_not_refused(folder, override):
    assert errors(override) == {}


def test_everything_wrong_is_in_one_report(folder):
    found = errors("loss=infonse", "params.margim=1", "+sed=3", "seed=abc", "trainer.devices=4", "a b")
    assert set(found) >= {"loss", "params.margim", "sed", "seed", "trainer.devices", "a b"}


def test_a_value_taken_from_a_wrong_one_is_not_told_again(folder):
    assert set(errors("seed=abc")) == {"seed"}


def test_every_choice_of_a_sweep_is_checked(folder):
    found = check(["loss=infonce,margin,prob_margn", "params.items_lr=1e-4,7,8"]).errors
    texts = [str(finding) for finding in found]
    assert any("found prob_margn" in text for text in texts)
    assert any("found 7 (with params.items_lr=7)" in text for text in texts)
    assert any("found 8 (with params.items_lr=8)" in text for text in texts)


def test_a_sweep_without_the_flag_is_refused_with_what_to_write(folder):
    found = errors("seed=1,2", multirun=False)
    assert "add -m" in found["seed=1,2"]
    assert "seed=[1,2]" in found["seed=1,2"]


def test_the_basic_sweeper_takes_no_interval(folder):
    assert "no interval" in errors("seed=interval(0,3)")["seed=interval(0,3)"]


def test_a_missing_file_is_named(folder, write):
    write("items.jsonl", "{}\n")
    found = errors("data=sessions", "data.source.sessions=clicks.jsonl", "data.source.items=items.jsonl")
    assert set(found) == {"data.source.sessions"}
    assert "there is no file clicks.jsonl" in found["data.source.sessions"]


def test_a_missing_folder_is_named(folder):
    found = errors("data=beir", "data.source.folder=nowhere")
    assert "there is no folder nowhere" in found["data.source.folder"]


def test_a_folder_may_lie_in_a_store_where_it_is_read_once(folder):
    assert "data.source.folder" not in errors("data=beir", "data.source.folder=s3://logs/beir")
    assert "data.source.folder" not in errors(
        "data=categories", "method=categories_text", "data.source.folder=s3://logs/texts"
    )
    found = errors("data=pictures", "method=default", "data.source.folder=s3://logs/pictures")
    assert "s3://logs/pictures is in a store" in found["data.source.folder"]
    assert "on this machine" in found["data.source.folder"]


def test_a_parameter_that_the_loss_ignores_is_warned_of_only_when_set(folder):
    assert warnings("loss=infonce") == []
    assert warnings("loss=infonce", "params.margin=0.1") == ["params.margin"]
    assert warnings("loss=margin", "params.margin=0.1") == []


def test_the_query_towers_rate_is_warned_of_when_the_towers_are_shared(folder):
    assert warnings("params.query_lr=1e-5") == ["params.query_lr"]
    assert warnings("params.query_lr=1e-5", "model=minilm_two_towers") == []


def test_settings_of_another_scheduler_are_warned_of(folder):
    assert warnings("settings.gamma=0.5") == ["settings.gamma"]
    assert warnings("settings.gamma=0.5", "scheduler=step_lr") == []


def test_a_direction_against_the_metric_is_warned_of(folder):
    assert warnings("method.direction=minimize") == ["method.direction"]


def test_broken_yaml_of_the_user_is_told_with_file_and_line(write):
    path = write("conf/loss/mine.yaml", "_target_: hft.losses.InfoNCELoss\ntemperature: [0.1\n")
    found = errors("loss=mine")
    assert any(where.startswith(f"{path}:") for where in found)


def test_yaml_that_is_a_list_is_refused_with_its_file(write):
    path = write("conf/loss/mine.yaml", "- 1\n- 2\n")
    assert "a mapping" in errors("loss=mine")[f"{path}:1"]


def test_a_broken_option_in_a_users_defaults_list_is_told_with_the_nearest(write):
    write("conf/method/mine.yaml", "# @package _global_\ndefaults:\n  - override /loss: infonse\n")
    found = errors("method=mine")
    assert "there is no config loss/infonse" in found["method=mine"]
    assert "did you mean loss/infonce?" in found["method=mine"]


def test_a_users_own_class_in_the_current_folder_is_checked_without_being_run(write):
    write(
        "my_losses.py",
        "import sys\nsys.exit('imported')\n"
        "from typing import Annotated\nfrom pydantic import Field\n"
        "class Mine:\n    def __init__(self, slope: Annotated[float, Field(gt=0)], kind: str = 'a') -> None: ...\n",
    )
    write("conf/loss/mine.yaml", "_target_: my_losses.Mine\nslope: 1.0\n")
    assert errors("loss=mine") == {}
    assert "greater than 0" in errors("loss=mine", "loss.slope=0")["loss.slope"]
    assert "did you mean loss.kind?" in errors("loss=mine", "+loss.knd=b")["loss.knd"]


def test_a_needed_argument_is_asked_for(write):
    write("my_losses.py", "class Mine:\n    def __init__(self, slope): ...\n")
    write("conf/loss/mine.yaml", "_target_: my_losses.Mine\n")
    assert "needs this argument" in errors("loss=mine")["loss.slope"]


def test_what_cannot_be_verified_is_noted_and_not_refused(write):
    write("my_losses.py", "def make():\n    return object\nMine = make()\n")
    write("conf/loss/mine.yaml", "_target_: my_losses.Mine\nslope: 1\n")
    report = check(["loss=mine"])
    assert report.ok
    assert [note.where for note in report.notes] == ["loss._target_"]


def test_a_composed_config_is_checked_too(folder):
    config = compose()
    assert check_config(config).ok
    config.params.items_lr = 7.0
    with pytest.raises(ConfigError, match=r"params\.items_lr: found 7\.0"):
        require_valid(config)


def test_a_value_known_only_in_a_job_is_not_an_error(folder):
    assert errors("run_name=${hydra:job.name}") == {}


def test_the_report_for_scripts_has_the_parts(folder):
    report = check(["loss=infonse"]).to_dict()
    assert report["ok"] is False
    assert report["errors"][0]["where"] == "loss"
    assert report["errors"][0]["nearest"] == "loss=infonce"
