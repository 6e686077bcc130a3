"""Pictures with captions as sessions: a caption is a query, its picture was picked."""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import DirectoryPath, Field

from hft.data.contained_files import contained_file
from hft.data.field_values import NoTextError, as_text, look_up
from hft.data.inputs import FineTuningInputs
from hft.data.items import ItemsSet
from hft.data.missing_fields import FieldPresence, Needed
from hft.data.record_formats import read_records
from hft.data.records import CellFormat
from hft.data.source import SourceData
from hft.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hft.data.quarantine import Quarantine
    from hft.data.records import Record

# What the ids of sessions begin with.
CAPTION, _MORE = "caption", "more"


class PictureFiles:
    """A file of captions (JSONL, CSV or Parquet) and the picture files that it names.

    A line is a session: its caption is the query, its picture the only result, and picked; what else a query is
    trained and measured against comes from settings.negatives=in_batch and data.candidates=corpus. Each picture is
    decoded once while the lines are read, and a line whose picture is missing, cut off or none at all, or whose name
    leads out of the folder, goes to the quarantine. A picture's group is its content, so that data/splitter=by_group
    holds out whole pictures, all their captions in.

    Args:
        folder: that picture names start from.
        captions: file of captions, in the folder.
        image_field: field of the picture's file name.
        caption_field: field of the caption; a list where a picture has several.
        more_fields: fields of further words for the picture (tags, aliases), each a caption of its own to learn from;
            validation and test never ask for them.
        split_field: field of the split, for data/splitter=given; None: there is none.
        list_separator: between the captions in a cell of a table.
        csv_delimiter: between the cells of a CSV line.
        max_pixels: of a picture; a larger one is left out.
    """

    has_pictures = True

    def __init__(
        self,
        folder: DirectoryPath,
        captions: Annotated[str, Field(min_length=1)] = "captions.jsonl",
        image_field: Annotated[str, Field(min_length=1)] = "image",
        caption_field: Annotated[str, Field(min_length=1)] = "caption",
        more_fields: list[Annotated[str, Field(min_length=1)]] | None = None,
        split_field: Annotated[str, Field(min_length=1)] | None = None,
        list_separator: Annotated[str, Field(min_length=1)] = "|",
        csv_delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ",",
        max_pixels: Annotated[int, Field(ge=1)] = 50_000_000,
    ) -> None:
        self.folder = Path(folder)
        self.captions = Path(folder) / captions
        self.image_field = image_field
        self.caption_field = caption_field
        self.more_fields = tuple(more_fields or ())
        self.split_field = split_field
        self.cells = CellFormat(list_separator, csv_delimiter)
        self.max_pixels = max_pixels

    def read(self, quarantine: Quarantine) -> SourceData:
        """Read the captions, and look at each picture.

        Raises:
            DataError: the file is missing, empty or damaged, a needed field is in no line, too many lines are
                malformed, no picture is left, or Pillow is not installed.
        """
        _require_pillow()
        rows = _Rows()
        presence = FieldPresence(
            (
                Needed(self.image_field, "data.source.image_field"),
                Needed(self.caption_field, "data.source.caption_field"),
            )
        )
        seen = 0
        for record in read_records(
            self.captions,
            "data.source.captions",
            (self.caption_field, *self.more_fields),
            self.cells,
            quarantine,
        ):
            seen += 1
            quarantine.saw(self.captions)
            try:
                problem = self._keep(record, rows, presence)
            except NoTextError as error:
                problem = str(error)
            if problem is not None:
                quarantine.add(self.captions, record.number, problem, record.raw)
        if not seen and not quarantine.read[str(self.captions)]:
            raise DataError(f"{self.captions}: the file is empty. Expected one picture with its caption a line.")
        presence.require(str(self.captions), in_most=quarantine.is_too_full(self.captions))
        quarantine.check(self.captions)
        if not rows.queries:
            raise DataError(f"{self.captions}: no picture is left: every line was set aside.")
        return rows.data()

    def _keep(self, record: Record, rows: _Rows, presence: FieldPresence) -> str | None:
        """Keep a line; what is wrong with it where it cannot be kept."""
        fields = record.parsed()
        if isinstance(fields, str):
            return fields
        presence.count(fields)
        name = as_text(look_up(fields, self.image_field)[1]).strip()
        captions = _texts(fields, self.caption_field)
        if not name:
            return f"field {self.image_field!r}: no file name"
        if not captions:
            return f"field {self.caption_field!r}: no caption"
        if name not in rows.row_of:
            path = contained_file(self.folder, name)
            if isinstance(path, str):
                return path
            content, problem = picture_content(path, self.max_pixels)
            if problem:
                return problem
            rows.add_picture(name, path, hashlib.sha256(content).hexdigest(), captions[0])
        split = None if self.split_field is None else as_text(look_up(fields, self.split_field)[1]) or None
        more = dict.fromkeys(text for field in self.more_fields for text in _texts(fields, field))
        rows.add_captions(name, captions, split, kind=CAPTION)
        rows.add_captions(name, [text for text in more if text not in captions], split, kind=_MORE)
        return None


