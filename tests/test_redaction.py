"""Secrets are taken out of what people and files get to see, and nothing else is."""

from __future__ import annotations

import pytest

from hft.redaction import has_password, redacted


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://reader:{}@host:5432/log",
        "postgresql+psycopg://reader:{}@/log?host=/run",
        "s3://KEY:{}@bucket/key",
        "https://account.blob.core.windows.net/log?sv=1&sig={}&x=1",
        "mysql://reader@host/log?password={}",
    ],
)
@pytest.mark.parametrize("secret", ["plain-word", "with:colon/and@at", "%40escaped"])
def test_a_password_in_an_address_is_found_and_hidden(address: str, secret: str) -> None:
    written = address.format(secret if "?" not in address.split("{}")[0] else secret.replace("@", "a"))
    assert has_password(written)
    told = redacted(f"cannot read '{written}' today")
    assert "***" in told
    assert told.startswith("cannot read '")
    assert told.endswith(" today")
    assert "plain-word" not in told
    assert "colon" not in told
    assert "escaped" not in told


@pytest.mark.parametrize(
    "text",
    [
        "s3://bucket/key/a@b:c.jsonl",
        "abfs://container@account.dfs.core.windows.net/log",
        "https://host:8080/path",
        "at 12:30 mail me@example.org",
        "postgresql://reader@host/log",
    ],
)
def test_what_is_no_secret_stays(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_PASSWORD", "at")  # too short to be told from a word
    assert not has_password(text)
    assert redacted(text) == text


def test_secrets_of_the_environment_are_hidden_wherever_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "abc/def+ghi")
    monkeypatch.setenv("HFT_DATABASE_URL", "postgresql://reader:p%40ssw0rd@host/log")
    assert redacted("key abc/def+ghi, abc%2Fdef%2Bghi; word p@ssw0rd or p%40ssw0rd") == "key ***, ***; word *** or ***"
    assert redacted("the word is pw", "pw") == "the word is ***"
