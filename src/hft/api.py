"""What `hft` offers from Python beside composing and training."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hft.threads import wait_politely
from hft.user_modules import seek_user_modules

if TYPE_CHECKING:
    from hft.data.text_declaration import TextDeclaration
    from hft.models import ImageTextModel, Side, TextEmbeddingModel


def load(run: str | Path, outputs: str | Path = "outputs") -> TextEmbeddingModel | ImageTextModel:
    """The tuned model of a run. Its `encode` takes texts, and records, of which it makes the texts as the run did.

    Args:
        run: a run folder, or an id or name that `hft runs` lists; the folder of a saved model as well.
        outputs: where runs land.

    Raises:
        RunNotFoundError: no run answers to it.
        ModelError: its model cannot be loaded.
        ConfigError: what it says of its texts was changed by hand.
    """
    wait_politely()
    seek_user_modules()
    from hft.models import TextEmbeddingModel, load_saved_model

    folder, texts = find_model(run, outputs)
    model = load_saved_model(folder)
    if texts is not None and isinstance(model, TextEmbeddingModel):
        model.texts, model.makes_text = texts.to_plain(), partial(_text_of, texts)
    return model


def find_model(run: str | Path, outputs: str | Path = "outputs") -> tuple[Path, TextDeclaration | None]:
    """(the folder of a run's tuned model, what makes its texts): as the run's record says; of a model's folder as its
    own file does, and where it has none and is of a run, as that record does.

    Raises:
        RunNotFoundError, ModelError, ConfigError: as `load` does.
    """
    from hft.experiments import MODEL_NAME, find_run, load_record
    from hft.experiments.run_folder import RECORD_NAME
    from hft.experiments.run_model import require_model
    from hft.running.texts import texts_in, texts_of_run

    folder = Path(run)
    if (folder / "modules.json").is_file() or (folder / "config.json").is_file():
        texts = texts_in(folder)
        record_file = folder.resolve().parent / RECORD_NAME
        if texts is None and folder.resolve().name == MODEL_NAME and record_file.is_file():
            texts = texts_of_run(load_record(record_file))
        return folder, texts
    record = find_run(str(run), str(outputs))
    return require_model(record, outputs), texts_of_run(record)


def _text_of(texts: TextDeclaration, record: Mapping[str, Any], side: Side) -> str:
    from hft.errors import ConfigError

    if side == "items" and texts.item_splitter is not None:
        raise ConfigError(
            "encode: got an item's record, and this model embeds items in parts, each with a vector of its own. "
            "`hft embed RUN FILE OUTPUT.parquet` cuts and embeds them; or cut the texts yourself and give these."
        )
    maker = texts.maker(side)
    text = maker.of_record(record)
    if text is None:
        raise ConfigError(f"encode: got a record with {', '.join(record) or 'no field'}, expected {maker.words}.")
    return text
