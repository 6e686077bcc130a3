"""No password in a config: it is written down in every run, by Hydra too. Credentials come from the environment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hft.config.report import CheckReport, Finding
from hft.config.tree import ConfigTree, join
from hft.redaction import has_password

_ADVICE = (
    "credentials come from the environment only: a store's whole address from MLFLOW_TRACKING_URI "
    "(tracking.uri='${oc.env:MLFLOW_TRACKING_URI}'), or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD; for "
    "data see the head of the data file, and conf/data/sql.yaml for databases (data.source.url_env=NAME_OF_A_VARIABLE)"
)


def check_secrets(tree: ConfigTree, report: CheckReport) -> set[str]:
    """Refuse texts with a password in an address, unless a reference brings it from the environment.

    Args:
        tree: the config.
        report: what else it says of such a text is taken away, for it may say the value.

    Returns:
        their dotted keys.
    """
    found = {
        key
        for key, value in texts_in("", tree.values)
        if has_password(value) and has_password(tree.references.get(key, value))
    }
    found -= {key for key in found if any(key.startswith(f"{owner}.") for owner in tree.references)}
    report.errors = [finding for finding in report.errors if finding.where not in found]
    report.errors += [has_a_password(key) for key in sorted(found)]
    return found


def texts_in(key: str, value: Any) -> Iterator[tuple[str, str]]:
    """Every text in plain values, with its dotted key."""
    if isinstance(value, dict):
        for name, child in value.items():
            yield from texts_in(join(key, str(name)), child)
    elif isinstance(value, list):
        for number, child in enumerate(value):
            yield from texts_in(join(key, str(number)), child)
    elif isinstance(value, str):
        yield key, value


def has_a_password(key: str) -> Finding:
    """What is said of such a text."""
    return Finding(key, "holds an address with a password, which every record of a run would show", advice=_ADVICE)
