"""The check of where data lies: it refuses what is not there, and never shows a secret."""

from __future__ import annotations

import json

import pytest

from hft.cli import main
from hft.config import check

SQL = ("data=sql", "data.source.sessions=SELECT 1", "data.source.items=SELECT 2")


def errors(*overrides: str) -> dict[str, str]:
    """Text of each error, by where it is."""
    return {finding.where: str(finding) for finding in check(overrides).errors}


def test_addresses_and_patterns_are_left_to_the_run(folder):
    given = ("data.source.sessions=s3://bucket/log/*.jsonl.gz", "data.source.items=logs/**/*.jsonl")
    assert errors("data=sessions", *given) == {}


@pytest.mark.parametrize("role", ["events", "queries", "items"])
def test_a_file_that_is_not_there_is_named_for_each_source(write, role):
    write("there.jsonl", "{}\n")
    given = {"events": "there.jsonl", "queries": "there.jsonl", role: "nowhere.jsonl"}
    found = errors("data=ubi", *(f"data.source.{name}={path}" for name, path in given.items()))
    assert set(found) == {f"data.source.{role}"}
    assert "there is no file nowhere.jsonl" in found[f"data.source.{role}"]


def test_files_within_an_aggregated_source_are_looked_at_too(write):
    write("there.jsonl", "{}\n")
    part = "{_target_: hft.data.SessionFiles, sessions: nowhere.jsonl, items: there.jsonl, fieldz: 1}"
    found = errors("data=aggregated", f"+data.source.sources.web={part}")
    assert set(found) == {"data.source.sources.web.sessions", "data.source.sources.web.fieldz"}


def test_a_variable_that_is_not_set_is_named(folder, monkeypatch):
    monkeypatch.delenv("HFT_DATABASE_URL", raising=False)
    found = errors(*SQL)
    assert set(found) == {"data.source.url_env"}
    assert "export HFT_DATABASE_URL=" in found["data.source.url_env"]
    monkeypatch.setenv("HFT_DATABASE_URL", "sqlite:////log.db")
    assert errors(*SQL) == {}


@pytest.mark.parametrize(
    "override",
    [
        "data.source.url_env='postgresql://reader:hidden-word@host/log'",
        "+data.source.url='postgresql://reader:hidden-word@host/log'",
        "data.source.url_env=${oc.env:SOME_DATABASE}",
        "data.source.sessions='s3://KEY:hidden-word@bucket/log'",
        "data.source.retries='https://host/log?sig=hidden-word'",
        "data.source.sesions='postgresql://reader:hidden-word@host/log'",
    ],
)
@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_a_password_in_the_config_is_refused_and_never_shown(folder, monkeypatch, capsys, override, flags):
    monkeypatch.setenv("HFT_DATABASE_URL", "sqlite:////log.db")
    monkeypatch.setenv("SOME_DATABASE", "postgresql://reader:hidden-word@host/log")
    assert main(["check", *SQL, override, *flags]) == 2
    printed = "".join(capsys.readouterr())
    assert "hidden-word" not in printed
    assert "data.source" in printed
    assert main(["train", *SQL, override]) == 2
    assert "hidden-word" not in "".join(capsys.readouterr())
    assert [path for path in folder.rglob("*") if path.is_file() and b"hidden-word" in path.read_bytes()] == []


def test_unknown_fields_are_refused_with_the_nearest(write):
    write("lines.jsonl", "{}\n")
    files = ("data.source.sessions=lines.jsonl", "data.source.items=lines.jsonl")
    assert "did you mean data.source.retries?" in errors("data=sessions", *files, "+data.source.retris=3").popitem()[1]
    report = check(["data=huggingface", "data.source.sessions=a", "data.source.items=b", "+data.source.split=x"])
    assert [finding.where for finding in report.errors] == ["data.source.split"]
    assert json.dumps(report.to_dict())
