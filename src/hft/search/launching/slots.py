"""What a worker process of a slot has to itself: its share of the processor's cores, and one of the GPUs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
GPU_VARIABLE = "CUDA_VISIBLE_DEVICES"

# nvidia-smi answers within a second; a driver that hangs must not hang the sweep.
_PATIENCE_SECONDS = 20.0


def slot_environment(
    slot: int, slots: int, gpus: list[str], environ: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Environment variables of a slot's worker, to be set before it loads any numeric library.

    Args:
        slot: number of the slot, from 0.
        slots: how many there are.
        gpus: names for CUDA_VISIBLE_DEVICES; slots take turns where there are fewer than slots.
        environ: what the user has set; it is left as it is. None: that of this process.
    """
    environ = os.environ if environ is None else environ
    threads = str(max(1, available_cores() // slots))
    chosen = {name: threads for name in THREAD_VARIABLES if name not in environ}
    if gpus:
        chosen[GPU_VARIABLE] = gpus[slot % len(gpus)]
    return chosen


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def visible_gpus(environ: Mapping[str, str] | None = None) -> list[str]:
    """Names of the GPUs that this process may use, as CUDA_VISIBLE_DEVICES has them.

    Asks torch only where it is loaded already, else nvidia-smi: the sweep's own process has no need of torch.
    """
    environ = os.environ if environ is None else environ
    if GPU_VARIABLE in environ:
        names = [name.strip() for name in environ[GPU_VARIABLE].split(",")]
        return [name for name in names if name not in ("", "-1", "NoDevFiles")]
    torch = sys.modules.get("torch")
    count = int(torch.cuda.device_count()) if torch is not None else _count_by_nvidia_smi()
    return [str(index) for index in range(count)]


def _count_by_nvidia_smi() -> int:
    command = shutil.which("nvidia-smi")
    if command is None:
        return 0
    try:
        done = subprocess.run(
            [command, "--list-gpus"], capture_output=True, text=True, timeout=_PATIENCE_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return sum(line.startswith("GPU ") for line in done.stdout.splitlines()) if done.returncode == 0 else 0
