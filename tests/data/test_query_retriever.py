"""Where a session's query comes from."""

from __future__ import annotations

import pytest

from hft.data import BeirFolder, Quarantine, QueryRetriever, SessionFiles
from hft.errors import ConfigError, DataError

RECORD = {"q": "  Tents\u0301  now ", "request": {"text": "from a path", "city": "Łódź"}, "empty": ""}


@pytest.mark.parametrize(
    ("retriever", "expected"),
    [
        (QueryRetriever("q"), "Tentś now"),
        (QueryRetriever("q", unicode=None, collapse_blanks=False), "Tents\u0301  now"),
        (QueryRetriever("q", unicode=None, collapse_blanks=False, strip=False), RECORD["q"]),
        (QueryRetriever("q", lower=True), "tentś now"),
        (QueryRetriever("request.text"), "from a path"),
        (QueryRetriever(["empty", "request.city", "q"]), "Łódź"),
        (QueryRetriever(template="{q}[[ in {request.city}]][[ at {request.street}]]"), "Tentś now in Łódź"),
        (QueryRetriever("empty"), ""),
    ],
)
def test_the_query_of_a_record(retriever, expected):
    assert retriever(RECORD) == expected


def test_a_field_or_a_template_is_asked_for():
    with pytest.raises(ConfigError, match="found neither"):
        QueryRetriever()
    with pytest.raises(ConfigError, match="found both"):
        QueryRetriever("q", "{q}")


@pytest.fixture
def items(write):
    return write("items.jsonl", [{"item_id": name, "text": f"text {name}"} for name in "abc"])


def test_sessions_are_read_with_the_query_that_is_retrieved(write, items):
    lines = [{"search": {"text": f"Q{n}", "shop": "x"}, "results": list("abc"), "events": ["a"]} for n in range(3)]
    lines += [
        {"search": {}, "results": list("abc"), "events": ["a"]},
        "{",
        {"search": {"text": "q9"}, "results": ["a"]},
    ]
    sessions = write("sessions.jsonl", lines)
    retriever = QueryRetriever(template="{search.text}[[ at {search.shop}]]", lower=True)
    quarantine = Quarantine(max_share=1.0)
    inputs = SessionFiles(sessions, items, query_retriever=retriever).read(quarantine).inputs
    assert inputs.queries == ["q0 at x", "q1 at x", "q2 at x"]
    assert quarantine.left_out[str(sessions)] == 3


def test_the_same_sessions_come_of_the_plain_field_and_of_its_retriever(write, items):
    lines = [
        {
            "query": f"q{n}",
            "results": [*"abc"[n % 2 :], "zz"][: 2 + n % 3],
            "events": "abc"[1],
            "timestamp": "2024-01-02",
        }
        for n in range(20)
    ]
    sessions = write("sessions.jsonl", [{**line, "events": [line["events"]]} for line in lines])
    plain, told = Quarantine(max_share=1.0), Quarantine(max_share=1.0)
    one = SessionFiles(sessions, items).read(plain)
    other = SessionFiles(sessions, items, query_retriever=QueryRetriever("query")).read(told)
    assert one.inputs.table.equals(other.inputs.table)
    assert plain.reasons == told.reasons


def test_a_field_that_no_line_has_is_named_with_the_nearest(write, items):
    lines = [{"search": {"text": "q"}, "results": list("abc"), "events": ["a"]}] * 3
    sessions = write("sessions.jsonl", lines)
    wrong = SessionFiles(sessions, items, query_retriever=QueryRetriever(template="{search.text} {search.txet}"))
    with pytest.raises(DataError, match=r"'search\.txet' \(did you mean 'search\.text'\?\).*query_retriever\.template"):
        wrong.read(Quarantine())


def test_queries_of_a_folder(write, tmp_path):
    write("corpus.jsonl", [{"_id": name, "title": name, "text": name} for name in "abc"])
    write("queries.jsonl", [{"_id": 1, "metadata": {"query": "WHO  "}}, {"_id": 2, "metadata": {}}])
    write("qrels/train.tsv", ["1\ta\t1", "1\tb\t0"])
    source = BeirFolder(tmp_path, "shown", query_retriever=QueryRetriever("metadata.query", lower=True))
    assert source.read(Quarantine(max_share=1.0)).inputs.queries == ["who"]
    with pytest.raises(DataError, match=r"'metadata\.qurey' \(did you mean 'metadata\.query'"):
        BeirFolder(tmp_path, "shown", query_retriever=QueryRetriever("metadata.qurey")).read(Quarantine())
