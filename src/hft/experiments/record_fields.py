"""What the fields of a run record may hold: it may come from a stranger, and one bad field is one bad record."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints

from hft.names import why_no_name

_Path = tuple[str, ...]

# Nodes of a config that hft reads from records; and those in them.
_NODES = (
    "checkpoints", "compute", "data", "iteration", "loss", "method", "metrics", "model", "optimizer", "params",
    "promotion", "ranker", "scheduler", "search", "settings", "stopping", "stores", "technique", "tracking", "trainer",
)  # fmt: skip
_INNER_NODES: tuple[_Path, ...] = (
    ("method", "meta"),
    ("data", "source"),
    ("data", "splitter"),
    ("metrics", "calculators"),
)
_TEXTS: tuple[_Path, ...] = (
    ("outputs",),
    ("tracking", "kind"),
    ("tracking", "uri"),
    ("method", "main_metric"),
    ("method", "direction"),
)
_SCALARS: tuple[_Path, ...] = (("data", "batch_id"), ("data", "train_share"), ("run_name",))
_NAMES: tuple[_Path, ...] = (("method", "meta", "name"), ("iteration", "name"))


def _moment(text: str) -> str:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("has no time zone")
    return text


def _config(config: dict[str, Any]) -> dict[str, Any]:
    nodes: list[_Path] = [*((name,) for name in _NODES), *_INNER_NODES]
    path: _Path
    for path in nodes:
        _require(config, path, dict, "a mapping")
    for path in _TEXTS:
        _require(config, path, str, "a text")
    for path in _SCALARS:
        if isinstance(_at(config, path), dict | list):
            raise ValueError(f"{'.'.join(path)}: is no single value")
    for path in _NAMES:
        name = _at(config, path)
        if name is not None and (reason := why_no_name(name)) is not None:
            raise ValueError(f"{'.'.join(path)}: {name!r} {reason}")
    return config


def _require(config: Mapping[str, Any], path: _Path, kind: type, what: str) -> None:
    value = _at(config, path)
    if value is not None and not isinstance(value, kind):
        raise ValueError(f"{'.'.join(path)}: is no {what.removeprefix('a ')}")


def _at(config: Mapping[str, Any], path: _Path) -> Any:
    value: Any = config
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


RunId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Moment = Annotated[str, AfterValidator(_moment)]
Text = Annotated[str, StringConstraints(max_length=100_000)]
RecordedConfig = Annotated[dict[str, Any], AfterValidator(_config)]
Count = Annotated[int, Field(ge=0, lt=1 << 63)]
Seed = Annotated[int, Field(gt=-(1 << 63), lt=1 << 64)]
Threads = Annotated[int, Field(ge=1, le=65_536)]
