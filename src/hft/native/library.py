"""Compiles the kernels in C for this processor, once for a user and a machine, and loads them."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import logging
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

# Loaded first, so that the kernels share torch's OpenMP and its threads.
import torch  # noqa: F401

from hft.native.kernels import Kernels

__all__ = ["NativeUnavailableError", "fingerprint_here", "kernels_here"]

_NAMES = ("kernels.c", "attention.c", "linear.c", "weights.c", "scratch.c")
_SOURCES = tuple(Path(__file__).with_name(name) for name in _NAMES)
_HEADERS = tuple(Path(__file__).with_name(name) for name in ("numbers.h", "scratch.h", "tiles.h", "vectors.h"))
_COMPILERS = ("gcc", "cc", "clang")
_FLAGS = ("-O3", "-march=native", "-fopenmp", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC")
_FLAGS_OF = {"x86_64": ("-mprefer-vector-width=512",)}
_CPU_INFO = Path("/proc/cpuinfo")
# Of a compiler, which takes two, before it is given up.
_SECONDS = 120
_DIGEST_BYTES = hashlib.sha256().digest_size

log = logging.getLogger(__name__)


class NativeUnavailableError(Exception):
    """There are no kernels in C here; the message says why, without a full stop."""


def kernels_here() -> Kernels:
    """The compiled kernels; a user's first call on a machine compiles them, in some four seconds.

    They are kept in `hft/kernels` in the user's cache folder (XDG_CACHE_HOME, or ~/.cache), each file with its SHA-256
    behind it; one that is damaged is compiled anew.

    Raises:
        NativeUnavailableError: there are none here.
    """
    found = _found()
    if isinstance(found, str):
        raise NativeUnavailableError(found)
    return found


def fingerprint_here() -> str | None:
    """What the compiled kernels are known by: others may round in other places. None: there are none here."""
    found = _found()
    return None if isinstance(found, str) else found.fingerprint


@functools.cache
def _found() -> Kernels | str:
    """The kernels, or why there are none."""
    if sys.platform != "linux":
        return f"they are compiled on Linux only, not on {platform.system()}"
    try:
        return _kept()
    except NativeUnavailableError as reason:
        return str(reason)
    except OSError as error:
        return f"they cannot be compiled or loaded ({error})"


def _kept() -> Kernels:
    flags = (*_FLAGS, *_FLAGS_OF.get(platform.machine(), ()))
    name = f"{_fingerprint(flags)}.sealed.so"
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hft" / "kernels"
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / name
        if target.is_file():
            if _is_whole(target):
                with suppress(OSError):  # of another system: compiled anew
                    return _loaded(target)
            else:
                log.warning("%s: is damaged; the kernels are compiled anew", target)
        with tempfile.TemporaryDirectory(prefix=".partial-", dir=folder) as partial:
            compiled = _compiled(flags, Path(partial) / name)
            with compiled.open("r+b") as file:  # what follows a library's sections is not loaded
                content = file.read()
                file.write(hashlib.sha256(content).digest())
                file.flush()
                os.fsync(file.fileno())
            os.replace(compiled, target)
        return _loaded(target)
    except (OSError, RuntimeError) as error:  # no home, or a folder that cannot be written to or loaded from
        log.info("kernels cannot be kept in the user's cache folder (%s); compiled for this process alone", error)
        with tempfile.TemporaryDirectory(prefix="hft-kernels-") as of_process:
            return _loaded(_compiled(flags, Path(of_process) / name))


def _loaded(path: Path) -> Kernels:
    return Kernels(ctypes.CDLL(str(path)), hashlib.sha256(path.read_bytes()).hexdigest()[:16])


def _is_whole(path: Path) -> bool:
    content = path.read_bytes()
    return hashlib.sha256(content[:-_DIGEST_BYTES]).digest() == content[-_DIGEST_BYTES:]


def _fingerprint(flags: tuple[str, ...]) -> str:
    """Of the sources, of how it is compiled, and of the instructions that the processor has."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in (*_SOURCES, *_HEADERS)))
    digest.update("\0".join((*flags, platform.machine(), _instructions())).encode())
    return digest.hexdigest()[:32]


def _instructions() -> str:
    try:
        lines = _CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.lower().startswith(("flags", "features"))), "")


def _compiled(flags: tuple[str, ...], target: Path) -> Path:
    wanted = os.environ.get("CC")
    choices = [shlex.split(wanted)] if wanted else [[name] for name in _COMPILERS]
    compiler = next((choice for choice in choices if choice and shutil.which(choice[0])), None)
    if compiler is None:
        looked_for = f"CC={wanted}" if wanted else f"{', '.join(_COMPILERS)} and the variable CC"
        raise NativeUnavailableError(f"there is no C compiler (looked for {looked_for})")
    command = [*compiler, *flags, "-o", str(target), *map(str, _SOURCES), "-lm"]
    try:
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise NativeUnavailableError(f"{compiler[0]} did not compile them ({error})") from error
    if done.returncode:
        said = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr.strip()[:200])
        raise NativeUnavailableError(f"{compiler[0]} did not compile them ({said.strip()})")
    return target
