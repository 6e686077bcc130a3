"""`hft export RUN DIR`: a run's tuned model as a folder that `SentenceTransformer(DIR)` loads."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `hft export`."""
    parser.add_argument("run", metavar="RUN", help="a run folder, or an id or name that `hft runs` lists")
    parser.add_argument("folder", metavar="DIR", help="where to write the model; must not exist, or be empty")
    parser.add_argument("--outputs", metavar="DIR", default="outputs", help="where runs land (default: outputs)")


def run(args: argparse.Namespace) -> int:
    """Load the model, which checks it, and write it again."""
    from hft.errors import ConfigError

    folder = Path(args.folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"hft export: {folder} exists and is not an empty folder. Give another one.")
    from hft.api import load

    model = load(args.run, args.outputs)
    model.save(folder)
    towers = "one tower" if model.shared else "two towers: use encode_query and encode_document"
    print(f"{folder}: {model.dim} dimensions, {towers}. Load it with SentenceTransformer({str(folder)!r}).")
    if texts := getattr(model, "texts", None):
        for line in _how_texts_are_made(texts, folder):
            print(line)
    return 0


def _how_texts_are_made(values: dict[str, Any], folder: Path) -> list[str]:
    """What whoever embeds with the model by other means must do with items and queries."""
    from hft.data.text_declaration import TextDeclaration
    from hft.models.texts_file import TEXTS_NAME

    declared = TextDeclaration.read(values, TEXTS_NAME)
    lines = [f"The text of an item is made of {declared.in_words()}: one line a field, what is empty left out."]
    if any(texts.item_text is not None for texts in declared.items.values()):
        lines = [f"The text of an item is made by {declared.in_words()}."]
    if any(texts.normalizer is not None for texts in declared.items.values()):
        lines.append("Its record goes through the normaliser of the run first.")
    if declared.item_splitter is not None:
        kind = str(declared.item_splitter.get("_target_")).rpartition(".")[2]
        lines.append(f"It is cut into parts by {kind}: each is embedded, and an item ranks by its parts.")
    if declared.query_retriever is not None:
        lines.append("The query is taken out of a record by the query_retriever of the run.")
    lines.append(f"{folder / TEXTS_NAME} says it all: `hft embed {folder} FILE` and hft.load make the texts so.")
    return lines
