"""Claim: padding each text to its own length bucket trains at least twice as fast as padding to the batch's longest.

    python benchmarks/length_buckets.py [threads]

Forward and backward of the packaged MiniLM in bf16 autocast over a batch of 64 texts with a mean of about 78 tokens;
prints tokens (without padding) a second of both ways, and the ratio. Run it on an idle machine.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from hft.models import TextEmbeddingModel, load_text_model

TEXTS = 64
BATCHES = 3
REPEATS = 3


def draw_batch(rng: np.random.Generator) -> list[np.ndarray]:
    """Texts with lengths as in the documentation data: log-normal, 6 to 256 tokens."""
    lengths = np.clip(rng.lognormal(np.log(62), 0.7, TEXTS), 6, 256).astype(np.int64)
    return [rng.integers(1000, 30000, length).astype(np.int32) for length in lengths]


def pad_to_longest(model: TextEmbeddingModel, tokens: list[np.ndarray]) -> Tensor:
    """The usual way: one matrix as wide as the longest text."""
    lengths = torch.tensor([len(text) for text in tokens])
    mask = torch.arange(int(lengths.max())) < lengths[:, None]
    ids = torch.zeros(mask.shape, dtype=torch.int64)
    ids[mask] = torch.from_numpy(np.concatenate(tokens)).long()
    hidden = model.items_tower.encoder(input_ids=ids, attention_mask=mask.long()).last_hidden_state.float()
    mean = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    return torch.nn.functional.normalize(mean, dim=-1)


def tokens_a_second(embed: Callable[[list[np.ndarray]], Tensor], batches: list[list[np.ndarray]]) -> float:
    """Best of some repeats, after one batch to warm up."""
    seconds = []
    for repeat in range(REPEATS + 1):
        start = time.perf_counter()
        for tokens in batches[: 1 if repeat == 0 else None]:
            with torch.autocast("cpu", torch.bfloat16):
                vectors = embed(tokens)
                loss = (vectors @ vectors.T).float().sum()
            loss.backward()
        if repeat:
            seconds.append(time.perf_counter() - start)
    return sum(len(text) for tokens in batches for text in tokens) / min(seconds)


def main() -> None:
    torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
    model = load_text_model(dropout=0.0).train()
    rng = np.random.default_rng(0)
    batches = [draw_batch(rng) for _ in range(BATCHES)]
    buckets = tokens_a_second(lambda tokens: model.embed(tokens, "items"), batches)
    longest = tokens_a_second(lambda tokens: pad_to_longest(model, tokens), batches)
    print(f"length buckets {buckets:,.0f} tokens/s, padded to longest {longest:,.0f}: ratio {buckets / longest:.2f}")


if __name__ == "__main__":
    main()
