"""A name for weights: the same for the same numbers, whatever file they came from."""

from __future__ import annotations

import hashlib

import torch
from torch import nn

__all__ = ["weights_fingerprint"]


def weights_fingerprint(model: nn.Module) -> str:
    """SHA-256 (hexadecimal) over the sorted (name, dtype, shape, bytes) of a module's state."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        value = tensor.detach().cpu().contiguous()
        digest.update(f"{name}\0{value.dtype}\0{tuple(value.shape)}\n".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
