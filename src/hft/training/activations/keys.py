"""Keys of what layers give: all that decides its numbers beside the text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b

import torch
from torch import Tensor

from hft.models.layers import parameters_by_place
from hft.models.towers import TextTower
from hft.stores import digest
from hft.training.hardware import rounding_of

__all__ = ["LayerHashes", "entry_key", "layer_hashes"]

# Of a config, what does not reach the numbers of layers without dropout.
_NO_NUMBERS = ("dropout", "pdrop", "_name_or_path", "transformers_version", "architectures", "id2label", "label2id")


@dataclass(frozen=True)
class LayerHashes:
    """Hashes of an encoder's weights.

    Args:
        up_to: layers + 1 of them: of all that feeds the layers and of the first 0, 1, ... layers.
        whole: of the last one and what stands after the layers.
    """

    up_to: tuple[str, ...]
    whole: str


def layer_hashes(tower: TextTower) -> LayerHashes:
    """Hashes of a tower's encoder as it is now; about a second for a gigabyte.

    Raises:
        ModelError: its layers cannot be told apart.
    """
    before, layers, after = parameters_by_place(tower.encoder)
    config = tower.config.to_dict()
    decides = {name: config[name] for name in sorted(config) if not any(part in name for part in _NO_NUMBERS)}
    up_to = [digest(json.dumps(decides, default=str), _hash(before))]
    for layer in layers:
        up_to.append(digest(up_to[-1], _hash(layer)))
    return LayerHashes(tuple(up_to), digest(up_to[-1], _hash(after)))


def entry_key(tower: TextTower, hashes: LayerHashes, cut: int, *, is_pooled: bool, precision: str) -> str | None:
    """The key of an entry; None where nobody can tell what decides the tokens of a text.

    The same layers give other last bits on another processor, with other libraries and another number of threads.

    Args:
        tower: whose layers.
        hashes: of its weights.
        cut: after so many layers.
        is_pooled: whether pooled vectors are kept; their key covers the pooling.
        precision: Lightning's word.
    """
    tokens = tower.tokenizer_key
    if tokens is None:
        return None
    weights = digest(hashes.whole, repr(tower.pooling)) if is_pooled else hashes.up_to[cut]
    computed = [tower.compute.name, precision, *rounding_of(tower.device)]
    return digest(weights, tokens, json.dumps([tower.buckets.padded_lengths, tower.pad_id, *computed]))


def _hash(tensors: Mapping[str, Tensor]) -> bytes:
    found = blake2b(digest_size=16)
    for name, tensor in sorted(tensors.items()):
        value = tensor.detach().cpu().contiguous()
        found.update(f"{name}\0{value.dtype}\0{tuple(value.shape)}\n".encode())
        found.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return found.digest()
