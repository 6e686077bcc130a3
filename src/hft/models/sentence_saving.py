"""Writing a model in sentence-transformers' layout, without that package.

One tower: the encoder at the top, `1_Pooling`, `2_Dense` and what else follows pooling. Two towers: one Router whose
routes `query` and `document` hold the same modules, under `query_0_Transformer`, `document_0_Transformer` and so on.
The module types are named in the spelling that all releases of sentence-transformers since 5.0 read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from hft.checksums import write_checksums
from hft.errors import StorageError
from hft.files import atomic_folder, storage_errors
from hft.models.encoders import quiet_transformers
from hft.models.pooling import Normalize, Projection
from hft.models.sentence.head import POOLING_FLAGS
from hft.models.sentence.model_words import ModelWords
from hft.models.texts_file import TEXTS_NAME
from hft.models.towers import TextTower

__all__ = ["save_model"]

_TYPE_PREFIX = "sentence_transformers.models."
_KINDS: dict[type[nn.Module], str] = {
    Projection: "Dense",
    nn.LayerNorm: "LayerNorm",
    nn.Dropout: "Dropout",
    Normalize: "Normalize",
}


def save_model(
    folder: str | os.PathLike[str],
    *,
    items_tower: TextTower,
    query_tower: TextTower | None,
    query_prompt: str,
    item_prompt: str,
    words: ModelWords,
    texts: Mapping[str, Any] | None = None,
) -> None:
    """Writes the folder whole or not at all; one that holds a model already is replaced.

    Args:
        folder: to write.
        items_tower, query_tower: the second is None where one serves both sides.
        query_prompt, item_prompt: put before each text of a side.
        words: what else the model's folder said of itself.
        texts: how the model's texts are made of records, as plain values; None: nobody says.

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
            sides = {"query": query_tower, "document": items_tower}
            _write_router(made, sides, words.default_route or "document")
        _write_json(made / "modules.json", [_entry(place, *module) for place, module in enumerate(modules)])
        config: dict[str, Any] = {
            "__version__": _versions(),
            "default_prompt_name": words.default_prompt_name,
            "model_type": "SentenceTransformer",
            "prompts": {**words.prompts, "document": item_prompt, "query": query_prompt},
            "similarity_fn_name": words.similarity,
        }
        if items_tower.truncate_dim is not None:
            config["truncate_dim"] = items_tower.truncate_dim
        _write_json(made / "config_sentence_transformers.json", config)
        if texts is not None:
            _write_json(made / TEXTS_NAME, dict(texts))
        write_checksums(made)


def _refuse_foreign_content(folder: Path) -> None:
    with storage_errors(folder):
        occupied = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    if occupied and not (folder / "modules.json").is_file():
        raise StorageError(
            f"{folder}: holds something that is not a saved model; it would be replaced whole. Choose a new folder, or "
            "empty this one."
        )


def _write_router(folder: Path, sides: dict[str, TextTower], default_route: str) -> None:
    types: dict[str, str] = {}
    structure: dict[str, list[str]] = {}
    for side, tower in sides.items():
        modules = _write_tower(folder, tower, side)
        types |= {name: _TYPE_PREFIX + kind for name, kind in modules}
        structure[side] = [name for name, _ in modules]
    parameters = {"default_route": default_route, "allow_empty_key": True}
    _write_json(folder / "router_config.json", {"types": types, "structure": structure, "parameters": parameters})


def _write_tower(folder: Path, tower: TextTower, side: str | None = None) -> list[tuple[str, str]]:
    """Writes a tower's modules; returns their (folder name, kind) in order."""
    head = list(tower.projections)
    kinds = ["Transformer", "Pooling", *(_KINDS[type(module)] for module in head)]
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
        else:
            _write_head_module(made, head[place - 2])
        modules.append((name, kind))
    return modules


def _write_transformer(folder: Path, tower: TextTower) -> None:
    encoder: Any = tower.encoder
    with quiet_transformers():
        encoder.save_pretrained(folder)
        tower.tokenizer.save_pretrained(folder)
    _write_json(
        folder / "sentence_bert_config.json", {"max_seq_length": tower.max_length, "do_lower_case": tower.lower_case}
    )


def _pooling_config(tower: TextTower) -> dict[str, Any]:
    """Flags where they say it all, which every release reads; the list of modes where their order matters."""
    config: dict[str, Any] = {
        "word_embedding_dimension": tower.width,
        "include_prompt": tower.pooling.include_prompt,
    }
    if len(tower.pooling.modes) > 1:
        return config | {"pooling_mode": list(tower.pooling.modes)}
    return config | {flag: mode in tower.pooling.modes for flag, mode in POOLING_FLAGS.items()}


def _write_head_module(folder: Path, module: nn.Module) -> None:
    from safetensors.torch import save_file

    config: dict[str, Any] = {}
    if isinstance(module, Projection):
        config = {
            "in_features": module.in_features,
            "out_features": module.out_features,
            "bias": module.linear.bias is not None,
            "activation_function": f"{type(module.activation).__module__}.{type(module.activation).__name__}",
        }
        config |= {"use_residual": True} if module.adds_input else {}
    elif isinstance(module, nn.LayerNorm):
        config = {"dimension": module.normalized_shape[0]}
    elif isinstance(module, nn.Dropout):
        config = {"dropout": module.p}
    _write_json(folder / "config.json", config)
    prefix = "norm." if isinstance(module, nn.LayerNorm) else ""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict(prefix=prefix).items()}
    if state:
        save_file(state, folder / "model.safetensors")


def _entry(place: int, name: str, kind: str) -> dict[str, Any]:
    return {"idx": place, "name": str(place), "path": name, "type": _TYPE_PREFIX + kind}


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {"pytorch": version("torch"), "transformers": version("transformers"), "sentence_transformers": "5.0.0"}


def _write_json(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content, indent=2, sort_keys=isinstance(content, dict)) + "\n", encoding="utf-8")
