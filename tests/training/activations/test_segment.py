"""A segment is found whole or not at all, and its rows by the keys of texts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hft.models.packed import PackedTexts
from hft.stores import text_keys
from hft.training.activations.segment import Segment, SegmentWriter, open_segment, segment_bytes
from hft.training.activations.store import ActivationStore

TEXTS = ("a film", "the server", "one night in a cinema", "path")
LENGTHS = np.array([4, 4, 7, 3])
WIDTH = 6


def write(path: Path, texts: tuple[str, ...] = TEXTS, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Writes a segment in two blocks; the rows that it holds."""
    lengths = LENGTHS[[TEXTS.index(text) for text in texts]]
    rows = torch.randn(int(lengths.sum()), WIDTH, generator=torch.Generator().manual_seed(len(texts)))
    with SegmentWriter(path, text_keys(texts), lengths, WIDTH, dtype, torch.float32) as writer:
        for block in rows.split(5):
            writer.write(block)
    return rows


def tokens_of(*texts: str) -> PackedTexts:
    lengths = LENGTHS[[TEXTS.index(text) for text in texts]]
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    return PackedTexts(np.zeros(offsets[-1], dtype=np.int32), offsets, text_keys(texts))


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    rows = write(tmp_path / "segment")
    segment = open_segment(tmp_path / "segment")
    assert torch.equal(segment.values, rows)
    assert segment.offsets.tolist() == [0, 4, 8, 15, 18]
    assert abs((tmp_path / "segment").stat().st_size - segment_bytes(4, 18, WIDTH, torch.float32)) < 512


def test_bf16_is_kept_in_half_the_bytes_and_read_in_the_type_of_the_layers(tmp_path: Path) -> None:
    rows = write(tmp_path / "segment", dtype=torch.bfloat16)
    store = ActivationStore([open_segment(tmp_path / "segment")], 1)
    found = store.hidden(tokens_of("path"), 3, torch.device("cpu"))
    assert found is not None
    assert torch.equal(found[0], rows[15:].to(torch.bfloat16).float())


def test_a_batch_has_each_text_at_its_place_and_its_last_token_past_its_end(tmp_path: Path) -> None:
    rows = write(tmp_path / "segment")
    store = ActivationStore([open_segment(tmp_path / "segment")], 1)
    found = store.hidden(tokens_of("path", "a film", "path"), 5, torch.device("cpu"))
    assert found is not None
    assert torch.equal(found[0], rows[[15, 16, 17, 17, 17]])
    assert torch.equal(found[1], rows[[0, 1, 2, 3, 3]])
    assert torch.equal(found[2], found[0])


def test_texts_of_several_segments_stand_in_one_batch(tmp_path: Path) -> None:
    first, second = write(tmp_path / "1", TEXTS[:2]), write(tmp_path / "2", TEXTS[2:])
    store = ActivationStore([open_segment(tmp_path / name) for name in ("1", "2")], 1)
    found = store.hidden(tokens_of("path", "the server"), 4, torch.device("cpu"))
    assert found is not None
    assert torch.equal(found[0], second[[7, 8, 9, 9]])
    assert torch.equal(found[1], first[4:])


def test_pooled_vectors_have_a_row_a_text(tmp_path: Path) -> None:
    vectors = torch.randn(4, WIDTH)
    ones = np.ones(4, dtype=np.int64)
    with SegmentWriter(tmp_path / "segment", text_keys(TEXTS), ones, WIDTH, torch.float32, torch.float32) as writer:
        writer.write(vectors)
    store = ActivationStore([open_segment(tmp_path / "segment")], 2, is_pooled=True)
    found = store.pooled(tokens_of("path", "a film"), torch.device("cpu"))
    assert found is not None
    assert torch.equal(found, vectors[[3, 0]])
    assert store.hidden(tokens_of("path"), 8, torch.device("cpu")) is None


def test_a_text_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    write(tmp_path / "segment", TEXTS[:2])
    store = ActivationStore([open_segment(tmp_path / "segment")], 1)
    tokens = tokens_of("a film", "path")
    assert store.has(tokens).tolist() == [True, False]
    assert store.hidden(tokens, 8, torch.device("cpu")) is None
    assert ActivationStore([], 1).has(tokens).tolist() == [False, False]


def test_a_text_of_another_length_is_another_text(tmp_path: Path) -> None:
    write(tmp_path / "segment")
    tokens = tokens_of("a film")
    longer = PackedTexts(np.zeros(5, dtype=np.int32), np.array([0, 5]), tokens.keys)
    assert not ActivationStore([open_segment(tmp_path / "segment")], 1).has(longer).any()


@pytest.mark.parametrize("keep", [0, 7, 20, 100, -1])
def test_a_file_that_was_cut_is_refused(tmp_path: Path, keep: int) -> None:
    write(tmp_path / "segment")
    content = (tmp_path / "segment").read_bytes()
    (tmp_path / "segment").write_bytes(content[:keep])
    with pytest.raises(ValueError, match=r"\w"):
        open_segment(tmp_path / "segment")


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "segment").write_bytes(b"PK\x03\x04" * 100)
    with pytest.raises(ValueError, match="begin"):
        open_segment(tmp_path / "segment")


def test_rows_too_few_or_too_many_are_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="not written"),
        SegmentWriter(tmp_path / "1", text_keys(TEXTS), LENGTHS, WIDTH, torch.float32, torch.float32) as writer,
    ):
        writer.write(torch.zeros(3, WIDTH))
    with SegmentWriter(tmp_path / "2", text_keys(TEXTS), LENGTHS, WIDTH, torch.float32, torch.float32) as writer:
        with pytest.raises(ValueError, match="missing"):
            writer.write(torch.zeros(19, WIDTH))
        writer.write(torch.zeros(18, WIDTH))


def test_what_is_written_into_a_batch_stays_out_of_the_file(tmp_path: Path) -> None:
    rows = write(tmp_path / "segment")
    segment: Segment = open_segment(tmp_path / "segment")
    segment.values.zero_()
    assert torch.equal(open_segment(tmp_path / "segment").values, rows)
