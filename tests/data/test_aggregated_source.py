"""Several sources as one: results find the source that holds them, and what cannot be loaded is counted and listed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hft.data import (
    AggregatedSource,
    FineTuningInput,
    Quarantine,
    QueryRetriever,
    SessionFiles,
    SourceData,
    SqlSessions,
)
from hft.errors import ConfigError, DataError

Write = Callable[[str, Any], Path]


@pytest.fixture
def shop(write: Write) -> SessionFiles:
    """Items only."""
    return SessionFiles(None, str(write("shop.jsonl", [{"item_id": str(n), "text": f"shop {n}"} for n in range(1, 5)])))


@pytest.fixture
def blog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SqlSessions:
    """Items only, of a database, under other names, one without a text."""
    database = sqlite3.connect(tmp_path / "blog.db")
    database.execute("CREATE TABLE posts (id INTEGER, headline TEXT, body TEXT)")
    database.executemany(
        "INSERT INTO posts VALUES (?, ?, ?)", [(1, "One", "blog 1"), (2, "Two", "blog 2"), (3, "Bad", "")]
    )
    database.commit()
    monkeypatch.setenv("BLOG_URL", f"sqlite:///{tmp_path / 'blog.db'}")
    names = {"item_id": "id", "title": "headline", "text": "body"}
    return SqlSessions("BLOG_URL", None, "SELECT id, headline, body FROM posts ORDER BY id", fields=names)  # type: ignore[arg-type]


def web(write: Write, lines: list[Any], **options: Any) -> SessionFiles:
    return SessionFiles(str(write("web.jsonl", lines)), None, **options)


def read(sources: dict[str, Any], quarantine: Quarantine | None = None, **options: Any) -> SourceData:
    return AggregatedSource(sources, **options).read(quarantine or Quarantine(None, 0.5))


def test_a_result_says_its_source_by_a_prefix_or_a_field(write: Write, shop: SessionFiles, blog: SqlSessions) -> None:
    lines = [
        {"session_id": 7, "query": "by prefix", "results": ["shop:1", "blog:1", "shop:2"], "events": ["blog:1"]},
        {
            "query": "by field",
            "results": [{"item_id": 1, "source": "blog"}, {"item_id": "1", "source": "shop"}],
            "events": [{"item_id": "1", "source": "shop", "type": "purchase"}],
        },
        {"query": "by default", "results": ["3", "4", "blog:2"], "events": [4, "blog:2"], "ranks": [3, 2, 1]},
    ]
    data = read({"web": web(write, lines), "shop": shop, "blog": blog}, default_source="shop")
    assert list(data.inputs) == [
        FineTuningInput("web:7", "by prefix", ("shop:1", "blog:1", "shop:2"), (0.0, 1.0, 0.0)),
        FineTuningInput("web:web.jsonl:2", "by field", ("blog:1", "shop:1"), (0.0, 10.0)),
        FineTuningInput(
            "web:web.jsonl:3", "by default", ("shop:3", "shop:4", "blog:2"), (0.0, 1.0, 1.0), (3.0, 2.0, 1.0)
        ),
    ]
    texts = dict(zip(data.items.ids, data.items.texts, strict=True))
    assert (texts["shop:1"], texts["blog:1"]) == ("shop 1", "blog 1")


def test_items_that_cannot_be_loaded_leave_their_sessions_counted_and_listed(
    write: Write, shop: SessionFiles, blog: SqlSessions, tmp_path: Path
) -> None:
    lines = [
        {"query": "mended", "results": ["shop:1", "blog:3", "shop:2", "shop:99"], "events": ["blog:3", "shop:2"]},
        {"query": "left alone", "results": ["shop:1", "blog:3"], "events": ["shop:1"]},
        {"query": "whole", "results": ["shop:1", "blog:2"], "events": ["blog:2"]},
    ]
    with Quarantine(tmp_path / "quarantine.jsonl", 0.5) as quarantine:
        data = read({"web": web(write, lines), "shop": shop, "blog": blog}, quarantine)
    assert list(data.inputs) == [
        FineTuningInput("web:web.jsonl:1", "mended", ("shop:1", "shop:2"), (0.0, 1.0)),
        FineTuningInput("web:web.jsonl:3", "whole", ("shop:1", "blog:2"), (0.0, 1.0)),
    ]
    assert data.dropped["items that sessions show and that cannot be loaded"] == 2
    assert data.dropped["sessions left with fewer than two results"] == 1
    entries = [json.loads(line) for line in (tmp_path / "quarantine.jsonl").read_text().splitlines()]
    listed = [(entry["line"], entry["left_out"]) for entry in entries if "left_out" in entry]
    assert listed == [(1, ["blog:3", "shop:99"]), (2, ["blog:3"])]
    assert [entry["reason"] for entry in entries if entry["file"] == "data.source.items"] == ["no text in body"]


def test_a_source_that_fails_stops_the_run_or_loses_its_items(
    write: Write, shop: SessionFiles, blog: SqlSessions, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lines = [{"query": "q", "results": ["shop:1", "blog:1", "shop:2"], "events": ["shop:2"]}]
    (tmp_path / "blog.db").unlink()
    sources = {"web": web(write, lines), "shop": shop, "blog": blog}
    with pytest.raises(DataError, match=r"data\.source\.sources\.blog: .*there is no such file"):
        read(sources)
    data = read(sources, when_a_source_fails="drop")
    assert data.inputs[0].results == ("shop:1", "shop:2")
    assert any("the items of blog cannot be loaded" in note for note in data.notes)


def test_sessions_of_two_sources_keep_their_ids_apart(write: Write, shop: SessionFiles) -> None:
    one = {"session_id": "s1", "query": "one", "results": ["1", "2"], "events": ["1"]}
    two = {"id": "s1", "q": "two", "results": ["3", "4"], "events": [{"sku": "4", "weight": 2}]}
    app = SessionFiles(
        str(write("app.jsonl", [two])), None, fields={"session_id": "id", "query": "q", "event_item_id": "sku"}
    )
    data = read({"web": web(write, [one]), "app": app, "shop": shop})
    assert [session.session_id for session in data.inputs] == ["web:s1", "app:s1"]
    assert data.inputs[1].events == (0.0, 2.0)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{broken", "malformed JSON"),
        ({"results": ["1", "2"], "events": []}, "missing field 'query'"),
        ({"query": "q", "results": "1", "events": []}, "field 'results': Input should be a valid list"),
        ({"query": "q", "results": ["1", "2"]}, "missing field 'events'"),
    ],
)
def test_a_line_that_is_no_session_is_set_aside_as_ever(
    write: Write, shop: SessionFiles, line: Any, reason: str
) -> None:
    good = {"query": "q", "results": ["1", "2"], "events": ["1"]}
    quarantine = Quarantine(None, 0.5)
    assert len(read({"web": web(write, [good, line, good]), "shop": shop}, quarantine).inputs) == 2
    assert quarantine.reasons == {reason: 1}


ALONE_AND_TOGETHER: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "numbers that are ids": ([{"query": "q", "results": [1, 2.0], "events": [1.0, 2]}], {}),
    "weights": ([{"query": "q", "results": ["1", "2"], "events": [0, "2.5"]}], {"fields": {"weights": "events"}}),
    "too few weights": ([{"query": "q", "results": ["1", "2"], "events": [1]}], {"fields": {"weights": "events"}}),
    "a query retriever": (
        [{"words": "tent", "city": "Oslo", "results": ["1", "2"], "events": ["1"]}],
        {"query_retriever": QueryRetriever(template="{words} {city}")},
    ),
    "weights of events": (
        [{"query": "q", "results": ["1", "2"], "events": [{"item_id": "2", "type": "click"}]}],
        {"event_weights": {"click": 7.0}},
    ),
    "a type of its own": (
        [{"query": "q", "results": ["1", "2"], "events": [{"item_id": "1", "type": "zoom"}]}],
        {"event_weights": {"zoom": 2.0}},
    ),
    "a type that it does not know": (
        [{"query": "q", "results": ["1", "2"], "events": [{"item_id": "1", "type": "cart"}]}],
        {"event_weights": {"click": 1.0}},
    ),
    "no events and flagged by a text": (
        [{"query": "q", "results": ["1", "2"], "is_irrelevant": flag} for flag in ("true", "false", "off", "1", "0")],
        {},
    ),
    "events that are null": ([{"query": "q", "results": ["1", "2"], "events": None}], {}),
    "names with dots": (
        [{"in": {"q": "tent", "shown": ["1", "2", "3"], "scores": [3, 2, 1]}, "did": [{"on": {"id": "3"}, "s": 9}]}],
        {
            "fields": {
                "query": "in.q",
                "results": "in.shown",
                "ranks": "in.scores",
                "events": "did",
                "event_item_id": "on.id",
                "event_dwell": "s",
            }
        },
    ),
}


@pytest.mark.parametrize("case", ALONE_AND_TOGETHER)
def test_a_source_is_read_as_it_is_alone(write: Write, shop: SessionFiles, case: str) -> None:
    lines, options = ALONE_AND_TOGETHER[case]
    fields = options.get("fields", {})
    good: dict[str, Any] = {"query": "good", "words": "good", "city": "", "results": ["3", "4"], "events": []}
    if "query" in fields:
        good = {"in": {"q": "good", "shown": ["3", "4"]}, "did": []}
    sessions = str(write("web.jsonl", [good, *lines]))
    quarantines = Quarantine(None, 1.0), Quarantine(None, 1.0)
    alone = SessionFiles(sessions, shop.items, **options).read(quarantines[0]).inputs
    together = read({"web": SessionFiles(sessions, None, **options), "shop": shop}, quarantines[1]).inputs
    plain = [
        {**row, "session_id": "", "results": [alone.items.ids[item] for item in row["results"]]}
        for row in alone.table.to_pylist()
    ]
    routed = [
        {
            **row,
            "session_id": "",
            "results": [together.items.ids[item].removeprefix("shop:") for item in row["results"]],
        }
        for row in together.table.to_pylist()
    ]
    assert routed == plain
    assert quarantines[1].reasons == quarantines[0].reasons


def test_weights_leave_a_session_with_the_results_that_cannot_be_loaded(write: Write, shop: SessionFiles) -> None:
    lines = [{"query": "q", "results": ["1", "99", 2.0], "clicks": [0, 5, 3], "ranks": [3, 2, 1]}]
    (found,) = read({"web": web(write, lines, fields={"weights": "clicks"}), "shop": shop}).inputs
    assert (found.results, found.events, found.ranks) == (("shop:1", "shop:2"), (0.0, 3.0), (3.0, 1.0))


def test_weights_of_all_sources_hold_where_a_source_has_none_of_its_own(write: Write, shop: SessionFiles) -> None:
    events = [{"item_id": "1", "type": "click"}, {"item_id": "2", "type": "cart"}]
    lines = [{"query": "q", "results": ["1", "2"], "events": events}]
    own = SessionFiles(str(write("own.jsonl", lines)), None, event_weights={"click": 7.0, "cart": 8.0})
    data = read({"web": web(write, lines), "own": own, "shop": shop}, event_weights={"click": 2.0})
    assert [session.events for session in data.inputs] == [(2.0, 3.0), (7.0, 8.0)]


def test_a_source_without_sessions_leaves_the_others_theirs(write: Write, shop: SessionFiles) -> None:
    empty = SessionFiles(str(write("empty.jsonl", [])), None)
    lines = [{"query": "q", "results": ["1", "2"], "events": ["1"]}]
    assert len(read({"empty": empty, "web": web(write, lines), "shop": shop}).inputs) == 1
    with pytest.raises(DataError, match=r"data\.source\.sources: no session of any source is left: all are empty"):
        read({"empty": empty, "shop": shop})


def test_what_cannot_be_put_together_is_refused(write: Write, shop: SessionFiles) -> None:
    with pytest.raises(ConfigError, match=r"data\.source\.sources: at least one source with sessions"):
        AggregatedSource({"shop": shop})
    with pytest.raises(ConfigError, match=r"data\.source\.sources\.odd: found dict"):
        AggregatedSource({"odd": {}, "shop": shop})
    with pytest.raises(ConfigError, match=r"data\.source\.default_source: found 'none'"):
        AggregatedSource({"web": web(write, []), "shop": shop}, default_source="none")
    with pytest.raises(DataError, match=r"data\.source\.sessions: found null"):
        shop.read(Quarantine())


def test_it_is_kept_like_its_parts(write: Write, shop: SessionFiles) -> None:
    sources = {"web": web(write, [{"query": "q", "results": ["1", "2"], "events": ["1"]}]), "shop": shop}
    identity = AggregatedSource(sources).identity()
    assert identity is not None
    assert sorted(identity.files) == ["shop/items/shop.jsonl", "web/sessions/web.jsonl"]


def test_it_is_declared_in_yaml(write: Write) -> None:
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    web = write("web.jsonl", [{"query": "q", "results": ["shop:1", "2"], "events": ["2"]}])
    shop = write("shop.csv", ["sku,words", "1,one", "2,two"])
    config = OmegaConf.create(
        f"""
        _target_: hft.data.AggregatedSource
        sources:
          web: {{_target_: hft.data.SessionFiles, sessions: {web}, items: null}}
          shop:
            {{_target_: hft.data.SessionFiles, sessions: null, items: {shop}, fields: {{item_id: sku, text: words}}}}
        """
    )
    (found,) = instantiate(config).read(Quarantine()).inputs
    assert found == FineTuningInput("web:web.jsonl:1", "q", ("shop:1", "shop:2"), (0.0, 1.0))
