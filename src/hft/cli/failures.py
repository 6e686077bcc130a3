"""What a user sees when a command fails: one message for a slip, a traceback for a bug of ours."""

from __future__ import annotations

import errno
import os
import sys
import traceback

from hft.errors import HftError
from hft.redaction import redacted

STOPPED_BY_THE_USER = 130

# What a disk or its permissions refuse.
_STORAGE = {errno.EACCES, errno.EDQUOT, errno.ENOSPC, errno.ENOTDIR, errno.EPERM, errno.EROFS}


def exit_status(error: BaseException) -> int:
    """Report a failure on stderr and give the exit status that it means."""
    if isinstance(error, KeyboardInterrupt):
        print("hft: stopped", file=sys.stderr)
        return STOPPED_BY_THE_USER
    if isinstance(error, BrokenPipeError):
        # The reader of our output has gone, as in `hft runs | head`. Nothing more may be written, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    slip = user_error(error)
    if slip is not None:
        print(redacted(f"hft: {slip}"), file=sys.stderr)
        return slip.exit_status if isinstance(slip, HftError) else 1
    print(redacted("".join(traceback.format_exception(error))), end="", file=sys.stderr)
    print(
        "hft: this is a bug of hft, or of a class that the config names. The traceback above says where.",
        file=sys.stderr,
    )
    return 1


def user_error(error: BaseException) -> BaseException | None:
    """What is to be told without a traceback, looked for in the chain of causes; None for a bug."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, HftError):
            return cause
        if isinstance(cause, OSError) and cause.errno in _STORAGE and cause.filename:
            return cause
        cause = cause.__cause__
    return None
