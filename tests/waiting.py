"""Waiting for another process or thread: until it has come so far, and for as long as a busy machine may need."""

from __future__ import annotations

import time
from collections.abc import Callable

# Seconds after which the other side is taken for dead. No test says with it that anything is quick.
PATIENCE = 900.0


def wait_until(condition: Callable[[], object], what: str = "what was waited for", patience: float = PATIENCE) -> None:
    """Returns once the condition is true.

    Raises:
        AssertionError: it is not, after all that patience.
    """
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not after {patience:g} s"
        time.sleep(0.01)
