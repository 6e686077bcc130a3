"""What makes the texts of items: title and text unless others are named, declared, and made again as declared."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hft.data import AggregatedSource, BeirFolder, Quarantine, SessionFiles
from hft.data.parts import JoinedParts, TokenGroupTextSplitter
from hft.data.source_texts import declared_texts, filled_source
from hft.data.text_declaration import TextDeclaration
from hft.data.texts import read_texts
from hft.data.texts_of_items import records_of_items, texts_by_row
from hft.errors import ConfigError, DataError

ITEMS = [
    {"item_id": "a", "title": "Alpine tent", "text": "For two people.", "tags": ["light", "green"]},
    {"item_id": "b", "title": None, "text": "A stove."},
    {"item_id": "c", "title": "Lamp", "text": ""},
]
SESSIONS = [{"query": "q", "results": ["a", "b", "c"], "events": ["a"]}]
FILES = "hft.data.SessionFiles"

Write = Callable[[str, Any], Path]


def source_of(write: Write, items: list[dict[str, Any]] = ITEMS, **options: Any) -> SessionFiles:
    return SessionFiles(str(write("sessions.jsonl", SESSIONS)), str(write("items.jsonl", items)), **options)


def test_a_text_is_title_and_text_where_both_are_there(write: Write) -> None:
    data = source_of(write).read(Quarantine())
    assert data.items.texts == ["Alpine tent\nFor two people.", "A stove.", "Lamp"]
    assert data.item_fields == {"": ["title", "text"]}
    assert data.warnings == ()


def test_without_a_title_anywhere_a_text_is_the_text(write: Write) -> None:
    items = [{"item_id": name, "text": f"text {name}"} for name in "abc"]
    data = source_of(write, items).read(Quarantine())
    assert (data.items.texts[0], data.item_fields) == ("text a", {"": ["text"]})


def test_a_renamed_title_goes_before_the_text(write: Write) -> None:
    items = [{"item_id": name, "name": name.upper(), "text": f"text {name}"} for name in "abc"]
    data = source_of(write, items, fields={"title": "name", "text": None}).read(Quarantine())
    assert (data.items.texts[0], data.item_fields) == ("A\ntext a", {"": ["name", "text"]})


@pytest.mark.parametrize(
    ("text", "expected"),
    [("text", "For two people."), (["text"], "For two people."), (["tags", "title"], "light, green\nAlpine tent")],
)
def test_fields_that_are_named_are_taken_as_they_are(write: Write, text: Any, expected: str) -> None:
    assert (
        source_of(write, [*ITEMS[:2], {**ITEMS[2], "text": "x"}], fields={"text": text})
        .read(Quarantine(None, 0.5))
        .items.texts[0]
        == expected
    )


def test_titles_that_are_in_no_text_are_told_with_what_gives_both(write: Write) -> None:
    items = [{"item_id": name, "title": f"Title {name}", "text": f"text {name}"} for name in "abc"]
    [warning] = source_of(write, items, fields={"text": "text"}).read(Quarantine()).warnings
    assert "does not see the 'title' of 100% of the items" in warning
    assert "'data.source.fields.text=[title,text]' gives it both" in warning
    items = [{"item_id": name, "title": f"Title {name}", "text": f"The TITLE {name}: more"} for name in "abc"]
    assert source_of(write, items, fields={"text": "text"}).read(Quarantine()).warnings == ()


def test_the_advice_on_a_missing_text_keeps_the_title(write: Write) -> None:
    items = [{"item_id": name, "title": "t", "text_body": "b"} for name in "abc"]
    with pytest.raises(DataError, match=r"Set 'data\.source\.fields\.text=\[title,text_body\]'"):
        source_of(write, items).read(Quarantine())


def test_a_labelled_collection_without_titles_is_read_by_its_texts(write: Write, tmp_path: Path) -> None:
    write("corpus.jsonl", [{"_id": name, "text": f"text {name}"} for name in "abc"])
    write("queries.jsonl", [{"_id": "1", "text": "q"}])
    write("qrels/test.tsv", ["query-id\tcorpus-id\tscore", "1\ta\t1"])
    data = BeirFolder(tmp_path).read(Quarantine())
    assert (data.items.texts[0], data.item_fields) == ("text a", {"": ["text"]})


def test_a_node_declares_what_it_names_and_else_what_was_found() -> None:
    open_node = {"source": {"_target_": FILES, "fields": {"query": "q", "text": None}}, "item_splitter": None}
    found = declared_texts(open_node, {"": ["title", "text"]})
    assert found is not None
    assert (found.items[""].fields, found.query_field) == (["title", "text"], "q")
    before = declared_texts(open_node, None)  # of a record from before fields were left open
    assert before is not None
    assert before.items[""].fields == ["text"]
    assert declared_texts({"source": {"_target_": "hft.data.PythonDocs"}}, {}) is None


@pytest.mark.parametrize(
    ("node", "place"),
    [
        ({"_target_": FILES}, ("fields", "text")),
        ({"_target_": "hft.data.BeirFolder", "item_fields": None}, ("item_fields",)),
        ({"_target_": "hft.data.parts.JoinedParts", "source": {"_target_": FILES}}, ("source", "fields", "text")),
        (
            {"_target_": "hft.data.AggregatedSource", "sources": {"shop": {"_target_": FILES}}},
            ("sources", "shop", "fields", "text"),
        ),
    ],
)
def test_what_a_node_leaves_open_is_filled_and_what_it_names_stays(
    node: dict[str, Any], place: tuple[str, ...]
) -> None:
    texts = TextDeclaration.read({"items": {"": {"fields": ["name", "body"]}}}, "here")
    filled: Any = filled_source(node, texts)
    assert filled_source(filled, TextDeclaration.read({"items": {"": {"fields": ["other"]}}}, "here")) == filled
    for key in place:
        filled = filled[key]
    assert filled == ["name", "body"]


def test_a_declaration_survives_its_way_through_json() -> None:
    values = {
        "items": {
            "": {
                "item_text": {"_target_": "hft.data.ItemTemplate", "template": ["{title}", "{text|words 3}"]},
                "normalizer": {"_target_": "hft.data.FieldsNormalizer", "unicode": None, "lower": True},
            }
        },
        "item_splitter": {"_target_": "hft.data.parts.TokenGroupTextSplitter", "max_tokens": 12},
        "query_retriever": {"_target_": "hft.data.QueryRetriever", "template": "{q} {city?}"},
    }
    declared = TextDeclaration.read(values, "here")
    assert TextDeclaration.read(json.loads(json.dumps(declared.to_plain())), "there") == declared
    assert isinstance(declared.splitter, TokenGroupTextSplitter)
    record = {"title": "A", "text": "One Two three four"}
    assert declared.maker("items").of_record(record) == "a\none two three"
    assert declared.maker("query").of_record({"q": "tent"}) == "tent"


@pytest.mark.parametrize(
    ("part", "node", "told"),
    [
        ("item_text", {"_target_": "os.system", "command": "true"}, "'os.system', which is not hft's own"),
        ("item_text", {"_target_": "hft.data.QueryRetriever", "field": "q"}, "not hft's own"),
        ("item_text", {"_target_": "hft.data.ItemTemplate", "template": 5}, "item_text.template"),
        ("item_text", {"_target_": "hft.data.ItemTemplate", "tmplate": "x"}, "item_text.tmplate: Extra inputs"),
        ("normalizer", {"_target_": "my.Own"}, "my.Own"),
    ],
)
def test_nothing_but_hfts_own_is_built_of_a_declaration(part: str, node: dict[str, Any], told: str) -> None:
    declared = TextDeclaration.read({"items": {"": {part: node}}}, "here")
    with pytest.raises(ConfigError, match=told.replace(".", r"\.")):
        declared.maker("items").of_record({"title": "t"})


@pytest.mark.parametrize(
    "values", [{}, {"items": {}}, {"items": {"": {"fields": []}}}, {"items": {}, "more": 1}, [], 3]
)
def test_what_is_no_declaration_is_refused_with_where_it_stands(values: Any) -> None:
    with pytest.raises(ConfigError, match=r"^model/hft_texts\.json: "):
        TextDeclaration.read(values, "model/hft_texts.json")


def test_texts_of_items_are_made_anew_of_their_records(write: Write) -> None:
    source = source_of(write, [*ITEMS, {"item_id": "a", "title": "again", "text": "another"}])
    items = source.read(Quarantine(None, 0.5)).items
    makes = TextDeclaration.read({"items": {"": {"fields": ["text", "tags"]}}}, "here")
    made = texts_by_row(
        records_of_items(source, items), len(items), lambda name, record: makes.of(name).text_of(record)
    )
    assert made == ["For two people.\nlight, green", "A stove.", ""]


def test_texts_of_several_sources_and_of_joined_parts_are_made_anew(write: Write) -> None:
    def texts(source: Any) -> list[str]:
        items = source.read(Quarantine(None, 0.5)).items
        return texts_by_row(records_of_items(source, items), len(items), lambda name, record: f"{name}{record['text']}")

    shop = SessionFiles(None, str(write("shop.jsonl", ITEMS)))
    lines = [{"query": "q", "results": ["shop:a", "shop:b"], "events": ["shop:a"]}]
    web = SessionFiles(str(write("web.jsonl", lines)), None)
    assert texts(AggregatedSource({"shop": shop, "web": web})) == ["shopFor two people.", "shopA stove.", "shop"]
    parts = [{"item_id": f"{name}#{n}", "title": "t", "text": f"{name}{n}"} for name in "ab" for n in (1, 2)]
    seen = [{"query": "q", "results": ["a#1", "b#1"], "events": ["a#1"]}]
    joined = JoinedParts(SessionFiles(str(write("s.jsonl", seen)), str(write("parts.jsonl", parts))))
    assert texts(joined) == ["a1\n\na2", "b1\n\nb2"]


def test_a_file_of_records_is_read_as_training_reads_it(write: Write) -> None:
    maker = TextDeclaration.read({"items": {"": {"fields": ["title", "tags"]}}}, "here").maker("items")
    assert read_texts(write("items.jsonl", ITEMS[:1]), maker) == ["Alpine tent\nlight, green"]
    assert read_texts(write("items.csv", ["title,tags", "Tent,green", "Stove,"]), maker) == ["Tent\ngreen", "Stove"]
    with pytest.raises(DataError, match=r"lines\.jsonl:2: has no text under 'title', 'tags'\. Found: body"):
        read_texts(write("lines.jsonl", [ITEMS[0], {"body": "x"}]), maker)
