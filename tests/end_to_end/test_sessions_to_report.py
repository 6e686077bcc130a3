"""From a raw log to a run's report: converter, splitters, batch and window, iterations, leakage, seen and unseen."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hft.cli import main
from hft.errors import ConfigError

WORDS = ("server", "film", "path", "number", "list", "cinema", "message", "file", "answer", "night", "door", "tree")
DAY = 86_400


@pytest.fixture
def log(tmp_path: Path) -> list[str]:
    """240 sessions of 80 queries over 20 days, of 40 users, in two batches; a few of a robot and sorted by price."""
    items = [{"item_id": f"i{n}", "text": f"a {WORDS[n % 12]} and a {WORDS[n * 7 % 12]} number {n}"} for n in range(48)]
    lines = []
    for number in range(240):
        query = number % 80 if number % 4 else number
        lines.append({
            "session_id": f"s{number}",
            "query": f"{WORDS[query % 12]} {WORDS[query // 12 % 12]} {query}",
            "results": [f"i{(query * 5 + place * 11) % 48}" for place in range(4)],
            "events": [{"item_id": f"i{(query * 5 + 11) % 48}", "type": "click", "dwell": 30}],
            "user_id": f"u{number % 40}",
            "user_agent": "Googlebot" if number % 40 == 7 else "Mozilla",
            "sort_by": "price" if number % 5 == 0 else "relevance",
            "timestamp": 1_760_054_400 + number * DAY // 12,
            "batch_id": "first" if number < 120 else "second",
        })  # fmt: skip
    for name, rows in (("items", items), ("sessions", lines)):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return [
        "data=sessions",
        f"data.source.sessions={tmp_path}/sessions.jsonl",
        f"data.source.items={tmp_path}/items.jsonl",
    ]


@pytest.fixture
def train(log: list[str], tiny_model: list[str], two_steps: list[str], place: Path) -> Callable[..., dict[str, Any]]:
    """`train(folder, *overrides)` runs `hft train` and returns report.json."""

    def run(folder: str, *overrides: str) -> dict[str, Any]:
        assert main(["train", *log, *tiny_model, *two_steps, f"hydra.run.dir=outputs/{folder}", *overrides]) == 0
        found: dict[str, Any] = json.loads((place / "outputs" / folder / "report.json").read_text())
        return found

    return run


def test_a_log_is_cleaned_split_by_time_and_reported_apart_for_what_was_seen(
    train: Callable[..., dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    report = train("run", "data/converter=clean", "data/splitter=by_time", "data.splitter.test=0.4")
    printed = "".join(capsys.readouterr())
    assert "6 sessions of user agents of robots" in printed
    assert "count 0.3" in printed
    assert "split by time: the last share of each of 2 batches" in printed
    assert "Leakage" in printed
    leakage = report["leakage"]["test"]
    assert 0 < leakage["queries_seen"] < leakage["queries"]
    assert leakage["users_seen"] > 0
    apart = {**report["slices"], **report["small_slices"]}
    assert {"query seen in training", "query not seen in training"} <= set(apart)
    for found in report["slices"].values():
        assert found["ndcg@10"]["queries"] >= 10
        assert len(found["ndcg@10"]["interval"]) == 2


def test_by_user_and_by_item_nothing_held_out_is_in_training(train: Callable[..., dict[str, Any]]) -> None:
    assert train("users", "data/splitter=by_user")["leakage"]["test"]["users_seen"] == 0
    items = train("items", "data/splitter=by_item", "data.splitter.test=0.3", "data.splitter.validation=0.2",
                  "data.splitter.lists=whole")  # fmt: skip
    assert items["leakage"]["test"]["relevant_picked"] == 0


def test_the_next_iteration_takes_its_batch_and_window_and_keeps_what_is_held_out(
    train: Callable[..., dict[str, Any]], log: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    window = "data.time_window=[2025-10-10,2025-10-29]"
    first = train("first", "data.batch_id=first", window)
    second = train("second", "data.batch_id=second", "iteration=next", "iteration.start_from=outputs/first", window)
    assert first["counts"]["train_sessions"]
    assert second["counts"]["train_sessions"]
    capsys.readouterr()

    def splits(*overrides: str) -> dict[str, int]:
        assert main(["data", "describe", *log, *overrides, "--json"]) == 0
        counts = json.loads(capsys.readouterr().out)["report"]["splits"]
        return {name: found["sessions"] for name, found in counts.items()}

    parts = [splits(f"data.batch_id={batch}", window) for batch in ("first", "second")]
    assert {name: sum(part[name] for part in parts) for name in parts[0]} == splits(window)


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("data.time_window=[2030-01-01,null]", "data.time_window: no session is in 2030-01-01"),
        ("data/splitter=stratified", "data.source.fields.group"),
        ("data.source.fields.timestamp=when", "data.source.fields.timestamp"),
    ],
)
def test_data_that_lacks_what_is_asked_for_is_refused_in_one_message(
    override: str, told: str, log: list[str], tiny_model: list[str], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *log, *tiny_model, "tracking=csv", override]) == 2
    printed = capsys.readouterr().err
    assert told in printed
    assert "Traceback" not in printed


def test_a_record_from_elsewhere_may_name_the_rules_and_no_other(log: list[str], place: Path) -> None:
    import hft
    from hft.config.trust import check_trusted

    config = hft.compose([*log, "data/converter=clean", "data/splitter=by_item"])
    check_trusted(config)
    config.data.converter.rules.dwell._target_ = "os.system"
    with pytest.raises(ConfigError, match=r"os\.system"):
        check_trusted(config)
