"""What a user sees when a command fails: one message for a slip, a traceback for a bug of ours."""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback

from hft.errors import HftError, Terminated
from hft.memory import out_of_memory
from hft.redaction import redacted
from hft.stopping import exit_status_of, received, stopped_line

# What a disk or its permissions refuse.
_STORAGE = {errno.EACCES, errno.EDQUOT, errno.ENOSPC, errno.ENOTDIR, errno.EPERM, errno.EROFS}


def exit_status(error: BaseException) -> int:
    """Report a failure on stderr and give the exit status that it means."""
    stopped = received()
    if isinstance(error, KeyboardInterrupt) or stopped is not None:
        stopped = stopped or (signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT)
        print(stopped_line(stopped), file=sys.stderr)
        return exit_status_of(stopped)
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
    if (memory := out_of_memory(error)) is not None:
        return memory
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, HftError):
            return cause
        if isinstance(cause, OSError) and cause.errno in _STORAGE and cause.filename:
            return cause
        cause = cause.__cause__
    return None
