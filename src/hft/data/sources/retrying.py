"""Asking again where a store or a server fails for a moment: bounded, with growing pauses and seeded jitter."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

# What another attempt does not mend.
_LASTING: tuple[type[BaseException], ...] = (
    FileNotFoundError,
    FileExistsError,
    PermissionError,
    IsADirectoryError,
    NotADirectoryError,
)
_LONGEST_PAUSE = 30.0
_JITTER = 0.5

# Exceptions of packages that may not be installed: (module, class).
_PASSING_OF_PACKAGES = (("aiohttp", "ClientError"), ("botocore.exceptions", "BotoCoreError"))
_LASTING_OF_PACKAGES = (
    ("botocore.exceptions", "NoCredentialsError"),
    ("botocore.exceptions", "PartialCredentialsError"),
    ("botocore.exceptions", "ParamValidationError"),
    ("botocore.exceptions", "ProfileNotFound"),
)


class ShortAnswerError(OSError):
    """Fewer bytes came than were asked for and are there."""


@dataclass
class Retrying:
    """Attempts at one thing after the other. An attempt that succeeds starts the count anew.

    Args:
        retries: attempts after the first, of each thing.
        pause: seconds before the first of them; each further pause is twice as long, up to 30 s, and up to half of it
            is drawn, so that many readers do not come back at once.
        seed: of those draws.
        sleep: waits so many seconds.
    """

    retries: int = 5
    pause: float = 0.5
    seed: int = 0
    # Looked up at each call, so that a test can stand in for it.
    sleep: Callable[[float], None] = lambda seconds: time.sleep(seconds)
    retried: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._draws = random.Random(self.seed)

    def waits(self, attempt: int, error: BaseException) -> bool:
        """Wait before another attempt; False where there is to be none.

        Args:
            attempt: how many attempts have failed.
            error: of the last one.
        """
        if attempt > self.retries or not passes(error):
            return False
        longest = min(self.pause * 2.0 ** (attempt - 1), _LONGEST_PAUSE)
        self.sleep(longest * (1.0 - _JITTER * self._draws.random()))
        self.retried += 1
        return True


def passes(error: BaseException) -> bool:
    """Whether an error may be gone at the next attempt: a connection, a time limit, a server's bad moment."""
    if isinstance(error, (*_LASTING, *_known(_LASTING_OF_PACKAGES))):
        return False
    return isinstance(error, (OSError, EOFError, *_known(_PASSING_OF_PACKAGES)))


def _known(names: tuple[tuple[str, str], ...]) -> tuple[type[BaseException], ...]:
    """Those of packages that are loaded: no others can have raised anything."""
    modules = ((sys.modules.get(module), name) for module, name in names)
    return tuple(getattr(module, name) for module, name in modules if hasattr(module, name))
