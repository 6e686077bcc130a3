"""A file of what layers give for some texts: an index, and the numbers without padding, mapped into memory.

    magic, length of the header   16 bytes
    header                        JSON: texts, rows, width, dtype, given (the type before it was narrowed)
    keys                          uint64[texts, 2]
    offsets                       int64[texts + 1], the row at which each text starts
    numbers                       dtype[rows, width]; at a multiple of 64 bytes

A row is a token, or of pooled vectors a text. The size of the whole follows from the header, so that a file that was
cut is known as one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

__all__ = ["Segment", "SegmentWriter", "open_segment", "segment_bytes"]

_MAGIC = b"hftact01"
_ALIGN = 64
# torch's type, and NumPy's of the same width to map the file with: NumPy has no bfloat16.
_DTYPES = {"float32": (torch.float32, np.float32), "bfloat16": (torch.bfloat16, np.int16)}


@dataclass(frozen=True)
class Segment:
    """What layers give for some texts.

    Args:
        keys: uint64[texts, 2], of the texts.
        offsets: int64[texts + 1], the row at which each starts.
        values: [rows, width], mapped from the file: read when it is looked at.
        dtype: in which the layers gave them; they may be kept in a narrower one.
    """

    keys: npt.NDArray[np.uint64]
    offsets: npt.NDArray[np.int64]
    values: Tensor
    dtype: torch.dtype


def segment_bytes(texts: int, rows: int, width: int, dtype: torch.dtype) -> int:
    """About the size of a segment's file, in bytes."""
    return 24 * texts + rows * width * dtype.itemsize + 512


class SegmentWriter:
    """Writes a segment, its numbers block by block.

    Args:
        path: of the file.
        keys: uint64[texts, 2].
        lengths: int64[texts], rows of each text.
        width: of a row.
        dtype: to keep them in, float32 or bfloat16.
        given: in which the layers give them.
    """

    def __init__(
        self,
        path: Path,
        keys: npt.NDArray[np.uint64],
        lengths: npt.NDArray[np.int64],
        width: int,
        dtype: torch.dtype,
        given: torch.dtype,
    ) -> None:
        self.width, self.dtype = width, dtype
        self.missing = int(lengths.sum())
        offsets = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(lengths, dtype=np.int64)))
        names = {"dtype": _name(dtype), "given": _name(given)}
        header = json.dumps({"texts": len(keys), "rows": self.missing, "width": width, **names}).encode()
        self._file = path.open("wb")
        self._file.write(_MAGIC + len(header).to_bytes(8, "little") + header)
        self._file.write(np.ascontiguousarray(keys).tobytes())
        self._file.write(offsets.tobytes())
        self._file.write(b"\0" * (-self._file.tell() % _ALIGN))
        # Of its full size from now on, so that other processes count it when they ask for room.
        self._file.truncate(self._file.tell() + self.missing * width * dtype.itemsize)

    def __enter__(self) -> SegmentWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if error is None and self.missing:
            raise ValueError(f"{self.missing} rows of the segment were not written")

    def write(self, rows: Tensor) -> None:
        """Adds the rows of the next texts, [rows, width], rounded to the segment's type."""
        storage = rows.detach().to("cpu", self.dtype).contiguous()
        if storage.shape[1:] != (self.width,) or len(storage) > self.missing:
            raise ValueError(f"{tuple(storage.shape)} rows; missing are {self.missing} of width {self.width}")
        self.missing -= len(storage)
        integers = storage.view(torch.int16) if self.dtype == torch.bfloat16 else storage
        self._file.write(integers.numpy().data)


def open_segment(path: Path) -> Segment:
    """A segment with its numbers mapped.

    Raises:
        ValueError: the file is cut, or no segment.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(16)
        if len(start) < 16 or start[:8] != _MAGIC:
            raise ValueError("it does not begin as one")
        header = _header(file.read(int.from_bytes(start[8:], "little")))
        texts, rows, width = header["texts"], header["rows"], header["width"]
        dtype, storage = _DTYPES[header["dtype"]]
        keys = np.frombuffer(file.read(16 * texts), dtype="<u8")
        offsets = np.frombuffer(file.read(8 * (texts + 1)), dtype="<i8")
        begin = file.tell() + -file.tell() % _ALIGN
    expected = begin + rows * width * dtype.itemsize
    found = path.stat().st_size
    if found != expected or len(offsets) != texts + 1 or offsets[-1] != rows:
        raise ValueError(f"it has {found} bytes of {expected}")
    values = torch.zeros(0, width, dtype=dtype)
    if rows:
        # "c": torch asks for memory that could be written to; what is written would stay in this process.
        mapped = np.memmap(path, dtype=storage, mode="c", offset=begin, shape=(rows, width))
        values = torch.from_numpy(mapped).view(dtype)
    return Segment(keys.reshape(-1, 2), offsets, values, _DTYPES[header["given"]][0])


def _header(content: bytes) -> dict[str, Any]:
    try:
        header: dict[str, Any] = json.loads(content)
        types_are_known = {header["dtype"], header["given"]} <= set(_DTYPES)
        if types_are_known and all(int(header[name]) >= 0 for name in ("texts", "rows", "width")):
            return header
    except (KeyError, TypeError, ValueError):
        pass
    raise ValueError("its header cannot be read")


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
