"""`hft runs`, `hft compare` and `hft reproduce` as a user meets them: what they print and their exit status."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_runs import train_line

import hft
import hft.cli.reproduce
from hft.cli import main
from hft.cli.variation import vary_config
from hft.experiments import RunRecord, find_run, list_runs, load_record

OVERRIDES = ["tracking=csv", "params.items_lr=0.05"]


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> RunRecord:
    """A run of the shipped config, trained by the small trainer, which reproductions use as well."""
    monkeypatch.setattr(hft.cli.reproduce, "_train", train_line)
    return train_line(hft.compose(OVERRIDES), Path("outputs/text_embeddings/a"), overrides=OVERRIDES)


def told(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return " ".join((captured.out + captured.err).split())


def test_runs_lists_them(recorded: RunRecord, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs"]) == 0
    assert recorded.run_id[:8] in told(capsys)


def test_runs_tells_runs_apart_by_name_overrides_and_folder(
    recorded: RunRecord, capsys: pytest.CaptureFixture[str]
) -> None:
    config = hft.compose([*OVERRIDES, "run_name=mine"])
    other = train_line(config, Path("outputs/text_embeddings/b").resolve(), overrides=["run_name=mine", "seed=1"])
    other.reproduces = recorded.run_id
    other.save()
    assert main(["runs"]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines[2] == f"mine  repeats {recorded.run_id[:8]}  seed=1  outputs/text_embeddings/b"
    assert lines[4] == "tracking=csv params.items_lr=0.05  outputs/text_embeddings/a"


def test_long_overrides_are_shortened_and_the_folder_stays(
    recorded: RunRecord, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hft.cli.runs._WIDTH_OF_A_FILE", 100)
    recorded.overrides = [f"params.items_lr={number}" for number in range(9)]
    recorded.save()
    assert main(["runs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 100 for line in lines)
    assert lines[2].endswith("...  outputs/text_embeddings/a")


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not here")
def test_bash_completes_the_id_of_a_run(recorded: RunRecord) -> None:
    script = f"""eval "$(hft completion bash)"
        COMP_LINE="hft reproduce {recorded.run_id[:2]}"; COMP_POINT=${{#COMP_LINE}}
        COMP_WORDS=($COMP_LINE); COMP_CWORD=2
        _hft_complete; echo "${{COMPREPLY[@]}}" """
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(["bash", "-c", script], env={**os.environ, "PATH": path}, capture_output=True, text=True)
    assert done.stdout.split() == [recorded.run_id[:8]]


def test_runs_as_json_is_for_scripts(recorded: RunRecord, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["run_id"], row["status"]) == (recorded.run_id, "done")


def test_runs_says_what_to_do_where_there_are_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs"]) == 0
    assert "hft train" in told(capsys)
    assert main(["runs", "--sync"]) == 0


@pytest.mark.parametrize("limit", ["-1", "many"])
def test_a_limit_that_is_no_count_is_wrong_usage(limit: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "--limit", limit]) == 2
    assert "--limit" in told(capsys)


def test_runs_names_a_broken_record(recorded: RunRecord, capsys: pytest.CaptureFixture[str]) -> None:
    (recorded.folder / "run.yaml").write_text("a: [")
    assert main(["runs"]) == 0
    assert "broken" in told(capsys)


def test_compare_shows_settings_metrics_and_significance(
    recorded: RunRecord, capsys: pytest.CaptureFixture[str]
) -> None:
    other = train_line(hft.compose([*OVERRIDES, "params.margin=0.5"]), Path("outputs/text_embeddings/b"), score=0.75)
    generator = np.random.default_rng(0)
    values = generator.uniform(size=50)
    for record, shift in ((recorded, 0.0), (other, 0.1)):
        arrays = {"test/ndcg@10/tuned": values + shift, "test/query_hash": np.arange(50)}
        np.savez(record.folder / "per_query.npz", **arrays)  # type: ignore[arg-type]  # keywords are arrays here
    assert main(["compare", "a", "b", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["settings"] == {"params.margin": [0.02, 0.5]}
    assert found["metrics"]["test_ndcg@10"][1] == 0.75
    assert found["significance"]["ndcg@10"]["queries"] == 50
    assert found["significance"]["ndcg@10"]["difference"] == pytest.approx(0.1)
    assert found["significance"]["ndcg@10"]["p"] < 0.05
    assert main(["compare", "a", "b"]) == 0
    printed = told(capsys)
    assert "params.margin" in printed
    assert "difference (second - first)" in printed
    assert "test_ndcg@10_start" not in printed
    assert "1 of 3 metrics are equal and not shown" in printed
    assert "ndcg@10 50 +0.1000 +0.0" in printed
    assert "Few or skewed queries (ndcg@10): by a bound that holds for any distribution." in printed


def test_compare_of_a_run_with_itself_shows_no_rows(recorded: RunRecord, capsys: pytest.CaptureFixture[str]) -> None:
    arrays = {"test/ndcg@10/tuned": np.ones(5), "test/query_hash": np.arange(5)}
    np.savez(recorded.folder / "per_query.npz", **arrays)  # type: ignore[arg-type]  # keywords are arrays here
    assert main(["compare", "a", "a"]) == 0
    printed = told(capsys)
    assert "All 3 metrics are equal." in printed
    assert "score the same for every test query" in printed


@pytest.mark.parametrize("batch", [None, "2"])
def test_compare_of_other_data_says_how_to_compare_on_the_same(
    batch: str | None, recorded: RunRecord, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = OVERRIDES if batch is None else [*OVERRIDES, f"data.batch_id={batch}"]
    other = train_line(hft.compose(overrides), Path("outputs/text_embeddings/b"), data_hash="data-2")
    assert main(["compare", "a", "b"]) == 0
    printed = told(capsys)
    data = f"data.batch_id={batch or '...'}"
    assert f"`hft evaluate {recorded.run_id[:8]} {data}`" in printed
    assert f"`hft promote {other.run_id[:8]} {data}`" in printed
    assert main(["compare", "a", "a"]) == 0
    assert "hft promote" not in told(capsys)


def test_compare_of_an_unknown_run_is_a_wrong_request(recorded: RunRecord, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "a", "nobody"]) == 2
    assert "'nobody': is no run folder" in told(capsys)


def test_reproduce_of_an_equal_run_holds(recorded: RunRecord, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", str(recorded.folder)]) == 0
    assert "It holds: every loss, every metric and the weights are equal" in told(capsys)


def test_reproduce_as_json_prints_nothing_else(recorded: RunRecord, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", recorded.run_id, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["holds"] is True
    assert load_record(found["folder"]).reproduces == recorded.run_id


def test_reproduce_of_a_run_that_does_not_hold_exits_with_1(
    recorded: RunRecord, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded.results.weights = "0" * 64
    recorded.save()
    assert main(["reproduce", "a"]) == 1
    assert "It does not hold: weights" in told(capsys)


def test_reproduce_of_an_unknown_run_is_a_wrong_request(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "nobody"]) == 2
    assert "'nobody'" in told(capsys)


def test_a_record_from_elsewhere_cannot_run_what_is_not_trusted(
    recorded: RunRecord, capsys: pytest.CaptureFixture[str]
) -> None:
    for config in (recorded.config, recorded.config_unresolved):
        config["loss"] = {"_target_": "os.system", "command": "touch owned"}
    recorded.save()
    assert main(["reproduce", "a"]) == 2
    assert "--trust os.system" in told(capsys)
    assert len(list_runs()) == 1


def test_what_the_user_trusts_runs(recorded: RunRecord) -> None:
    for config in (recorded.config, recorded.config_unresolved):
        config["loss"] = {"_target_": "mylosses.Mine"}
    recorded.save()
    assert main(["reproduce", "a", "--trust", "mylosses"]) == 0


def test_a_record_from_elsewhere_does_not_read_the_environment(
    recorded: RunRecord, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "hush")
    for config in (recorded.config, recorded.config_unresolved):
        config["run_name"] = "${oc.env:SECRET}"
    recorded.save()
    for command in (["reproduce", "a"], ["reproduce", "a", "seed=1"], ["evaluate", "a"]):
        assert main(command) == 2
        printed = told(capsys)
        assert "config.run_name" in printed
        assert "hush" not in printed
    assert len(list_runs()) == 1


def test_a_record_does_not_say_where_configs_are_searched(
    recorded: RunRecord, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "theirs" / "ranker").mkdir(parents=True)
    (tmp_path / "theirs" / "ranker" / "evil.yaml").write_text("_target_: os.system\ncommand: touch owned\n")
    recorded.overrides = [f"hydra.searchpath=[file://{tmp_path}/theirs]", "ranker=evil"]
    for config in (recorded.config, recorded.config_unresolved):
        config["ranker"] = {"_target_": "os.system", "command": "touch owned"}
    recorded.save()
    assert main(["reproduce", "a", "loss=margin"]) == 2
    assert "--trust os.system" in told(capsys)
    assert len(list_runs()) == 1


def test_a_variation_does_not_push_to_the_store_of_the_record(recorded: RunRecord) -> None:
    theirs = {"kind": "mlflow", "uri": "http://somebody.else:5000", "log_model": True}
    for config in (recorded.config, recorded.config_unresolved):
        config["tracking"] = theirs
    own = vary_config(recorded, ["seed=1"], "outputs").config.tracking
    assert (own.kind, own.uri) == ("mlflow", "sqlite:///outputs/mlflow.db")
    assert vary_config(recorded, ["seed=1", "tracking=csv"], "outputs").config.tracking.kind == "csv"
    assert vary_config(recorded, ["tracking.uri=http://mine"], "outputs").config.tracking.uri == "http://mine"


def varied(capsys: pytest.CaptureFixture[str], *overrides: str) -> tuple[dict[str, Any], RunRecord]:
    assert main(["reproduce", "a", *overrides, "--json"]) == 0
    captured = capsys.readouterr()
    assert "A variation of run" in captured.err
    found = json.loads(captured.out)
    return found["changed"], find_run(found["run_id"])


def test_a_value_override_is_a_variation_of_the_saved_config(
    recorded: RunRecord, capsys: pytest.CaptureFixture[str]
) -> None:
    changed, now = varied(capsys, "settings.num_epochs=2")
    assert changed == {"settings.num_epochs": [1, 2], "trainer.max_epochs": [1, 2]}
    assert now.config["params"]["items_lr"] == 0.05
    assert now.results.num_steps == 12
    assert now.varies == recorded.run_id


def test_a_group_override_replaces_its_node_whole(recorded: RunRecord, capsys: pytest.CaptureFixture[str]) -> None:
    changed, now = varied(capsys, "loss=prob_margin", "loss.scale=10.0", "settings.negatives=shown")
    assert now.config["loss"] == {"_target_": "hft.losses.ProbMarginRankingLoss", "scale": 10.0, "shift": 0.0}
    assert now.choices["loss"] == "prob_margin"
    assert now.config["params"]["items_lr"] == 0.05
    assert {key.split(".")[0] for key in changed} == {"loss", "settings"}


def test_an_option_that_changes_other_nodes_changes_them_here_too(
    recorded: RunRecord, capsys: pytest.CaptureFixture[str]
) -> None:
    changed, now = varied(capsys, "trainer=debug")
    assert now.config["trainer"]["max_steps"] == 2
    assert now.config["data"]["limit_sessions"] == 48
    assert now.config["tracking"]["kind"] == "csv"
    assert "params.items_lr" not in changed


def test_a_variation_of_a_variation_goes_on_from_there(recorded: RunRecord, capsys: pytest.CaptureFixture[str]) -> None:
    _, first = varied(capsys, "params.margin=0.1")
    assert main(["reproduce", first.run_id, "settings.num_epochs=2", "--json"]) == 0
    second = find_run(json.loads(capsys.readouterr().out)["run_id"])
    assert (second.config["params"]["margin"], second.config["trainer"]["max_epochs"]) == (0.1, 2)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("settings.num_epoch=1", ["settings.num_epoch", "settings.num_epochs"]),
        ("loss=infonse", ["infonse", "loss=infonce"]),
        ("settings.num_epochs=often", ["settings.num_epochs", "often"]),
        ("params.margin=-1", ["params.margin", "-1"]),
        ("seed=0,1", ["several values"]),
        ("lossy=infonce", ["lossy", "loss"]),
        ("nonsense", ["nonsense", "not an override"]),
    ],
)
def test_a_wrong_override_is_refused_before_anything_runs(
    recorded: RunRecord, capsys: pytest.CaptureFixture[str], override: str, words: list[str]
) -> None:
    assert main(["reproduce", "a", override]) == 2
    printed = told(capsys)
    assert all(word in printed for word in words), printed
    assert len(list_runs()) == 1
