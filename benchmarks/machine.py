"""What a benchmark ran on.

    python benchmarks/machine.py

Prints the machine, the versions and the date, as the head of RESULTS.md has them.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

PACKAGES = (
    "hft",
    "torch",
    "pytorch-lightning",
    "transformers",
    "tokenizers",
    "sentence-transformers",
    "accelerate",
    "datasets",
)


ProcessorKind = Literal["AMX", "AVX512-BF16", "no native bf16"]


def processor_kind() -> ProcessorKind:
    """How this processor multiplies bf16 matrices, by its flags: what the speed of training hangs on most.

    In tiles of registers (AMX), in vectors at twice the rate of float32 (AVX512-BF16), or not at all.
    """
    import torch

    capabilities = torch.cpu.get_capabilities()
    if capabilities.get("amx_bf16"):
        return "AMX"
    return "AVX512-BF16" if capabilities.get("avx512_bf16") else "no native bf16"


def machine_lines(threads: int | None = None) -> Iterator[str]:
    """Machine, versions and date, a line each.

    Args:
        threads: CPU threads that the benchmark asks for; None: as torch chooses.
    """
    import torch

    chosen = threads or torch.get_num_threads()
    told = f"{_processor()}, {processor_kind()}, {os.cpu_count()} logical cores, {chosen} threads, {platform.system()}"
    yield f"machine: {told}"
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        yield f"accelerator: {properties.name}, {properties.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}"
    yield f"versions: Python {platform.python_version()}, " + ", ".join(_versions())
    yield f"date: {date.today().isoformat()}"


def _versions() -> Iterator[str]:
    for package in PACKAGES:
        try:
            yield f"{package} {version(package)}"
        except PackageNotFoundError:
            yield f"no {package}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def print_machine(threads: int | None = None) -> None:
    """Prints the lines."""
    for line in machine_lines(threads):
        print(line, flush=True)


if __name__ == "__main__":
    print_machine()
