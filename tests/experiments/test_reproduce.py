"""A run repeated on one machine is equal to the last bit; what differs is named, and never passes for equal."""

from __future__ import annotations

import json
import math
import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig
from small_runs import small_config, train_line

from hft.checksums import sealed_row, unsealed_row
from hft.errors import ConfigError
from hft.experiments import RunRecord, load_record
from hft.experiments.reproduce import reproduce, vary
from hft.experiments.saved_config import Change, apply_changes, config_to_repeat, saved_config
from hft.experiments.verdict import Verdict, as_dict


def repeat(record: RunRecord, **options: Any) -> tuple[Verdict, RunRecord]:
    return reproduce(record, config_to_repeat(record, {}, "outputs"), partial(train_line, **options))


def failed(verdict: Verdict) -> list[str]:
    return [check.what for check in verdict.checks if check.holds is False]


@pytest.fixture
def recorded() -> RunRecord:
    return train_line(small_config(), Path("outputs/line/a"))


def test_an_equal_run_holds_and_is_a_run_of_its_own(recorded: RunRecord) -> None:
    verdict, now = repeat(recorded)
    assert verdict.holds
    assert "equal to the last bit" in verdict.sentence
    assert now.run_id != recorded.run_id
    assert now.folder.parent == recorded.folder.parent
    assert now.reproduces == load_record(now.folder).reproduces == recorded.run_id
    assert now.results.weights == recorded.results.weights
    assert {check.what: check.holds for check in verdict.checks if check.holds is not None} == {
        "config": True,
        "data": True,
        "base model": True,
        "versions": True,
        "machine": True,
        "recorded steps.jsonl": True,
        "loss of every step": True,
        "final metrics": True,
        "weights": True,
    }


def test_threads_are_those_of_the_record_and_put_back_after() -> None:
    here = torch.get_num_threads()
    recorded = train_line(small_config(threads=1), Path("outputs/line/a"))
    torch.set_num_threads(here)
    _, now = repeat(recorded)
    assert now.environment.threads == 1
    assert torch.get_num_threads() == here


def test_a_kernel_variable_of_the_record_is_set_while_it_runs(recorded: RunRecord) -> None:
    recorded.environment.variables["ONEDNN_MAX_CPU_ISA"] = "AVX2"
    seen = []

    def train(config: DictConfig, folder: Path) -> None:
        seen.append(os.environ.get("ONEDNN_MAX_CPU_ISA"))
        train_line(config, folder)

    reproduce(recorded, config_to_repeat(recorded, {}, "outputs"), train)
    assert seen == ["AVX2"]
    assert "ONEDNN_MAX_CPU_ISA" not in os.environ


def test_a_loss_that_differs_in_its_last_bit_does_not_hold_and_its_step_is_named(recorded: RunRecord) -> None:
    lines = (recorded.folder / "steps.jsonl").read_text().splitlines()
    row = json.loads(unsealed_row(lines[4].encode()))
    row["train_loss"] = math.nextafter(row["train_loss"], 1e9)
    (recorded.folder / "steps.jsonl").write_text("\n".join([*lines[:4], sealed_row(json.dumps(row)), *lines[5:], ""]))
    verdict, _ = repeat(recorded)
    assert not verdict.holds
    assert failed(verdict) == ["recorded steps.jsonl", "loss of every step"]
    assert any("step 5: train_loss" in check.now for check in verdict.checks)


def test_steps_that_take_another_time_hold(recorded: RunRecord) -> None:
    first = json.loads((recorded.folder / "steps.jsonl").read_text().splitlines()[0])
    _, now = repeat(recorded)
    second = json.loads((now.folder / "steps.jsonl").read_text().splitlines()[0])
    assert first["time"] != second["time"]


@pytest.mark.parametrize("missing", ["steps.jsonl", "a step"])
def test_steps_that_are_missing_do_not_hold(recorded: RunRecord, missing: str) -> None:
    path = recorded.folder / "steps.jsonl"
    if missing == "a step":
        path.write_text("\n".join([*path.read_text().splitlines()[:-1], ""]))
    else:
        path.unlink()
    verdict, _ = repeat(recorded)
    assert not verdict.holds
    assert "recorded steps.jsonl" in failed(verdict)


def test_a_final_metric_that_differs_is_named_with_both_values(recorded: RunRecord) -> None:
    recorded.results.metrics["test_ndcg@10_start"] = 0.5
    verdict, _ = repeat(recorded)
    assert failed(verdict) == ["final metrics"]
    assert "test_ndcg@10_start: 0.25 (recorded 0.5)" in verdict.sentence


