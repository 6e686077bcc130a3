"""Keys of contents. What has the same key is the same: 128 bits of BLAKE2b (RFC 7693)."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

__all__ = ["digest", "text_keys"]

_KEY_BYTES = 16


def text_keys(texts: Sequence[str], prompt: str = "") -> npt.NDArray[np.uint64]:
    """uint64[texts, 2]: BLAKE2b-128 of each text's UTF-8 bytes. About half a microsecond a text.

    Args:
        texts: one a row.
        prompt: put before each.
    """
    # A lone surrogate, which is no UTF-8, has a key like any other text.
    hashes = [
        blake2b((prompt + text).encode("utf-8", "surrogatepass"), digest_size=_KEY_BYTES).digest() for text in texts
    ]
    return np.frombuffer(b"".join(hashes), dtype="<u8").astype(np.uint64, copy=False).reshape(-1, 2)


def digest(*parts: str | bytes) -> str:
    """32 hexadecimal digits, good as the key of an entry. ("ab", "c") and ("a", "bc") differ."""
    found = blake2b(digest_size=_KEY_BYTES)
    for part in parts:
        content = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        found.update(f"{len(content)}:".encode())
        found.update(content)
    return found.hexdigest()
