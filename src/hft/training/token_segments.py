"""Tokens on disk: Arrow files of one record batch each, memory-mapped, shared by whoever uses the same tokenizer.

The entry of a tokenizer (hft.models.tokenizing) holds some segments. A row of one is a text: its key (uint64[2], from
hft.stores.text_keys) and its tokens (a large list of int32). One writer at a time adds segments, so that no text is
tokenised twice; where locks do not hold, it is there twice, which costs space and nothing else. When there are many
small ones, a writer puts them together.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import numpy as np
import pyarrow as pa

from hft.errors import StorageError
from hft.models.packed import PackedTexts
from hft.stores import StoreFolder

__all__ = ["SEGMENT_TOKENS", "TokenSegments", "join"]

# A segment is cut where it has so many (256 MiB): what a writer holds in memory is bounded by it.
SEGMENT_TOKENS = 1 << 26
# More segments than these are put together, as far as one can hold them.
MANY_SEGMENTS = 8
_KIND = "tokens"
_SUFFIX = ".arrow"
_SCHEMA = pa.schema([("key", pa.list_(pa.uint64(), 2)), ("tokens", pa.large_list(pa.int32()))])


class TokenSegments:
    """The segments of one tokenizer.

    Args:
        folder: of all stores.
        key: of the tokenizer.
    """

    def __init__(self, folder: StoreFolder, key: str) -> None:
        self.folder = folder
        self.key = key

    def read(self) -> list[PackedTexts]:
        """Every whole segment, mapped into memory and not read yet; what is not whole is dropped with a line."""
        paths = self.folder.files(_KIND, self.key, _SUFFIX)
        if not paths:
            return []
        self.folder.touch(self.folder.entry(_KIND, self.key))
        segments = (self._open(path) for path in paths)
        return [segment for segment in segments if segment is not None]

    def computing(self) -> AbstractContextManager[None]:
        """A block to read again and add in, as StoreFolder.computing has it."""
        return self.folder.computing(_KIND, self.key)

    def add(self, texts: PackedTexts) -> PackedTexts:
        """Keeps texts for later runs. Where the disk does not take them, a line says so.

        Args:
            texts: with keys.

        Returns:
            The same texts, mapped where they were kept.
        """
        size = texts.flat.nbytes + texts.offsets.nbytes + 16 * len(texts)
        if not self.folder.make_room(size):
            self.folder.say(
                f"{self.folder.root}: no room for the tokens of {len(texts):,} texts ({size / 1e6:,.0f} MB): they are "
                "kept in memory only. A larger stores.disk_budget, or a larger disk, keeps them for the next run."
            )
            return texts
        try:
            path = self._publish(texts)
        except StorageError as error:
            self.folder.say(str(error))
            return texts
        return self._open(path) or texts

    def put_together(self) -> None:
        """Makes one segment of the small ones, where there are many. Whoever has mapped the old ones keeps them."""
        small = [
            (path, segment)
            for path in self.folder.files(_KIND, self.key, _SUFFIX)
            if (segment := self._open(path)) is not None and len(segment.flat) < SEGMENT_TOKENS // MANY_SEGMENTS
        ]
        if len(small) <= MANY_SEGMENTS:
            return
        together = _each_key_once(join(segment for _, segment in small))
        if self.folder.make_room(together.flat.nbytes + 24 * len(together)):
            try:
                self._publish(together)
            except StorageError:
                return
            for path, _ in small:
                with suppress(OSError):  # Windows keeps what is mapped: then the texts are there twice
                    path.unlink(missing_ok=True)

    def _publish(self, texts: PackedTexts) -> Path:
        name = uuid.uuid4().hex
        with self.folder.publish_file(_KIND, self.key, _SUFFIX, name) as path:
            _write(path, texts)
        entry = self.folder.entry(_KIND, self.key)
        return next(entry.glob(f"{name}.*"), entry / name)

    def _open(self, path: Path) -> PackedTexts | None:
        try:
            return _read(path)
        except FileNotFoundError:  # another process has put segments together: what was in it is in the new one
            return None
        except (pa.ArrowException, OSError, ValueError) as error:
            self.folder.drop(path, f"is no whole segment of tokens ({_first_line(error)})")
            return None


def join(parts: Iterable[PackedTexts]) -> PackedTexts:
    """Packed texts, one after the other, with their keys."""
    all_parts = list(parts)
    starts = np.cumsum([0, *(len(part.flat) for part in all_parts)])
    offsets = [part.offsets[:-1] + start for part, start in zip(all_parts, starts[:-1].tolist(), strict=True)]
    keys = [part.keys for part in all_parts if part.keys is not None]
    return PackedTexts(
        np.concatenate([np.zeros(0, dtype=np.int32), *(part.flat for part in all_parts)]),
        np.concatenate([*offsets, starts[-1:]]).astype(np.int64),
        np.concatenate(keys) if keys else None,
    )


def _each_key_once(texts: PackedTexts) -> PackedTexts:
    assert texts.keys is not None
    return texts.take(np.sort(np.unique(texts.keys, axis=0, return_index=True)[1]))


def _write(path: Path, texts: PackedTexts) -> None:
    assert texts.keys is not None
    keys = pa.FixedSizeListArray.from_arrays(pa.array(texts.keys.reshape(-1)), 2)
    tokens = pa.LargeListArray.from_arrays(pa.array(texts.offsets), pa.array(texts.flat))
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, _SCHEMA) as writer:
        writer.write_batch(pa.record_batch([keys, tokens], schema=_SCHEMA))


def _read(path: Path) -> PackedTexts:
    """A segment as views of its mapping.

    Raises:
        ArrowException: the file is cut, or no Arrow file.
        ValueError: it holds something else than a segment.
    """
    file = pa.ipc.open_file(pa.memory_map(str(path)))
    if file.schema != _SCHEMA or file.num_record_batches != 1:
        raise ValueError("other columns than expected")
    batch = file.get_batch(0)
    keys, tokens = batch.column(0), batch.column(1)
    flat, offsets = tokens.values.to_numpy(), tokens.offsets.to_numpy()
    if offsets[0] != 0 or offsets[-1] != len(flat) or (len(offsets) > 1 and np.diff(offsets).min() < 0):
        raise ValueError("offsets that do not fit its tokens")
    return PackedTexts(flat, offsets, keys.values.to_numpy().reshape(-1, 2))


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
