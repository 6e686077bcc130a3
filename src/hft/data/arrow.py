"""Arrow columns as NumPy arrays, and their content as a hash."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from hashlib import _Hash

    from numpy.typing import NDArray


def one_array(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """The column as a single array (no copy where it has one chunk already)."""
    if isinstance(column, pa.Array):
        return column
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def list_offsets(column: pa.Array) -> NDArray[np.int64]:
    """Offsets `int64[rows+1]` of a list column into its flat values; a null row is empty."""
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)


def list_values(column: pa.Array, dtype: type[np.generic]) -> NDArray[Any]:
    """Flat values of a list column, those of null rows left out."""
    return np.asarray(column.flatten().to_numpy(zero_copy_only=False), dtype=dtype)


def list_column(
    offsets: NDArray[np.int64],
    values: NDArray[Any],
    kind: pa.DataType,
    missing: NDArray[np.bool_] | None = None,
) -> pa.Array:
    """A list column from offsets `int64[rows+1]` and flat values; rows marked as missing are null (and
    empty)."""
    ends = pa.array(offsets.astype(np.int32))
    mask = None if missing is None else pa.array(missing)
    return pa.ListArray.from_arrays(ends, pa.array(values, type=kind), mask=mask)


def string_bytes(column: pa.Array) -> memoryview:
    """The UTF-8 bytes of all strings of a column, one after the other; a null has none."""
    whole = pc.fill_null(column, "")
    _, ends, content = whole.buffers()
    if content is None or len(whole) == 0:
        return memoryview(b"")
    dtype = np.int64 if pa.types.is_large_string(whole.type) else np.int32
    first, last = np.frombuffer(ends, dtype=dtype)[[whole.offset, whole.offset + len(whole)]].tolist()
    return memoryview(content)[first:last]


def update_hash(digest: _Hash, column: pa.ChunkedArray | pa.Array) -> None:
    """Feed the column's content to the hash: the same whatever its chunks, slices or unused buffers."""
    array = one_array(column)
    digest.update(f"{array.type}:{len(array)};".encode())
    digest.update(np.packbits(pc.is_valid(array).to_numpy(zero_copy_only=False)).tobytes())
    if pa.types.is_list(array.type):
        digest.update(list_offsets(array).tobytes())
        update_hash(digest, array.flatten())
    elif pa.types.is_string(array.type):
        digest.update(np.asarray(pc.fill_null(pc.binary_length(array), 0), dtype=np.int64).tobytes())
        digest.update(string_bytes(array))
    else:
        zero = False if pa.types.is_boolean(array.type) else 0
        values = pc.fill_null(array, pa.scalar(zero, type=array.type))
        digest.update(np.ascontiguousarray(values.to_numpy(zero_copy_only=False)).tobytes())
