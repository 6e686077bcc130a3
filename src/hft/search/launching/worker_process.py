"""A worker process of a sweep: imports once, then runs one Hydra job after another, as it is told over a pipe.

Imports nothing of weight: the environment of its slot must stand before any numeric library is loaded.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hft.errors import Terminated

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from hydra.core.utils import JobReturn
    from hydra.types import HydraContext, TaskFunction
    from omegaconf import DictConfig

    from hft.search.launching.job_outcome import Expected

# In the folder of each trial: what it wrote to stdout and stderr.
OUTPUT = "output.log"

READY = "ready"
UNUSABLE = "unusable"
FINISHED = "finished"

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Work:
    """What a worker needs to run jobs; pickled by value, so that the app's own script need not be imported.

    Args:
        hydra_context, task_function, config: of the sweep.
        singletons: state of Hydra's singletons in the sweep's process.
        expected: what a job is to return; None: whole JobReturns are wanted instead of outcomes.
    """

    hydra_context: HydraContext
    task_function: TaskFunction
    config: DictConfig
    singletons: Any
    expected: Expected | None

    def set_up(self) -> None:
        """Bring Hydra into the state that it has in the sweep's process."""
        from hydra.core.singleton import Singleton
        from hydra.core.utils import setup_globals

        Singleton.set_state(self.singletons)
        setup_globals()
        _publish_main(self.task_function)

    def run(self, number: int, overrides: Sequence[str]) -> bytes:
        """Run a job; how it ended, pickled: an Outcome, or a JobReturn where nothing is expected."""
        import cloudpickle

        from hft.search.launching.job_outcome import keep_traceback, outcome_of_error, outcome_of_job

        started = time.monotonic()
        try:
            job = self._job(number, overrides)
        except (Exception, SystemExit) as error:
            if self.expected is None:
                return bytes(cloudpickle.dumps(_portable(error)))
            traceback.print_exception(error)
            return bytes(cloudpickle.dumps(replace(outcome_of_error(error), error=None)))
        if self.expected is None:
            return _pickled_return(job)
        outcome = outcome_of_job(job, self.expected, time.monotonic() - started)
        keep_traceback(outcome)
        return bytes(cloudpickle.dumps(replace(outcome, error=None)))

    def _job(self, number: int, overrides: Sequence[str]) -> JobReturn:
        from hydra.core.hydra_config import HydraConfig
        from hydra.core.utils import run_job
        from omegaconf import OmegaConf, open_dict

        config = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
        with open_dict(config):
            config.hydra.job.id = number
            config.hydra.job.num = number
        HydraConfig.instance().set_config(config)
        folder = Path(
            str(OmegaConf.select(config, "hydra.sweep.dir")), str(OmegaConf.select(config, "hydra.sweep.subdir"))
        )
        with _output_to(folder / OUTPUT):
            return run_job(
                hydra_context=self.hydra_context,
                task_function=self.task_function,
                config=config,
                job_dir_key="hydra.sweep.dir",
                job_subdir_key="hydra.sweep.subdir",
            )


def serve(connection: Connection, work: bytes, environment: dict[str, str], log: str, parent: int) -> None:
    """Main function of the process.

    Args:
        connection: gives (number, overrides) or None to end; takes (READY | UNUSABLE, text) once, then
            (FINISHED, pickled end of the job).
        work: a pickled Work.
        environment: variables of the slot.
        log: file for what is written outside of any job.
        parent: process id of the sweep.
    """
    try:
        _end_with(parent)
        _interrupt_only_by_the_sweep()
        os.environ.update(environment)
        _redirect(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666))
        job = _usable(connection, work)
        while job is not None and (message := connection.recv()) is not None:
            number, overrides = message
            connection.send((FINISHED, job.run(number, overrides)))
    except (KeyboardInterrupt, EOFError, BrokenPipeError, ConnectionResetError):
        # The sweep has stopped, or is gone: nobody is there to be told.
        return


def _usable(connection: Connection, work: bytes) -> Work | None:
    try:
        import cloudpickle

        job: Work = cloudpickle.loads(work)
        job.set_up()
    except Exception as error:
        traceback.print_exc()
        connection.send((UNUSABLE, f"{type(error).__name__}: {error}"))
        return None
    connection.send((READY, None))
    return job


def _publish_main(task: TaskFunction) -> None:
    """Classes and functions of the app's script travel by value; what they pickle in turn (a saved model, say) is
    looked up in `__main__`, so they are put there."""
    scope = getattr(task, "__globals__", {})
    if scope.get("__name__") == "__main__":
        for name, value in scope.items():
            if not name.startswith("__"):
                vars(sys.modules["__main__"]).setdefault(name, value)


def _pickled_return(job: JobReturn) -> bytes:
    """A JobReturn that can be read in the other process: an error or value that cannot travel goes as its text."""
    import cloudpickle
    from hydra.core.utils import JobStatus

    try:
        pickled = cloudpickle.dumps(job)
        cloudpickle.loads(pickled)
    except Exception:
        from hft.search.launching.job_outcome import error_of_job

        failed = job.status == JobStatus.FAILED
        job.return_value = _portable(error_of_job(job)) if failed else repr(job.return_value)
        pickled = cloudpickle.dumps(job)
    return bytes(pickled)


def _portable(error: BaseException) -> BaseException:
    import cloudpickle

    try:
        cloudpickle.loads(cloudpickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


@contextlib.contextmanager
def _output_to(path: Path) -> Iterator[None]:
    """Everything that is written to stdout and stderr within the block goes to a file, native libraries' too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    before = os.dup(1)
    _redirect(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666))
    try:
        yield
    finally:
        _redirect(before)


def _redirect(descriptor: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


def _interrupt_only_by_the_sweep() -> None:
    """Ctrl-C in the terminal reaches the whole group: the sweep hears it, and tells its workers by SIGTERM."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)
    if hasattr(signal, "pthread_sigmask"):
        # The sweep starts its workers with the signal held back, or one that is just starting would print a traceback.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _stop(number: int, frame: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Terminated


def _end_with(parent: int) -> None:
    """End this process at once when the sweep's process ends, in whatever way that is."""
    if sys.platform == "linux":
        import ctypes

        # The kernel sees to it even where this process is stuck in native code that holds the interpreter's lock.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    threading.Thread(target=_wait_for_the_end_of_the_parent, name="end with the sweep", daemon=True).start()
    if os.getppid() != parent:
        os._exit(1)


def _wait_for_the_end_of_the_parent() -> None:
    from multiprocessing import connection, parent_process

    process = parent_process()
    if process is not None:
        connection.wait([process.sentinel])
        os._exit(1)
