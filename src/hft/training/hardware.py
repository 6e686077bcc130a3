"""What the machine can do: device and precision."""

from __future__ import annotations

import platform

import torch
import transformers

from hft.errors import ConfigError

# Lightning's words, long and short. Weights in another type than float32 would be saved so as well.
PRECISIONS = {"32": "32-true", "32-true": "32-true", "bf16": "bf16-mixed", "bf16-mixed": "bf16-mixed"}


def resolve_accelerator(accelerator: str) -> str:
    """`cpu` or `cuda` for `auto`, `cpu`, `gpu` and `cuda`.

    Raises:
        ConfigError: a GPU is asked for and there is none, or the word is unknown.
    """
    if accelerator == "cpu":
        return "cpu"
    if accelerator == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if accelerator in ("gpu", "cuda"):
        if not torch.cuda.is_available():
            raise ConfigError(
                f"trainer.accelerator is '{accelerator}', but torch sees no GPU here. Use trainer=auto or trainer=cpu, "
                "or install a build of torch for your GPU."
            )
        return "cuda"
    raise ConfigError(f"trainer.accelerator is '{accelerator}'. Allowed: auto, cpu, gpu.")


def resolve_precision(precision: str | int, accelerator: str) -> str:
    """Lightning's precision for `auto`: bf16-mixed where the hardware multiplies bf16 natively, else 32-true.

    Elsewhere bf16 is emulated and slower than fp32.

    Raises:
        ConfigError: a precision that hft does not train in.
    """
    if precision == "auto":
        native = torch.cuda.get_device_capability()[0] >= 8 if accelerator == "cuda" else cpu_has_bf16()
        return "bf16-mixed" if native else "32-true"
    if str(precision) not in PRECISIONS:
        raise ConfigError(
            f"trainer.precision is '{precision}'. Allowed: auto, bf16-mixed, 32-true. Weights stay in float32 and fp16 "
            "is not offered: bf16 is as fast, and needs no scaling of the loss."
        )
    return PRECISIONS[str(precision)]


def cpu_has_bf16() -> bool:
    """Whether this CPU has bf16 matrix instructions (AVX512-BF16 or AMX-BF16)."""
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def rounding_of(device: torch.device) -> list[object]:
    """What decides the last bits of a result beside the model: the processor, libraries, threads and switches."""
    versions = [torch.__version__, transformers.__version__]
    flags = [torch.are_deterministic_algorithms_enabled(), torch.get_float32_matmul_precision()]
    if device.type == "cuda":
        cudnn = torch.backends.cudnn
        return [*versions, *flags, torch.cuda.get_device_name(device), cudnn.benchmark, cudnn.deterministic]
    capability, threads = torch.backends.cpu.get_cpu_capability(), torch.get_num_threads()
    return [*versions, *flags, platform.machine(), capability, threads, torch.backends.mkldnn.enabled]
