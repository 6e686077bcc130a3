"""Reading a model folder: what its sentence-transformers files say, as plain values. No torch here.

The layout: `modules.json` lists the modules (a Transformer, a Pooling and what follows it, or one Router that holds a
list a side); `config_sentence_transformers.json` speaks of the model as a whole; a folder without `modules.json` is a
plain encoder.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from hft.errors import ModelError
from hft.models.sentence.head import HeadLayout, PoolingLayout, read_head_module, read_pooling
from hft.models.sentence.keys import read_json, refusal, relative_path
from hft.models.sentence.model_words import ModelWords, read_model_words
from hft.models.sentence.routes import read_routes
from hft.models.sentence.transformer import TransformerLayout, read_transformer

__all__ = ["ModelLayout", "TowerLayout", "read_layout"]

_ROUTERS = ("Router", "Asym")
_PACKAGE = "sentence_transformers."


@dataclass(frozen=True)
class TowerLayout:
    """One tower as its folder describes it.

    Args:
        transformer: its encoder and tokenizer.
        pooling: how tokens become a text, or by the encoder's pooler; None: the folder does not say.
        head: what follows pooling, in order; None: the folder does not say.
    """

    transformer: TransformerLayout
    pooling: PoolingLayout | Literal["pooler"] | None = None
    head: tuple[HeadLayout, ...] | None = None

    @property
    def folder(self) -> Path:
        """Of the encoder."""
        return self.transformer.folder


@dataclass(frozen=True)
class ModelLayout:
    """A model as its folder describes it. `items` is None for a shared tower."""

    query: TowerLayout
    items: TowerLayout | None = None
    words: ModelWords = field(default_factory=ModelWords)


def read_layout(folder: Path) -> ModelLayout:
    """What the files of a model folder say.

    Raises:
        ModelError: a file that is not JSON; a module, a key or a value that hft does not honour.
    """
    if (folder / "adapter_config.json").is_file():
        raise ModelError(
            f"{folder / 'adapter_config.json'}: an adapter, whose base model is elsewhere. Merge the two "
            "(merge_and_unload of peft), save the result, and give that folder."
        )
    if not (folder / "modules.json").is_file():
        return ModelLayout(_plain(folder))
    file = folder / "modules.json"
    words, modules = read_model_words(folder), _modules(file)
    routers = [place for place, (kind, _) in enumerate(modules) if kind in _ROUTERS]
    if not routers:
        return ModelLayout(_tower(file, modules), None, words)
    if routers != [0]:
        raise refusal(file, "type", "Router", "hft reads a Router that stands first, once. Choose another model.")
    routes = read_routes(modules[0][1])
    words = replace(words, default_route=routes.default)
    sides = {
        side: [(_kind(routes.file, type_name), path) for type_name, path in getattr(routes, side)]
        for side in ("query", "document")
    }
    if sides["query"] == sides["document"]:
        return ModelLayout(_tower(routes.file, sides["query"] + modules[1:]), None, words)
    query, items = (_tower(routes.file, sides[side] + modules[1:]) for side in ("query", "document"))
    return ModelLayout(query, items, words)


def _plain(folder: Path) -> TowerLayout:
    """A folder without modules.json: an encoder as transformers saves it. Only its own files say anything."""
    for name in ("tokenizer_config.json", "chat_template.json"):
        file = folder / name
        config = read_json(file) if file.is_file() else {}
        if isinstance(config, dict) and config.get("chat_template"):
            raise refusal(
                file, "chat_template", config["chat_template"], "hft embeds texts, not chats: remove the key."
            )
    if (folder / "chat_template.jinja").is_file():
        raise ModelError(f"{folder / 'chat_template.jinja'}: hft embeds texts, not chats. Remove the file.")
    pooling = PoolingLayout(("lasttoken",)) if _is_causal(folder / "config.json") else None
    return TowerLayout(TransformerLayout(folder), pooling)


def _is_causal(file: Path) -> bool:
    """Whether the folder is a language model's, each of whose tokens sees those before it."""
    config = read_json(file) if file.is_file() else {}
    names: Any = config.get("architectures") if isinstance(config, dict) else None
    return bool(names) and str(names[0]).endswith("ForCausalLM") and config.get("is_causal", True) is not False


def _tower(file: Path, modules: list[tuple[str, Path]]) -> TowerLayout:
    if not modules or modules[0][0] != "Transformer":
        found = modules[0][0] if modules else "nothing"
        raise ModelError(
            f"{file}: no Transformer stands first, but {found}. hft fine-tunes text transformers; choose another "
            "model folder."
        )
    transformer = read_transformer(modules[0][1])
    pooling: PoolingLayout | Literal["pooler"] | None = "pooler" if transformer.gives_pooler else None
    head: list[HeadLayout] = []
    for kind, path in modules[1:]:
        if kind == "Pooling" and pooling is None:
            pooling = read_pooling(path)
            continue
        module = read_head_module(kind, path) if pooling is not None else None
        if module is None:
            raise ModelError(
                f"{file}: a module of type {kind!r} ({path.name}) {'after' if pooling else 'before'} pooling. hft "
                "knows a Transformer, then a Pooling, then Dense, LayerNorm, Dropout and Normalize, or a Router of "
                "such; choose another model, or its plain encoder folder."
            )
        head.append(module)
    if pooling is None:
        raise ModelError(f"{file}: no module is a Pooling; hft needs one vector a text. Choose another model.")
    return TowerLayout(transformer, pooling, tuple(head))


def _modules(file: Path) -> list[tuple[str, Path]]:
    """(kind, folder) of each module, in the order of the list, which is what counts."""
    entries = read_json(file)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ModelError(f"{file}: a list of modules is expected; save the model again.")
    names = [json.dumps(entry.get("name", place)) for place, entry in enumerate(entries)]
    if len(set(names)) < len(names):
        raise ModelError(f"{file}: two modules have one name ({', '.join(names)}). Give each its own.")
    return [
        (_kind(file, entry.get("type")), file.parent / relative_path(file, entry.get("path", ""))) for entry in entries
    ]


def _kind(file: Path, type_name: Any) -> str:
    """The class name of a module of sentence-transformers."""
    if not isinstance(type_name, str) or not type_name.startswith(_PACKAGE):
        raise refusal(
            file, "type", type_name, "A module that comes as code of its own; hft runs none. Choose another model."
        )
    return type_name.rsplit(".", 1)[-1]
