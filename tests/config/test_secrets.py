"""A password in any text of a request is refused without being repeated; the environment may bring one."""

from __future__ import annotations

from pathlib import Path

import pytest

from hft.config import check

SECRET = "gFx7-sw0rd"


@pytest.mark.parametrize(
    ("override", "key"),
    [
        (f"tracking.uri=http://me:{SECRET}@127.0.0.1:9", "tracking.uri"),
        (f"tracking.uri='postgresql://me:{SECRET}@127.0.0.1:9/db'", "tracking.uri"),
        (f"tracking.uri='https://host/?token={SECRET}'", "tracking.uri"),
        (f"outputs='s3://me:{SECRET}@bucket'", "outputs"),
        (f"+hydra.job.env_set.http_proxy='http://me:{SECRET}@proxy'", "+hydra.job.env_set.http_proxy"),
        (f"tracking.urii=http://me:{SECRET}@host", "tracking.urii"),
        (f"data.source.x='http://:it%27s{SECRET}@host'", "data.source.x"),
    ],
)
def test_it_is_refused_by_its_key_alone(folder: Path, override: str, key: str) -> None:
    report = check(["tracking=server", override])
    assert [finding.where for finding in report.errors] == [key]
    assert "environment" in (report.errors[0].advice or "")
    assert SECRET not in report.text() + str(report.to_dict())


def test_it_is_refused_in_a_file_too(folder: Path, write) -> None:
    write("conf/tracking/mine.yaml", f"kind: mlflow\nuri: http://me:{SECRET}@127.0.0.1:9\nlog_model: true\n")
    report = check(["tracking=mine"])
    assert [finding.where.split(" ")[0] for finding in report.errors] == ["tracking.uri"]
    assert SECRET not in report.text()


def test_a_variable_of_the_environment_may_hold_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:{SECRET}@127.0.0.1:9")
    assert check(["tracking=server"]).ok
