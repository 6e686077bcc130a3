"""What a source's node says of the texts of its items: what a run declares of it, and what a declaration fills in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hft.data.field_names import FieldNames
from hft.data.text_declaration import RecordTexts, TextDeclaration

# Sources of records, by the argument that holds the fields of an item's text.
_SESSION_SOURCES = frozenset(
    f"hft.data.{name}" for name in ("SessionFiles", "SqlSessions", "HuggingFaceSessions", "UbiSessions")
)
_BEIR, _AGGREGATED, _JOINED = "hft.data.BeirFolder", "hft.data.AggregatedSource", "hft.data.parts.JoinedParts"


def declared_texts(data: Mapping[str, Any], found: Mapping[str, Sequence[str]] | None) -> TextDeclaration | None:
    """What the `data` node of a run declares of its texts; None of a source that does not read records of items.

    Args:
        data: the node, resolved.
        found: the fields that made the texts of items, by source (`PreparationReport.item_fields`), for what the node
            left open; None: of a record from before fields were left open, when that meant `text`.
    """
    source = data.get("source") or {}
    joined_at = None
    if source.get("_target_") == _JOINED:
        joined_at, source = str(source.get("separator", "#")), source.get("source") or {}
    nodes = source.get("sources") or {} if source.get("_target_") == _AGGREGATED else {"": source}
    nodes = {name: node for name, node in nodes.items() if node.get("items", "") is not None or name == ""}
    if not nodes or not all(_reads_records(node) for node in nodes.values()):
        return None
    queries = {_query_field(node) for node in nodes.values()}
    return TextDeclaration(
        items={str(name): _record_texts(node, (found or {}).get(str(name))) for name, node in nodes.items()},
        joined_at=joined_at,
        item_splitter=data.get("item_splitter"),
        query_field=queries.pop() if len(queries) == 1 else None,
        query_retriever=source.get("query_retriever"),
    )


def filled_source(source: Mapping[str, Any], texts: TextDeclaration) -> dict[str, Any]:
    """A source's node with what it leaves open of its items' texts as a declaration says.

    Args:
        source: the node `data.source`, resolved. What it says itself stays.
        texts: the declaration.
    """
    if source.get("_target_") == _JOINED:
        return {**source, "source": filled_source(source.get("source") or {}, texts)}
    if source.get("_target_") == _AGGREGATED:
        nodes = source.get("sources") or {}
        return {**source, "sources": {name: _filled(node, texts, str(name)) for name, node in nodes.items()}}
    return _filled(source, texts, "")


def fields_key(source: Mapping[str, Any]) -> str | None:
    """The config key that names the fields of an item's text; None where each of several sources has its own.

    Args:
        source: the node `data.source`.
    """
    target = source.get("_target_")
    if target == _JOINED:
        return "data.source.source.fields.text"
    return None if target == _AGGREGATED else f"data.source.{'item_fields' if target == _BEIR else 'fields.text'}"


def _filled(node: Mapping[str, Any], texts: TextDeclaration, name: str) -> dict[str, Any]:
    if not _is_open(node):
        return dict(node)
    own = texts.of(name)
    made: dict[str, Any] = {"item_text": own.item_text} if own.item_text is not None else {}
    if own.normalizer is not None and node.get("normalizer") is None:
        made["normalizer"] = own.normalizer
    if own.fields is None:
        return {**node, **made}
    if node.get("_target_") == _BEIR:
        return {**node, **made, "item_fields": list(own.fields)}
    return {**node, **made, "fields": {**(node.get("fields") or {}), "text": list(own.fields)}}


def _reads_records(node: Mapping[str, Any]) -> bool:
    return node.get("_target_") in _SESSION_SOURCES or node.get("_target_") == _BEIR


def _is_open(node: Mapping[str, Any]) -> bool:
    return _reads_records(node) and node.get("item_text") is None and _chosen(node) is None


def _chosen(node: Mapping[str, Any]) -> Any:
    """The fields that a node names for the text of an item; None: it leaves them open."""
    return node.get("item_fields") if node.get("_target_") == _BEIR else (node.get("fields") or {}).get("text")


def _record_texts(node: Mapping[str, Any], found: Sequence[str] | None) -> RecordTexts:
    is_beir = node.get("_target_") == _BEIR
    chosen = found or _chosen(node) or (["title", "text"] if is_beir else ["text"])
    item_text = node.get("item_text")
    return RecordTexts(
        fields=None if item_text is not None else [chosen] if isinstance(chosen, str) else list(chosen),
        item_text=item_text,
        normalizer=node.get("normalizer"),
        id_field="_id" if is_beir else _field(node, "item_id"),
    )


def _query_field(node: Mapping[str, Any]) -> str:
    return "text" if node.get("_target_") == _BEIR else _field(node, "query")


def _field(node: Mapping[str, Any], name: str) -> str:
    return str((node.get("fields") or {}).get(name) or FieldNames.model_fields[name].default)
