from __future__ import annotations

import numpy as np
import pytest

from hft.models.buckets import LengthBuckets


@pytest.mark.parametrize(
    ("length", "padded"), [(1, 8), (8, 8), (9, 16), (63, 64), (64, 64), (65, 80), (128, 128), (129, 160), (256, 256)]
)
def test_a_text_is_padded_to_the_next_bucket(length: int, padded: int) -> None:
    assert LengthBuckets(256, 512).padded(np.array([length])).tolist() == [padded]


def test_the_last_bucket_never_exceeds_what_the_encoder_takes() -> None:
    assert LengthBuckets(30, 30).padded(np.array([25, 30])).tolist() == [30, 30]
    assert LengthBuckets(30, 31).padded(np.array([30])).tolist() == [31]
    assert LengthBuckets(30, 512).padded(np.array([30])).tolist() == [32]


def test_buckets_waste_less_than_a_seventh_on_texts_of_usual_lengths() -> None:
    lengths = np.clip(np.random.default_rng(0).lognormal(np.log(62), 0.7, 10_000), 6, 256).astype(np.int64)
    assert LengthBuckets(256, 512).padded(lengths).sum() / lengths.sum() < 8 / 7


def test_chunks_hold_every_text_once_and_stay_within_the_budget() -> None:
    lengths = np.random.default_rng(0).integers(1, 257, 500)
    buckets = LengthBuckets(256, 512)
    chunks = buckets.chunks(lengths, max_tokens=1024)
    assert sorted(np.concatenate([chunk.rows for chunk in chunks]).tolist()) == list(range(500))
    for chunk in chunks:
        assert chunk.length * len(chunk.rows) <= 1024
        assert set(buckets.padded(lengths[chunk.rows]).tolist()) == {chunk.length}


def test_a_text_longer_than_the_budget_still_gets_its_chunk() -> None:
    (chunk,) = LengthBuckets(256, 512).chunks(np.array([200]), max_tokens=64)
    assert chunk.rows.tolist() == [0]
