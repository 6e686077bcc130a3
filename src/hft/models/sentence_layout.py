"""Reading a model folder: what its sentence-transformers files say, as plain values. No torch here.

The layout: `modules.json` lists the modules (Transformer, Pooling, Dense, Normalize, or one Router that holds a list a
side); `config_sentence_transformers.json` holds the prompts; a folder without `modules.json` is a plain encoder.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from hft.errors import ModelError

__all__ = ["DenseLayout", "ModelLayout", "TowerLayout", "read_layout"]

_POOLING_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_ACTIVATIONS: dict[str, Literal["identity", "tanh"]] = {"Identity": "identity", "Tanh": "tanh"}
# The names under which sentence-transformers looks for a side's prompt, in its order.
_QUERY_PROMPT_NAMES = ("query",)
_ITEM_PROMPT_NAMES = ("document", "passage", "corpus")


@dataclass(frozen=True)
class DenseLayout:
    """A dense layer: where its weights are, and its shape."""

    folder: Path
    in_features: int
    out_features: int
    bias: bool
    activation: Literal["identity", "tanh"]


@dataclass(frozen=True)
class TowerLayout:
    """One tower as its folder describes it; None where it says nothing."""

    folder: Path
    pooling: Literal["mean", "cls", "pooler"] | None = None
    normalize: bool | None = None
    max_length: int | None = None
    lower_case: bool = False
    dense: tuple[DenseLayout, ...] = ()


@dataclass(frozen=True)
class ModelLayout:
    """A model as its folder describes it. `items` is None for a shared tower."""

    query: TowerLayout
    items: TowerLayout | None = None
    query_prompt: str | None = None
    item_prompt: str | None = None


@dataclass
class _Modules:
    """The modules of one tower in the making."""

    transformer: Path | None = None
    config: dict[str, Any] = field(default_factory=dict)
    pooling: Literal["mean", "cls", "pooler"] | None = None
    dense: list[DenseLayout] = field(default_factory=list)
    normalize: bool = False


def read_layout(folder: Path) -> ModelLayout:
    """What the files of a model folder say.

    Raises:
        ModelError: a file that is not JSON, a module or a pooling that hft does not know.
    """
    prompts = _prompts(folder)
    if not (folder / "modules.json").is_file():
        return ModelLayout(_plain(folder), None, *prompts)
    modules = [(_kind(entry.get("type", "")), folder / str(entry.get("path", ""))) for entry in _modules(folder)]
    routers = [path for kind, path in modules if kind in ("Router", "Asym")]
    if not routers:
        return ModelLayout(_tower(folder, modules), None, *prompts)
    after = [module for module in modules if module[0] not in ("Router", "Asym")]
    sides = _routes(routers[0])
    query, items = (_tower(folder, side + after) for side in sides)
    return ModelLayout(query, items, *prompts)


def _routes(folder: Path) -> tuple[list[tuple[str, Path]], list[tuple[str, Path]]]:
    file = folder / "router_config.json"
    config = _json(file if file.is_file() else folder / "config.json")
    structure, types = config.get("structure", {}), config.get("types", {})
    if set(structure) != {"query", "document"}:
        raise ModelError(
            f"{file}: the router has the routes {sorted(structure)}. hft reads routers with the routes "
            "'query' and 'document'."
        )
    query, items = ([(_kind(types[name]), folder / name) for name in structure[side]] for side in ("query", "document"))
    return query, items


def _tower(folder: Path, modules: list[tuple[str, Path]]) -> TowerLayout:
    found = _Modules()
    for kind, path in modules:
        if found.normalize:
            raise ModelError(f"{folder / 'modules.json'}: a module {kind} after Normalize is not supported.")
        _add_module(found, kind, path)
    if found.transformer is None:
        raise ModelError(
            f"{folder / 'modules.json'}: no module is a Transformer. hft fine-tunes text transformers; choose another "
            "model folder."
        )
    if found.pooling is None:
        raise ModelError(f"{folder / 'modules.json'}: no module is a Pooling; hft needs one vector a text.")
    length = found.config.get("max_seq_length")
    return TowerLayout(
        folder=found.transformer,
        pooling=found.pooling,
        normalize=found.normalize,
        max_length=int(length) if length else None,
        lower_case=bool(found.config.get("do_lower_case", False)),
        dense=tuple(found.dense),
    )


def _add_module(found: _Modules, kind: str, path: Path) -> None:
    if kind == "Transformer":
        found.transformer = path
        found.config = _transformer_config(path)
        text = found.config.get("modality_config", {}).get("text", {})
        if text.get("method_output_name") == "pooler_output":
            found.pooling = "pooler"
    elif kind == "Pooling":
        found.pooling = _pooling(path / "config.json")
    elif kind == "Dense":
        found.dense.append(_dense(path))
    elif kind == "Normalize":
        found.normalize = True
    else:
        raise ModelError(
            f"{path}: a sentence-transformers module of type {kind!r}. hft knows Transformer, Pooling, Dense, "
            "Normalize and Router; choose another model, or its plain encoder folder."
        )


def _plain(folder: Path) -> TowerLayout:
    """A folder without modules.json: an encoder as transformers saves it."""
    config = _transformer_config(folder)
    length = config.get("max_seq_length")
    return TowerLayout(folder, max_length=int(length) if length else None)


def _transformer_config(folder: Path) -> dict[str, Any]:
    file = folder / "sentence_bert_config.json"
    return _json(file) if file.is_file() else {}


def _pooling(file: Path) -> Literal["mean", "cls"]:
    config = _json(file)
    mode = config.get("pooling_mode")
    modes = [mode] if isinstance(mode, str) else list(mode or [])
    modes = modes or [name for flag, name in _POOLING_FLAGS.items() if config.get(flag)] or ["mean"]
    if modes == ["mean"]:
        return "mean"
    if modes == ["cls"]:
        return "cls"
    raise ModelError(
        f"{file}: pooling {'+'.join(modes)}. hft knows mean, cls and pooler. Set model.pooling and start from the "
        "plain encoder folder, or choose another model."
    )


def _dense(folder: Path) -> DenseLayout:
    file = folder / "config.json"
    config = _json(file)
    activation = str(config.get("activation_function", "torch.nn.modules.activation.Tanh")).rsplit(".", 1)[-1]
    unusual = (
        config.get("use_residual") or config.get("module_input_name", "sentence_embedding") != "sentence_embedding"
    )
    if activation not in _ACTIVATIONS or unusual:
        raise ModelError(
            f"{file}: a Dense module with activation {activation!r}"
            f"{' on another input than the sentence embedding' if unusual else ''}. hft knows plain Dense modules with "
            "Identity or Tanh."
        )
    try:
        sizes = int(config["in_features"]), int(config["out_features"])
    except KeyError as error:
        raise ModelError(f"{file}: the key {error} is missing; save the model again.") from error
    return DenseLayout(folder, *sizes, bool(config.get("bias", True)), _ACTIVATIONS[activation])


def _prompts(folder: Path) -> tuple[str | None, str | None]:
    file = folder / "config_sentence_transformers.json"
    config = _json(file) if file.is_file() else {}
    prompts: dict[str, str | None] = config.get("prompts") or {}
    default = prompts.get(config.get("default_prompt_name") or "")

    def prompt_of(names: tuple[str, ...]) -> str | None:
        return next((prompts[name] for name in names if prompts.get(name) is not None), default)

    return prompt_of(_QUERY_PROMPT_NAMES), prompt_of(_ITEM_PROMPT_NAMES)


def _modules(folder: Path) -> list[dict[str, Any]]:
    file = folder / "modules.json"
    entries = _json(file)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ModelError(f"{file}: a list of modules is expected; save the model again.")
    for entry in entries:
        path = PurePosixPath(str(entry.get("path", "")))
        if path.is_absolute() or ".." in path.parts:
            raise ModelError(f"{file}: the module path {str(path)!r} leaves the model's folder; it is refused.")
    return sorted(entries, key=lambda entry: int(entry.get("idx", 0)))


def _kind(type_name: str) -> str:
    return str(type_name).rsplit(".", 1)[-1]


def _json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"{file}: the file is missing; the model's folder is not complete. Copy it again.") from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{file}: cannot be read as JSON ({error}). Copy the model again.") from error
