"""The errors that hft raises for users. A message says where, what was found, what is expected, what to do."""

from __future__ import annotations


class HftError(Exception):
    """Base of every error that is shown to a user as one message, without a traceback."""

    exit_status: int = 1


class ConfigError(HftError):
    """The request was wrong: a key, a value, an option. Names the config key."""

    exit_status = 2


class DataError(HftError):
    """The input data cannot be used. Names the file and the line where there is one."""

    exit_status = 2


class DamagedError(DataError):
    """A file is not what hft wrote: a flipped bit, a cut, a change by hand. Names the file and what to do."""


class ModelError(HftError):
    """A model cannot be loaded or is not what was declared. Names the folder or the file."""

    exit_status = 2


class RunNotFoundError(HftError):
    """No run answers to the given folder or id."""

    exit_status = 2


class TrainingError(HftError):
    """The training was tried and did not succeed (a loss that is not a number, a device out of memory)."""


class StorageError(HftError):
    """Something could not be written (a full disk, a folder that is not writable). Nothing half-written stays."""


class ReproductionError(HftError):
    """A run was repeated and does not hold."""


class Terminated(KeyboardInterrupt):
    """The process was told to end, by SIGTERM or SIGHUP: whoever stops in order on Ctrl-C does so on these.

    Args:
        signal: its name.
    """

    def __init__(self, signal: str = "SIGTERM") -> None:
        super().__init__(f"stopped by {signal}")


class OutOfMemoryError(TrainingError):
    """The system gave no more memory."""