def _texts(fields: Mapping[str, Any], field: str) -> list[str]:
    """The distinct texts of a field, which may hold one or a list."""
    said = look_up(fields, field)[1]
    texts = [as_text(text).strip() for text in (said if isinstance(said, list) else [said])]
    return [text for text in dict.fromkeys(texts) if text]


def picture_content(path: Path, max_pixels: int) -> tuple[bytes, str]:
    """(the bytes of a picture, why it cannot be used); the first is empty where the second is not.

    The whole picture is decoded: a file that ends too early shows only there.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return b"", "no such picture"
    except OSError:
        return b"", "the picture cannot be read"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content)) as picture:
                if picture.width * picture.height > max_pixels:
                    return b"", f"a picture of more than {max_pixels:,} pixels"
                picture.load()
    except UnidentifiedImageError:
        return b"", "not a picture"
    except Image.DecompressionBombError:
        return b"", f"a picture of more than {max_pixels:,} pixels"
    except Exception:  # decoders raise whatever they like
        return b"", "a picture that is cut off or damaged"
    return content, ""


class _Rows:
    """Pictures and their captions, in the order in which they came."""

    def __init__(self) -> None:
        self.row_of: dict[str, int] = {}
        self.images: list[dict[str, str]] = []
        self.titles: list[str] = []
        self.ids: list[str] = []
        self.queries: list[str] = []
        self.results: list[int] = []
        self.splits: list[str | None] = []

    def add_picture(self, name: str, path: Path, sha256: str, title: str) -> None:
        self.row_of[name] = len(self.images)
        self.images.append({"path": str(path), "sha256": sha256})
        self.titles.append(title)

    def add_captions(self, name: str, captions: list[str], split: str | None, *, kind: str) -> None:
        self.ids += [f"{kind}:{len(self.queries) + number}" for number in range(len(captions))]
        self.queries += captions
        self.results += [self.row_of[name]] * len(captions)
        self.splits += [split] * len(captions)

    def data(self) -> SourceData:
        names = list(self.row_of)
        contents = [image["sha256"] for image in self.images]
        items = ItemsSet.from_columns(names, names, self.titles, contents, self.images)
        inputs = FineTuningInputs.from_columns(
            items,
            self.ids,
            self.queries,
            offsets=np.arange(len(self.queries) + 1, dtype=np.int64),
            results=np.array(self.results, dtype=np.int32),
            events=np.ones(len(self.queries), dtype=np.float32),
            group=[contents[row] for row in self.results],
            split=self.splits,
        )
        doubles = len(contents) - len(set(contents))
        notes = [f"{len(names):,} pictures"]
        if doubles:
            notes.append(f"{doubles:,} pictures are copies of others, byte by byte: no negative tells them apart")
        more = sum(session.startswith(_MORE) for session in self.ids)
        if more:
            notes.append(f"{more:,} further words for them, to learn from only")
        return SourceData(
            items, inputs, CaptionsAlone() if more else None, notes=tuple(notes), learns_from="captions of pictures"
        )


class CaptionsAlone:
    """Leaves the further words out of validation and test. Called after the split, once a split, as Impressions."""

    def __call__(
        self, inputs: FineTuningInputs, allowed: NDArray[np.int32], sessions_per_query: int | None = None
    ) -> FineTuningInputs:
        """The inputs as they are; of a held-out split (with a number of sessions a query) its captions alone."""
        if sessions_per_query is None:
            return inputs
        return inputs.select(np.array([session.startswith(CAPTION) for session in inputs.session_ids], dtype=np.bool_))


def _require_pillow() -> None:
    try:
        import PIL.Image  # noqa: F401
    except ImportError as error:
        raise DataError('Pictures need Pillow, which is not installed. Run: pip install "hft[vision]"') from error
