"""By which texts a model is trained, measured and served: its own, whoever asks."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from hft.data.source_texts import declared_texts, filled_source
from hft.data.text_declaration import TextDeclaration
from hft.data.texts_of_items import ReadsItemRecords, records_of_items, texts_by_row
from hft.models.texts_file import TEXTS_NAME, read_texts_file

if TYPE_CHECKING:
    from hft.data import RankingData
    from hft.experiments import RunRecord


def texts_of_run(record: RunRecord) -> TextDeclaration | None:
    """What a run declares of its texts; None where its source does not read records of items.

    A record from before runs declared them has it from its config, where a source that named no fields took `text`.

    Raises:
        ConfigError: the record was changed by hand.
    """
    if record.texts is not None:
        return TextDeclaration.read(record.texts, f"{record.folder}: run.yaml: texts")
    return declared_texts(record.config.get("data") or {}, None)


def texts_in(folder: Path) -> TextDeclaration | None:
    """What the folder of a saved model declares; None where it declares nothing.

    Raises:
        ModelError, ConfigError: its file is no declaration.
    """
    found = read_texts_file(folder)
    return None if found is None else TextDeclaration.read(found, str(folder / TEXTS_NAME))


def texts_of_start(config: DictConfig, parent: RunRecord | None) -> TextDeclaration | None:
    """What the model that a run starts from declares: its parent, or the folder of the model group; None: nothing.

    Args:
        config: of the run.
        parent: the run that it starts from; None: the model group's model.
    """
    if parent is not None:
        return texts_of_run(parent)
    source = OmegaConf.select(config, "model.source")
    folder = None if source is None else Path(str(source)).expanduser()
    return texts_in(folder) if folder is not None and folder.is_dir() else None


def source_of(config: DictConfig, texts: TextDeclaration | None) -> Any:
    """The source of a config; what it leaves open of its items' texts is as `texts` says (None: title and text)."""
    return instantiate(config.data.source if texts is None else _source_node(config, texts))


def declared_by(config: DictConfig, texts: TextDeclaration | None, data: RankingData) -> TextDeclaration | None:
    """What a run declares: of a config, what it left open filled in, once its data is known.

    Args:
        config: of the run.
        texts: as `source_of` got it.
        data: prepared from that source.
    """
    node = _plain(config.data)
    filled = node if texts is None else {**node, "source": _source_node(config, texts)}
    return declared_texts(filled, data.report.item_fields)


def names_other_texts(config: DictConfig, texts: TextDeclaration | None) -> bool:
    """Whether a config says itself what makes the texts of items, and says it otherwise than a declaration."""
    if texts is None:
        return False
    node = _plain(config.data)
    return differ(texts, declared_texts({**node, "source": filled_source(node["source"], texts)}, None))


def seen_by(
    data: RankingData, source: Any, texts: TextDeclaration | None, declared: TextDeclaration | None
) -> RankingData:
    """The same sessions over the texts that a model knows.

    Args:
        data: prepared from the source.
        source: gives the records of items again.
        texts: what the model declares; None: nothing, so that it is given the data's.
        declared: what makes the texts of the data.

    Raises:
        DataError: the records cannot be had.
        ConfigError: the model declares what cannot be made here.
    """
    if texts is None or not differ(texts, declared) or not isinstance(source, ReadsItemRecords):
        return data
    found = texts_by_row(records_of_items(source, data.items), len(data.items), partial(_text_of, texts))
    return data.with_item_texts(found).with_texts(texts.splitter, data.augmentation)


def differ(texts: TextDeclaration | None, declared: TextDeclaration | None) -> bool:
    """Whether a model knows other texts than those of the data."""
    return texts is not None and declared is not None and not _are_same(texts, declared)


def _text_of(texts: TextDeclaration, source: str, record: Mapping[str, Any]) -> str:
    return texts.of(source).text_of(record)


def _are_same(texts: TextDeclaration, declared: TextDeclaration) -> bool:
    return texts.item_splitter == declared.item_splitter and all(
        texts.of(name).makes_the_texts_of(own) for name, own in declared.items.items()
    )


def _source_node(config: DictConfig, texts: TextDeclaration) -> dict[str, Any]:
    return filled_source(_plain(config.data)["source"], texts)


def _plain(node: DictConfig) -> dict[str, Any]:
    found: Any = OmegaConf.to_container(node, resolve=True)
    return dict(found)
