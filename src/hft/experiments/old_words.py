"""Recorded configs of earlier versions, in today's words, so that their runs can be measured and gone on from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def in_todays_words(config: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded config whose `data` asks for what it asked for when it was written.

    - `events_as: weights` said that the field of the events has a weight for each result: `fields.weights` names it.
      Its other values said how plain lists are told apart: their entries are ids now.
    - `reading: labelled` of a collection trained on simulated clicks: that is `simulated`.
    """
    return {**config, "data": _source(config["data"])} if isinstance(config.get("data"), Mapping) else dict(config)


def _source(node: Any) -> Any:
    if not isinstance(node, Mapping):
        return node
    found = {name: _source(value) for name, value in node.items()}
    if found.pop("events_as", None) == "weights":
        fields = dict(found.get("fields") or {})
        weights = fields.pop("events", None) or "events"
        found["fields"] = {**fields, "weights": weights}
    if str(found.get("_target_")).endswith("BeirFolder") and found.get("reading") == "labelled":
        found["reading"] = "simulated"
    return found
