"""`hft promote` and `hft rollback` on real runs: who becomes champion, what is said, and the exit status."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hft
import hft.promotion
from hft.cli import main
from hft.experiments import ExperimentsManager, find_run
from hft.experiments.champions import champion_of
from hft.experiments.gate_looks import GateLooks
from small_collections import write_session_files

# The gate of a handful of queries lets through what need not be better by much.
EASY = ("promotion.rule=non_inferior", "promotion.margin=0.95")
METHOD = "text_embeddings"

Told = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def done(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder `outputs` with two finished runs, `a` and `b`, and an empty store."""
    place = tmp_path_factory.mktemp("promote")
    outputs = place / "outputs"
    ExperimentsManager(f"sqlite:///{outputs}/mlflow.db").run_ids("")
    for name, epochs in (("a", 1), ("b", 2)):
        overrides = [
            *write_session_files(place),
            *("model=local", f"model.source={tiny_bert}", "model.max_length=32", "threads=1", "seed=3"),
            *("settings.batch_size=8", "trainer.enable_progress_bar=false", "trainer.precision=32-true"),
            *("tracking=csv", f"settings.num_epochs={epochs}", "params.items_lr=1e-2"),
            *(f"run_name={name}", f"outputs={outputs}"),
        ]
        hft.train(hft.compose(overrides), folder=outputs / METHOD / name)
    return outputs


