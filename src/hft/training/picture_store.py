"""Every distinct picture decoded once, when it is first asked for."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hft.models.pictures import PackedPictures
from hft.training.sessions import IntArray

__all__ = ["PictureStore"]

Pixels = npt.NDArray[np.uint8]

# Bytes of pixels that are held in memory; of more, the system keeps what it has room for, in a file that nobody sees.
LARGEST_IN_MEMORY = 1 << 28


class PictureStore:
    """The pixels of the items' pictures, found by row: what hft.training.token_store is for texts.

    Args:
        paths: the file of each row; None for a row without a picture.
        hashes: of its bytes; rows of one hash are one picture.
        pixels: from a file to uint8[size, size, 3].
        size: pixels of an edge.
        tokens: patches of a picture, which is its length where texts have theirs.

    Attributes:
        decoded: how many pictures were decoded so far.
    """

    keys = None

    def __init__(
        self,
        paths: Sequence[str | None],
        hashes: Sequence[str | None],
        pixels: Callable[[Path], Pixels],
        *,
        size: int,
        tokens: int,
    ) -> None:
        numbers: dict[str, int] = {}
        self._number = np.array([numbers.setdefault(hash or "", len(numbers)) for hash in hashes], dtype=np.int64)
        first = np.unique(self._number, return_index=True)[1]
        self._files = [paths[row] for row in first.tolist()]
        self._decode = pixels
        self._is_decoded = np.zeros(len(numbers), dtype=np.bool_)
        self._pixels = _room_for((len(numbers), size, size, 3))
        self._tokens = tokens
        self.decoded = 0

    def __len__(self) -> int:
        return len(self._number)

    @property
    def lengths(self) -> IntArray:
        """int64[pictures], patches of each: all are of one size."""
        return np.full(len(self), self._tokens, dtype=np.int64)

    @property
    def numbers(self) -> IntArray:
        """int64[pictures]: equal for rows of one picture."""
        return self._number

    def rows(self, rows: IntArray) -> PackedPictures:
        """Pixels of the given int64[rows], in their order.

        Raises:
            DataError: a picture is gone, or cannot be decoded.
        """
        wanted = self._number[rows]
        for number in np.unique(wanted[~self._is_decoded[wanted]]).tolist():
            self._pixels[number] = self._decode(Path(self._files[number] or ""))
            self._is_decoded[number] = True
            self.decoded += 1
        return PackedPictures(np.asarray(self._pixels[wanted]))

    def of_epoch(self, epoch: int, rows: IntArray) -> PackedPictures:
        """The same in every epoch: see `rows`."""
        return self.rows(rows)


def _room_for(shape: tuple[int, ...]) -> Pixels:
    """uint8 of a shape: in memory where it is small, else in a file without a name, which goes with the process."""
    if int(np.prod(shape)) <= LARGEST_IN_MEMORY:
        return np.zeros(shape, dtype=np.uint8)
    with tempfile.TemporaryFile(prefix="hft-pictures-") as file:
        return np.memmap(file, dtype=np.uint8, mode="w+", shape=shape)
