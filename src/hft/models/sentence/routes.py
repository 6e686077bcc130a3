"""The routes of a Router module: which modules a query and an item pass."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hft.errors import ModelError
from hft.models.sentence.keys import read_object, refusal, relative_path, require_known, shown, value_of

__all__ = ["Routes", "read_routes"]


@dataclass(frozen=True)
class Routes:
    """The modules of both routes, as (type, folder) in order.

    A module that stands on both, where the two are not the same altogether, becomes a copy a tower.

    Args:
        file: where it stands.
        query, document: of encode_query and encode_document.
        default: name of the side, `query` or `document`, whose route `encode` takes; None: neither's.
    """

    file: Path
    query: list[tuple[Any, Path]]
    document: list[tuple[Any, Path]]
    default: str | None


def read_routes(folder: Path) -> Routes:
    """The routes of a Router's folder.

    Raises:
        ModelError: there is none for queries or for items, or a key that hft does not honour.
    """
    file = folder / "router_config.json"
    if not file.is_file():
        file = folder / "config.json"  # of older releases
    config = read_object(file)
    structure, types = (value_of(file, config, key, dict, {}) for key in ("structure", "types"))
    parameters = value_of(file, config, "parameters", dict, {})
    require_known(file, parameters, ("default_route", "allow_empty_key", "route_mappings"), prefix="parameters.")
    mappings = _mappings(file, value_of(file, parameters, "route_mappings", dict, {}))
    names = {task: _route(file, structure, mappings, task) for task in ("query", "document")}
    default = parameters.get("default_route")
    if default is None and parameters.get("allow_empty_key", True):
        default = next(iter(structure))
    sides = [task for task, name in names.items() if name == default]
    found = {task: _modules(file, structure[name], types) for task, name in names.items()}
    return Routes(file, found["query"], found["document"], sides[-1] if sides else None)


def _mappings(file: Path, written: Mapping[str, Any]) -> dict[Any, Any]:
    """Routes by (task, modality), which the file has as Python's tuples in text."""
    try:
        return {ast.literal_eval(key): route for key, route in written.items()}
    except (ValueError, SyntaxError) as error:
        raise refusal(file, "parameters.route_mappings", dict(written), "A key is no pair of names.") from error


def _route(file: Path, structure: Mapping[str, Any], mappings: Mapping[Any, Any], task: str) -> str:
    """The route of a task, found as sentence-transformers finds it."""
    for key in ((task, "text"), (task, None), (None, "text"), (None, None)):
        if key in mappings:
            route = mappings[key]
            break
    else:
        route = task if task in structure else "text"
    if route not in structure:
        raise ModelError(
            f"{file}: the router has the routes {shown(sorted(structure))}, and none for encode_{task}. hft reads "
            "routers with the routes 'query' and 'document', or with route_mappings for both."
        )
    return str(route)


def _modules(file: Path, names: Any, types: Mapping[str, Any]) -> list[tuple[Any, Path]]:
    if not isinstance(names, list) or any(name not in types for name in names):
        raise ModelError(f"{file}: a route lists {shown(names)}, and types names {shown(sorted(types))}. Correct it.")
    return [(types[name], file.parent / relative_path(file, name)) for name in names]