@pytest.fixture
def outputs(done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Those runs and that store, one's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return Path(shutil.copytree(done, tmp_path / "outputs"))


@pytest.fixture
def told(outputs: Path, capsys: pytest.CaptureFixture[str]) -> Told:
    """Runs a command; (exit status, stdout, stderr). No slip may show a traceback."""

    def run(*arguments: object) -> tuple[int, str, str]:
        status = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return status, captured.out, captured.err

    return run


@pytest.fixture
def gains(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Puts in the place of a measurement one of 500 queries, by which the candidate gains so much on average."""

    def of(gain: float) -> None:
        half = (np.random.default_rng(0).normal(0.0, 0.05, 500) + gain).clip(-1, 1) / 2
        values = {"test/ndcg@10/start": 0.5 - half, "test/ndcg@10/tuned": 0.5 + half, "test/query_hash": np.arange(500)}

        def measured(record: Any, rivals: Any, config: Any) -> Any:
            return dict.fromkeys(rivals, values), f"split by {config.data.splitter.salt}"

        monkeypatch.setattr(hft.promotion, "_measured", measured)

    return of


def looks(outputs: Path) -> int:
    return GateLooks(f"sqlite:///{outputs}/mlflow.db").count(METHOD, "test")


def champion_name(outputs: Path) -> str | None:
    found = champion_of(METHOD, outputs)
    return None if found is None else found.name


def test_the_first_is_held_against_the_initial_model(told: Told, outputs: Path) -> None:
    status, out, err = told("promote", "b", *EASY, "--json")
    assert status == 0, err
    found = json.loads(out)
    report = json.loads((outputs / METHOD / "b" / "report.json").read_text())["test"]["ndcg@10"]
    (rival,) = found["rivals"]
    assert (rival["role"], rival["run_id"]) == ("initial model", None)
    assert rival["rival"] == pytest.approx(report["start"])
    assert rival["candidate"] == pytest.approx(report["tuned"])
    assert (found["answer"], found["look"]) == ("promoted", 1)
    assert champion_name(outputs) == "b"


def test_the_next_is_held_against_the_champion_and_rollback_brings_it_back(told: Told, outputs: Path) -> None:
    told("promote", "a", *EASY)
    status, out, err = told("promote", "b", *EASY, "--json")
    assert status == 0, err
    found = json.loads(out)
    tested = {
        name: json.loads((outputs / METHOD / name / "report.json").read_text())["test"]["ndcg@10"]["tuned"]
        for name in ("a", "b")
    }
    (rival,) = found["rivals"]
    assert (rival["role"], rival["run_id"]) == ("champion", find_run("a", outputs).run_id)
    assert (rival["rival"], rival["candidate"]) == pytest.approx((tested["a"], tested["b"]))
    assert champion_name(outputs) == "b"

    status, out, _ = told("rollback")
    assert status == 0
    assert find_run("a", outputs).run_id[:8] in out
    assert champion_name(outputs) == "a"
    status, _, err = told("rollback")
    assert status == 2
    assert "nothing to go back to" in err
    assert champion_name(outputs) == "a"


def test_a_handful_of_queries_cannot_tell(told: Told, outputs: Path) -> None:
    status, out, _ = told("promote", "b", "promotion.rule=non_inferior", "promotion.margin=0.01")
    assert status == 1
    assert "Cannot tell: 7 queries are too few to resolve a margin of 0.01: it would take some" in out
    assert f"{METHOD} has no champion yet." in out
    assert "whatever the distribution of the gains; so with few queries it is wide" in out
    assert champion_name(outputs) is None
    assert looks(outputs) == 1


def test_of_the_data_only_lines_that_are_left_out_are_told_and_no_file_stays(told: Told, outputs: Path) -> None:
    sessions = outputs.parent / "damaged"
    files = write_session_files(sessions)
    assert "items" not in told("promote", "a", *files)[2]
    with open(next(path for path in sessions.rglob("*") if "session" in path.name), "a", encoding="utf-8") as file:
        file.write("no record\n")
    status, _, err = told("promote", "a", *files)
    assert status == 1
    assert [line for line in err.splitlines() if "left out" in line or "items" in line] == [
        "1 line of the data left out (1 x malformed JSON)"
    ]
    assert not list(outputs.rglob("quarantine"))


@pytest.mark.parametrize(("command", "advice"), [(["promote", "a"], "tracking.uri=URI"), (["rollback"], "--uri URI")])
def test_of_a_store_that_is_away_it_says_what_to_do(
    told: Told, monkeypatch: pytest.MonkeyPatch, command: list[str], advice: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    status, _, err = told(*command)
    assert status == 1
    assert "http://127.0.0.1:9" in err
    assert advice in err


@pytest.mark.parametrize(
    ("gain", "status", "answer"), [(0.02, 0, "promoted"), (-0.02, 1, "worse"), (0.005, 1, "cannot tell")]
)
def test_the_exit_status_tells_the_answer(
    told: Told, gains: Callable[[float], None], outputs: Path, gain: float, status: int, answer: str
) -> None:
    gains(gain)
    found, out, _ = told("promote", "a", "--json")
    assert (found, json.loads(out)["answer"]) == (status, answer)
    assert champion_name(outputs) == ("a" if status == 0 else None)


def test_the_table_names_both_the_bound_the_look_and_what_follows(
    told: Told, gains: Callable[[float], None], outputs: Path
) -> None:
    gains(0.02)
    told("promote", "a")
    gains(-0.02)
    status, out, _ = told("promote", "b")
    assert status == 1
    first, second = (find_run(name, outputs).run_id[:8] for name in ("a", "b"))
    assert [f"candidate  {second} b", f"champion   {first} a"] == [line[:21] for line in out.splitlines()[1:3]]
    assert "Look 2 of text_embeddings, at set 1 of test queries, candidate 2 there." in out
    assert "Worse: it is worse by at least 0.00" in out
    assert f"The champion stays: run {first}, version 1." in out


def test_the_champion_itself_costs_no_look(told: Told, gains: Callable[[float], None], outputs: Path) -> None:
    gains(0.02)
    told("promote", "a")
    status, out, _ = told("promote", "a")
    assert status == 0
    assert "is the champion of text_embeddings already" in out
    assert json.loads(told("promote", "a", "--json")[1])["answer"] == "champion already"
    assert looks(outputs) == 1


def test_candidates_at_the_same_queries_share_a_level_and_one_held_again_is_no_other(
    told: Told, gains: Callable[[float], None]
) -> None:
    gains(0.001)
    found = [json.loads(told("promote", name, "--json")[1]) for name in ("a", "a", "b", "a")]
    first = 0.05 / 26 * 0.607927
    assert [one["level"] for one in found] == pytest.approx([first, first, first / 4, first / 4], rel=1e-5)
    assert [(one["look"], one["set"], one["candidate_at_set"]) for one in found] == [
        (1, 1, 1),
        (2, 1, 1),
        (3, 1, 2),
        (4, 1, 2),
    ]


def test_other_queries_have_a_level_of_their_own(told: Told, gains: Callable[[float], None], outputs: Path) -> None:
    gains(0.001)
    first = json.loads(told("promote", "a", "--json")[1])
    other = write_session_files(outputs.parent / "other")
    second = json.loads(told("promote", "a", *other, "data.splitter.salt=other", "--json")[1])
    assert (second["set"], second["candidate_at_set"], second["look"]) == (2, 1, 2)
    assert second["level"] == first["level"]


def test_the_window_is_declared_printed_and_decides_the_level(told: Told, gains: Callable[[float], None]) -> None:
    gains(0.001)
    status, out, _ = told("promote", "a", "promotion.window=4", "promotion.alpha=0.1")
    assert status == 1
    assert "Within any 4 sets in a row (promotion.window) the chance of a mistaken promotion is at most 0.1" in out
    found = json.loads(told("promote", "a", "promotion.window=4", "promotion.alpha=0.1", "--json")[1])
    assert (found["window"], found["alpha"]) == (4, 0.1)
    assert found["level"] == pytest.approx(0.1 / 4 * 0.607927, rel=1e-5)


@pytest.mark.parametrize("recorded", [None, {"split": "test", "rule": "superior", "margin": None, "alpha": 0.1}])
def test_a_record_from_before_there_were_windows_is_judged_by_the_default_one(
    told: Told, gains: Callable[[float], None], outputs: Path, recorded: dict[str, object] | None
) -> None:
    gains(0.001)
    record = find_run("a", outputs)
    for config in (record.config, record.config_unresolved):
        del config["promotion"]
        if recorded is not None:
            config["promotion"] = dict(recorded)
    record.save()
    found = json.loads(told("promote", "a", "--json")[1])
    assert (found["window"], found["alpha"]) == (26, 0.05 if recorded is None else 0.1)


def test_a_look_counts_though_the_process_dies_before_it_answers(
    told: Told, gains: Callable[[float], None], outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gains(0.02)

    def killed(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("hft.metrics.promotion.decide", killed)
        assert told("promote", "a")[0] == 130
    assert champion_name(outputs) is None
    assert json.loads(told("promote", "a", "--json")[1])["look"] == 2


def test_the_best_champion_ever_is_held_against_too(told: Told, gains: Callable[[float], None], outputs: Path) -> None:
    gains(0.02)
    told("promote", "a")
    gains(0.0)
    assert told("promote", "b", "promotion.rule=non_inferior", "promotion.margin=0.02")[0] == 0
    shutil.copytree(outputs / METHOD / "a", outputs / METHOD / "c")
    record = find_run(outputs / METHOD / "c")
    record.run_id, record.name = "c" * 32, "c"
    record.save()
    found = json.loads(told("promote", "c", "--json")[1])
    assert [(rival["role"], rival["run_id"]) for rival in found["rivals"]] == [
        ("champion", find_run("b", outputs).run_id),
        ("best champion ever", find_run("a", outputs).run_id),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "run 'nothing'"),
        (["a", "promotion.rule=non_inferior"], "promotion.margin: found None"),
        (["a", "promotion.rule=non_inferior", "promotion.margin=-1"], "promotion.margin"),
        (["a", "promotion.margin=0.3"], "promotion.margin: found 0.3 with promotion.rule=superior"),
        (["a", "promotion.marginn=1"], "did you mean promotion.margin"),
        (["a", "promotion.split=validation"], "promotion.split"),
        (["a", "promotion.window=0"], "promotion.window"),
        (["a", "method=text_embeddings_two_towers"], "belongs to the method text_embeddings"),
        (["a", "seed=1,2"], "several values for one run"),
    ],
)
def test_a_wrong_request_is_refused_before_a_look(
    told: Told, outputs: Path, arguments: list[str], message: str
) -> None:
    status, _, err = told("promote", *arguments)
    assert status == 2
    assert message in err
    assert looks(outputs) == 0


@pytest.mark.parametrize("status", ["failed", "interrupted"])
def test_a_run_that_is_not_done_is_refused(told: Told, outputs: Path, status: Any) -> None:
    record = find_run("a", outputs)
    record.status = status
    record.save()
    found, _, err = told("promote", "a")
    assert found == 2
    assert f"is {status}. Only a run that is done" in err.replace(" : ", " ")


def test_a_run_without_a_model_is_refused(told: Told, outputs: Path) -> None:
    shutil.rmtree(outputs / METHOD / "a" / "model")
    status, _, err = told("promote", "a")
    assert status == 2
    assert "has no model in its folder" in err


def test_without_a_store_it_says_how_to_get_one(told: Told, outputs: Path) -> None:
    (outputs / "mlflow.db").unlink()
    status, _, err = told("promote", "a")
    assert status == 2
    assert "tracking=local" in err
    assert not (outputs / "mlflow.db").exists()


def test_a_record_of_an_older_hft_is_judged_by_the_rule_of_today(
    told: Told, gains: Callable[[float], None], outputs: Path
) -> None:
    record = find_run("a", outputs)
    for config in (record.config, record.config_unresolved):
        del config["promotion"]
    record.save()
    gains(0.02)
    assert told("promote", "a", "promotion.alpha=0.01")[0] == 0


def test_rollback_without_any_champion_says_where_one_comes_from(told: Told) -> None:
    status, _, err = told("rollback")
    assert status == 2
    assert "hft promote RUN" in err


def test_rollback_as_json(told: Told, gains: Callable[[float], None], outputs: Path) -> None:
    gains(0.02)
    told("promote", "a")
    told("promote", "b")
    found = json.loads(told("rollback", METHOD, "--json")[1])
    assert found["method"] == METHOD
    assert (found["was"]["version"], found["champion"]["version"]) == (2, 1)
    assert found["champion"]["run_id"] == find_run("a", outputs).run_id