def test_baselines_and_p_by_another_rule_are_no_other_model(recorded: RunRecord) -> None:
    recorded.results.metrics |= {"test_bm25_ndcg@10": 0.1, "test_random_ndcg@10": 0.1, "test_ndcg@10_p": 0.9}
    verdict, _ = repeat(recorded)
    assert verdict.holds


def test_other_weights_do_not_hold(recorded: RunRecord) -> None:
    recorded.results.weights = "0" * 64
    verdict, _ = repeat(recorded)
    assert failed(verdict) == ["weights"]


@pytest.mark.parametrize(
    ("options", "what"), [({"data_hash": "data-2"}, "data"), ({"base_hash": "base-2"}, "base model")]
)
def test_other_data_or_another_base_model_ends_it_before_step_1(
    recorded: RunRecord, options: dict[str, str], what: str
) -> None:
    verdict, now = repeat(recorded, **options)
    assert not verdict.holds
    assert failed(verdict) == [what]
    assert "before step 1" in verdict.sentence
    assert what in verdict.sentence
    assert now.status == "failed"
    assert not (now.folder / "steps.jsonl").exists()


def test_a_config_that_was_changed_in_the_record_is_what_runs_and_its_losses_differ(recorded: RunRecord) -> None:
    recorded.config["params"]["items_lr"] = 0.05
    verdict, now = repeat(recorded)
    assert now.config["params"]["items_lr"] == 0.05
    assert "loss of every step" in failed(verdict)


def test_on_another_machine_close_losses_hold_within_tolerance_and_it_says_so(recorded: RunRecord) -> None:
    recorded.hardware["cpu"] = "another CPU"
    recorded.results.weights = "0" * 64
    verdict, _ = repeat(recorded)
    assert verdict.holds
    assert "within tolerance, not to the last bit" in verdict.sentence
    assert "cpu" in verdict.sentence
    assert "another CPU" in verdict.sentence


def test_on_another_machine_losses_that_are_far_do_not_hold() -> None:
    recorded = train_line(small_config(), Path("outputs/line/a"))
    recorded.hardware["cpu"] = "another CPU"
    recorded.config["params"]["items_lr"] = 0.01
    verdict, _ = repeat(recorded)
    assert not verdict.holds
    assert "even within tolerance" in verdict.sentence


def test_on_another_machine_steps_that_were_edited_do_not_hold(recorded: RunRecord) -> None:
    recorded.hardware["cpu"] = "another CPU"
    recorded.results.steps = "0" * 64
    verdict, _ = repeat(recorded)
    assert not verdict.holds


def test_other_versions_are_told_but_equal_losses_hold(recorded: RunRecord) -> None:
    recorded.versions["torch"] = "1.0"
    verdict, _ = repeat(recorded)
    assert verdict.holds
    assert any(check.what == "versions" and "recorded 1.0" in check.now for check in verdict.checks)


def test_a_run_that_did_not_finish_is_refused_with_what_to_do(recorded: RunRecord) -> None:
    recorded.status = "failed"
    with pytest.raises(ConfigError, match=r"is failed(?s:.)*hft reproduce .* seed=0"):
        repeat(recorded)


def test_a_reproduction_can_be_reproduced(recorded: RunRecord) -> None:
    _, now = repeat(recorded)
    verdict, _ = repeat(load_record(now.folder))
    assert verdict.holds


def test_a_verdict_is_plain_for_scripts(recorded: RunRecord) -> None:
    verdict, _ = repeat(recorded)
    values = json.loads(json.dumps(as_dict(verdict)))
    assert values["holds"] is True
    assert {"what", "recorded", "now", "holds"} == set(values["checks"][0])


def test_a_variation_says_whom_it_varies_and_keeps_its_interpolations(recorded: RunRecord) -> None:
    config = apply_changes(saved_config(recorded), [Change("settings.num_epochs", 1)])
    now = vary(recorded, config, train_line, overrides=["settings.num_epochs=1"], choices={"loss": "margin"})
    assert now.varies == load_record(now.folder).varies == recorded.run_id
    assert now.reproduces is None
    assert now.results.num_steps == 6
    assert now.overrides == [*recorded.overrides, "settings.num_epochs=1"]
    assert now.choices["loss"] == "margin"
    assert now.config_unresolved["trainer"]["max_epochs"] == "${settings.num_epochs}"
