"""Writing a model in sentence-transformers' layout, without that package.

One tower: the encoder at the top, `1_Pooling`, `2_Dense` ..., `N_Normalize`. Two towers: one Router whose routes
`query` and `document` hold the same modules, under `query_0_Transformer`, `document_0_Transformer` and so on. The
module types are named in the spelling that all releases of sentence-transformers since 5.0 read.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from hft.errors import StorageError
from hft.files import atomic_folder, storage_errors
from hft.models.encoders import quiet_transformers
from hft.models.pooling import Projection
from hft.models.towers import TextTower

__all__ = ["save_model"]

_TYPE_PREFIX = "sentence_transformers.models."
_ACTIVATION_CLASSES = {
    "identity": "torch.nn.modules.linear.Identity",
    "tanh": "torch.nn.modules.activation.Tanh",
}


def save_model(
    folder: str | os.PathLike[str],
    *,
    items_tower: TextTower,
    query_tower: TextTower | None,
    query_prompt: str,
    item_prompt: str,
) -> None:
    """Writes the folder whole or not at all; one that holds a model already is replaced.

    Raises:
        StorageError: the folder cannot be written, or holds something that is not a model.
    """
    target = Path(folder)
    _refuse_foreign_content(target)
    with atomic_folder(target) as made:
        if query_tower is None:
            modules = _write_tower(made, items_tower)
        else:
            modules = [("", "Router")]
            _write_router(made, {"query": query_tower, "document": items_tower})
        _write_json(made / "modules.json", [_entry(place, *module) for place, module in enumerate(modules)])
        _write_json(
            made / "config_sentence_transformers.json",
            {
                "__version__": _versions(),
                "default_prompt_name": None,
                "model_type": "SentenceTransformer",
                "prompts": {"document": item_prompt, "query": query_prompt},
                "similarity_fn_name": None,
            },
        )


def _refuse_foreign_content(folder: Path) -> None:
    with storage_errors(folder):
        occupied = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    if occupied and not (folder / "modules.json").is_file():
        raise StorageError(
            f"{folder}: holds something that is not a saved model; it would be replaced whole. Choose a new folder, or "
            "empty this one."
        )


def _write_router(folder: Path, sides: dict[str, TextTower]) -> None:
    types: dict[str, str] = {}
    structure: dict[str, list[str]] = {}
    for side, tower in sides.items():
        modules = _write_tower(folder, tower, side)
        types |= {name: _TYPE_PREFIX + kind for name, kind in modules}
        structure[side] = [name for name, _ in modules]
    parameters = {"default_route": "document", "allow_empty_key": True}
    _write_json(folder / "router_config.json", {"types": types, "structure": structure, "parameters": parameters})


def _write_tower(folder: Path, tower: TextTower, side: str | None = None) -> list[tuple[str, str]]:
    """Writes a tower's modules; returns their (folder name, kind) in order."""
    kinds = ["Transformer", "Pooling"] + ["Dense"] * len(tower.projections) + ["Normalize"] * tower.normalize
    modules: list[tuple[str, str]] = []
    for place, kind in enumerate(kinds):
        name = f"{place}_{kind}" if side is None else f"{side}_{place}_{kind}"
        if side is None and place == 0:
            name = ""
        made = folder / name
        made.mkdir(exist_ok=True)
        if kind == "Transformer":
            _write_transformer(made, tower)
        elif kind == "Pooling":
            _write_json(made / "config.json", _pooling_config(tower))
        elif kind == "Dense":
            projection = tower.projections[place - 2]
            assert isinstance(projection, Projection)
            _write_dense(made, projection)
        else:
            _write_json(made / "config.json", {})
        modules.append((name, kind))
    return modules


def _write_transformer(folder: Path, tower: TextTower) -> None:
    encoder: Any = tower.encoder
    with quiet_transformers():
        encoder.save_pretrained(folder)
        tower.tokenizer.save_pretrained(folder)
    _write_json(folder / "sentence_bert_config.json", {"max_seq_length": tower.max_length, "do_lower_case": False})


def _pooling_config(tower: TextTower) -> dict[str, Any]:
    return {
        "word_embedding_dimension": tower.width,
        "pooling_mode_cls_token": tower.pooling == "cls",
        "pooling_mode_mean_tokens": tower.pooling == "mean",
        "pooling_mode_max_tokens": False,
        "pooling_mode_mean_sqrt_len_tokens": False,
        "pooling_mode_weightedmean_tokens": False,
        "pooling_mode_lasttoken": False,
        "include_prompt": True,
    }


def _write_dense(folder: Path, projection: Projection) -> None:
    from safetensors.torch import save_file

    linear = projection.linear
    config = {
        "in_features": linear.in_features,
        "out_features": linear.out_features,
        "bias": linear.bias is not None,
        "activation_function": _ACTIVATION_CLASSES[projection.activation],
    }
    _write_json(folder / "config.json", config)
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in linear.state_dict(prefix="linear.").items()}
    save_file(state, folder / "model.safetensors")


def _entry(place: int, name: str, kind: str) -> dict[str, Any]:
    return {"idx": place, "name": str(place), "path": name, "type": _TYPE_PREFIX + kind}


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {"pytorch": version("torch"), "transformers": version("transformers"), "sentence_transformers": "5.0.0"}


def _write_json(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content, indent=2, sort_keys=isinstance(content, dict)) + "\n", encoding="utf-8")
