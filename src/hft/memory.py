"""What it looks like when the system gives no more memory: libraries say it in types and words of their own."""

from __future__ import annotations

import errno
import sys

from hft.errors import OutOfMemoryError

__all__ = ["out_of_memory"]

# torch, libc's loader and std::bad_alloc say it in a RuntimeError, an OSError without a number or an ImportError.
_WORDS = (
    "not enough memory",
    "cannot allocate memory",
    "can't allocate memory",
    "out of memory",
    "bad_alloc",
    "failed to map segment",
    "can't start new thread",
    "malloc of size",
)
_LOWER = (
    "What takes less: settings.batch_size, model.max_length, compute.token_budget and compute.graph_tokens lower, "
    "compute.gradient_checkpointing=true, params.num_fixed_layers higher; for the data data.limit_sessions or "
    "data.validation_pool; for a sweep search.n_parallel lower."
)


def out_of_memory(error: BaseException) -> OutOfMemoryError | None:
    """The one error to show where a want of memory is what ended it; None: it is not.

    Args:
        error: with its causes and contexts, in which the want may be wrapped.
    """
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        if isinstance(cause, OutOfMemoryError):
            return cause
        if _is_want_of_memory(cause):
            told = " ".join(str(cause).split())
            found = f" ({told[:200]})" if told else ""
            return OutOfMemoryError(f"out of memory{found}.{_limit()} {_LOWER}")
        seen.add(id(cause))
        cause = cause.__cause__ or cause.__context__
    return None


def _is_want_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno == errno.ENOMEM
    if isinstance(error, RuntimeError | ImportError | OSError):  # torch has but this type for it
        return any(word in str(error).lower() for word in _WORDS)
    return False


def _limit() -> str:
    if sys.platform == "win32":
        return ""
    import resource

    most = resource.getrlimit(resource.RLIMIT_AS)[0]
    if most == resource.RLIM_INFINITY:
        return ""
    return f" This process may have {most / 2**30:.1f} GiB (ulimit -v): raise it, or do with less."
