"""Sessions and items from data sets of Hugging Face's `datasets`: from disk, from local files, or by name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, NonNegativeFloat

from hft.data.identity import SourceIdentity
from hft.data.item_text import ItemText
from hft.data.query_retriever import QueryRetriever
from hft.data.record_formats import is_known_format
from hft.data.records import CellFormat, NamedPlace, Record, Records
from hft.data.row_records import RowRecords
from hft.data.session_files import SessionRecords
from hft.data.text_normalizer import FieldsNormalizer
from hft.errors import DataError
from hft.redaction import redacted

if TYPE_CHECKING:
    from hft.data.quarantine import Quarantine

_ROWS_AT_ONCE = 2000
_SAVED = ("state.json", "dataset_dict.json")


@dataclass(frozen=True)
class _DataSet:
    """A split of a data set.

    Args:
        name: on the hub, or a folder.
        split: its split.
        config: its configuration on the hub.
        revision: a commit, tag or branch of the hub's repository.
        streaming: whether a data set of the hub is read as it comes rather than downloaded first.
        key: config key that names it.
    """

    name: str
    split: str
    config: str | None
    revision: str | None
    streaming: bool
    key: str

    @property
    def folder(self) -> Path | None:
        """Where it lies on this machine; None for a name on the hub."""
        path = Path(self.name).expanduser()
        return path if path.is_dir() else None

    def check(self) -> None:
        """Look whether it can be what is expected, before anybody asks the hub for it.

        Raises:
            DataError: it is a file, or a path that is no folder.
        """
        if self.folder is not None:
            return
        if Path(self.name).expanduser().is_file():
            raise DataError(f"{self.key}: {self.name} is a file: use data=sessions {self.key}={self.name}")
        # The hub has NAME and OWNER/NAME.
        is_path = self.name.startswith((".", "/", "~")) or self.name.count("/") > 1 or "\\" in self.name
        if is_path or is_known_format(self.name):
            raise DataError(
                f"{self.key}: no such folder: {self.name} (a relative one starts at {Path.cwd()}). Expected a folder "
                "that save_to_disk wrote, a folder of data files, or a name on the hub (NAME or OWNER/NAME)."
            )

    def batches(self) -> Iterator[Any]:
        """Arrow tables of its rows, in order.

        Raises:
            DataError: it is not there, has no such split, or cannot be read.
        """
        try:
            import datasets
        except ImportError:
            raise DataError(
                f'{self.key}: reading data sets needs a package that is not installed. Run: pip install "hft[datasets]"'
            ) from None
        datasets.disable_progress_bars()
        try:
            yield from self._opened(datasets).with_format("arrow").iter(batch_size=_ROWS_AT_ONCE)
        except DataError:
            raise
        except Exception as error:
            told = redacted(f"{type(error).__name__}: {error}".splitlines()[0])
            raise DataError(
                f"{self.key}: the data set {self.name!r} (split {self.split!r}) cannot be read: {told}. Expected a "
                "folder that save_to_disk wrote, a folder of data files, or a name on the hub (private: HF_TOKEN)."
            ) from None

    def _opened(self, datasets: Any) -> Any:
        folder = self.folder
        if folder is None or not any((folder / name).is_file() for name in _SAVED):
            options = {} if folder is not None else {"revision": self.revision}
            return datasets.load_dataset(
                self.name if folder is None else str(folder),
                self.config,
                split=self.split,
                streaming=self.streaming or folder is not None,
                **options,
            )
        saved = datasets.load_from_disk(str(folder))
        if not isinstance(saved, datasets.DatasetDict):
            return saved
        if self.split not in saved:
            raise DataError(f"{self.key}: {folder} has no split {self.split!r}. There: {', '.join(saved)}.")
        return saved[self.split]


class HuggingFaceSessions(SessionRecords):
    """Sessions and items from data sets: a folder that `save_to_disk` wrote, a folder of data files, or a name on the
    hub. Rows have the fields that SessionFiles reads.

    Args:
        sessions: the data set of sessions.
        items: the data set of items; may be the same with another split or configuration.
        sessions_split, items_split: the split of each; a folder that holds one data set only has none to choose.
        sessions_config, items_config: the configuration of each, on the hub.
        revision: a commit, tag or branch of the hub's repositories; None takes the newest.
        streaming: read rows of the hub as they come; false downloads the data set first.
        fields, event_weights, list_separator, query_retriever, normalizer, item_text: as SessionFiles has
            them.
    """

    def __init__(
        self,
        sessions: Annotated[str, Field(min_length=1)],
        items: Annotated[str, Field(min_length=1)],
        sessions_split: Annotated[str, Field(min_length=1)] = "train",
        items_split: Annotated[str, Field(min_length=1)] = "train",
        sessions_config: str | None = None,
        items_config: str | None = None,
        revision: str | None = None,
        streaming: bool = True,
        fields: dict[str, str | list[str] | None] | None = None,
        event_weights: dict[str, NonNegativeFloat] | None = None,
        list_separator: Annotated[str, Field(min_length=1)] = "|",
        query_retriever: QueryRetriever | None = None,
        normalizer: FieldsNormalizer | None = None,
        item_text: ItemText | None = None,
    ) -> None:
        cells = CellFormat(list_separator)
        super().__init__(fields, event_weights, cells, query_retriever, normalizer, item_text)
        self._sessions = _DataSet(
            sessions, sessions_split, sessions_config, revision, streaming, "data.source.sessions"
        )
        self._items = _DataSet(items, items_split, items_config, revision, streaming, "data.source.items")

    def identity(self) -> SourceIdentity | None:
        """The files of its folders, and how they are read; None for names on the hub.

        Raises:
            DataError: one can be neither a folder nor a name on the hub.
        """
        self._check()
        files: dict[str, Path] = {}
        for role, data_set in (("sessions", self._sessions), ("items", self._items)):
            folder = data_set.folder
            if folder is None:
                return None
            there = sorted(path for path in folder.rglob("*") if path.is_file())
            files |= {f"{role}/{path.relative_to(folder).as_posix()}": path for path in there}
        splits = [self._sessions.split, self._items.split, self._sessions.config, self._items.config]
        return SourceIdentity(files, {"files": sorted(files), "splits": splits, **self.reading_options()})

    def _check(self) -> None:
        for data_set in (self._items, self._sessions):
            data_set.check()

    def session_parts(self, quarantine: Quarantine) -> list[Records]:
        self._check()
        return [self._part(self._sessions, self.list_fields, quarantine)]

    def item_parts(self, quarantine: Quarantine) -> list[Records]:
        self._check()
        return [self._part(self._items, (), quarantine)]

    def _part(self, data_set: _DataSet, list_fields: Sequence[str], quarantine: Quarantine) -> Records:
        place = NamedPlace(data_set.split, f"{data_set.name} ({data_set.split})")

        def records() -> Iterator[Record]:
            rows = RowRecords(str(place), list_fields, self.cells.separator, quarantine)
            for table in data_set.batches():
                for batch in table.to_batches():
                    yield from rows.of_batch(batch)

        return Records(place, records)
