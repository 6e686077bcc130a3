"""Whether a model has as many layers as are to be fixed, where its config.json or its name tells how many it has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hft.config.report import CheckReport, Finding
from hft.config.tree import ConfigTree
from hft.parsing import parse_json

_LOADER = "hft.models.load_text_model"
_FULL = "hft.techniques.FullFineTuning"

# Layers of the models that come as packages.
_OF_PACKAGED = {"packaged:all-MiniLM-L6-v2": 6}

# More than a model's config.json ever has: another file of that name is not read.
_MOST_BYTES = 1_000_000


def check_fixed_layers(tree: ConfigTree, report: CheckReport) -> None:
    """Refuse more fixed layers than the model has, and as many where nothing else is trained.

    Nothing is told of a model from a hub, of a folder without a plain encoder's config.json, nor under other loaders.
    """
    number, model = tree.get("params.num_fixed_layers"), tree.get("model")
    if type(number) is not int or not isinstance(model, dict) or model.get("_target_") != _LOADER:
        return
    counts = [layers_of(model.get(name)) for name in ("source", "items_source")]
    fewest = min((count for count in counts if count is not None), default=None)
    if fewest is None or number < fewest:
        return
    only_layers = _has_only_layers(model) and tree.get("technique._target_") == _FULL
    if number > fewest:
        found, advice = f"found {number}, and the model has {fewest} layers", None
    elif only_layers:
        found = f"found {number}, which are all layers of the model: nothing is left to train"
        advice = "or add a layer that moves: model.dense_dim"
    else:
        return
    allowed = f"0 to {fewest - 1 if only_layers else fewest}"
    report.errors.append(Finding("params.num_fixed_layers", found, allowed, advice=advice))


def layers_of(source: Any) -> int | None:
    """How many layers the encoder of a source has; None where that cannot be told without loading it.

    Args:
        source: `packaged:NAME` or a folder with config.json.
    """
    if not isinstance(source, str):
        return None
    if source in _OF_PACKAGED:
        return _OF_PACKAGED[source]
    file = Path(source).expanduser() / "config.json"
    try:
        if not file.is_file() or file.stat().st_size > _MOST_BYTES:
            return None
        content = parse_json(file.read_bytes())
    except (OSError, ValueError):
        return None
    count = content.get("num_hidden_layers") if isinstance(content, dict) else None
    return count if type(count) is int and count >= 1 else None


def _has_only_layers(model: dict[str, Any]) -> bool:
    """Whether nothing of the model moves but its layers. A folder may bring a dense layer of its own."""
    is_plain = model.get("dense_dim") is None and model.get("pooling") != "pooler"
    return is_plain and model.get("source") in _OF_PACKAGED and model.get("items_source") in (None, *_OF_PACKAGED)
