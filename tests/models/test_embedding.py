from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hft.errors import ConfigError, ModelError
from hft.models import TextEmbeddingModel, load_text_model, weights_fingerprint
from hft.models.packed import PackedTexts


@pytest.fixture
def model(tiny_bert: Path) -> TextEmbeddingModel:
    return load_text_model(str(tiny_bert))


def _tokens(model: TextEmbeddingModel, count: int = 40, seed: int = 0) -> list[np.ndarray]:
    """Texts of all lengths; some fill their bucket to the last token."""
    rng = np.random.default_rng(seed)
    lengths = [8, 16, 64, *rng.integers(2, model.items_tower.max_length + 1, count - 3)]
    return [rng.integers(5, 100, length).astype(np.int32) for length in lengths]


def test_a_text_becomes_its_tokens_between_the_special_ones(model: TextEmbeddingModel) -> None:
    (tokens,) = model.tokenize(["Returns the path"], "items")
    names = model.items_tower.tokenizer.convert_ids_to_tokens(tokens.tolist())
    assert names == ["[CLS]", "returns", "the", "path", "[SEP]"]
    assert tokens.dtype == np.int32


def test_a_long_text_is_truncated_to_max_length_and_keeps_its_last_special_token(tiny_bert: Path) -> None:
    model = load_text_model(str(tiny_bert), max_length=10)
    (tokens,) = model.tokenize(["file " * 50], "query")
    assert len(tokens) == 10
    assert tokens[-1] == model.query_tower.tokenizer.sep_token_id


def test_each_side_has_its_own_prompt(tiny_bert: Path) -> None:
    model = load_text_model(str(tiny_bert), query_prompt="a list of ", item_prompt="message : ")
    plain = load_text_model(str(tiny_bert))
    for side, prompted in (("query", "a list of server"), ("items", "message : server")):
        (expected,) = plain.tokenize([prompted], side)
        assert model.tokenize(["server"], side)[0].tolist() == expected.tolist()


@pytest.mark.parametrize("head", [{}, {"pooling": "cls"}, {"pooling": "pooler"}, {"dense_dim": 7}])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_text_has_the_same_vector_to_the_last_bit_whatever_stands_beside_it(
    tiny_bert: Path, head: dict[str, object], threads: int
) -> None:
    model = load_text_model(str(tiny_bert), **head)
    tokens = _tokens(model, count=20)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.no_grad():
            together = model.embed(PackedTexts.of(tokens), "items")
            alone = torch.cat([model.embed(PackedTexts.of([text]), "items") for text in tokens])
            small_chunks = model.embed(PackedTexts.of(tokens), "items", max_tokens=100)
            some = model.embed(PackedTexts.of(tokens[5:17]), "items")
    finally:
        torch.set_num_threads(before)
    assert torch.equal(alone, together)
    assert torch.equal(small_chunks, together)
    assert torch.equal(some, together[5:17])


def test_vectors_have_length_one_unless_normalisation_is_off(tiny_bert: Path) -> None:
    tokens = _tokens(load_text_model(str(tiny_bert)))
    for normalize in (True, False):
        lengths = (
            load_text_model(str(tiny_bert), normalize=normalize).embed(PackedTexts.of(tokens), "query").norm(dim=1)
        )
        assert bool(torch.allclose(lengths, torch.ones(len(tokens)), atol=1e-5)) is normalize


def test_no_texts_give_no_vectors(model: TextEmbeddingModel) -> None:
    assert model.embed(PackedTexts.of([]), "query").shape == (0, 32)
    assert model.encode([], "query").shape == (0, 32)


def test_an_empty_text_has_a_vector(model: TextEmbeddingModel) -> None:
    assert np.isfinite(model.encode([""], "items")).all()


def test_vectors_stay_float32_under_autocast(model: TextEmbeddingModel) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert model.embed(PackedTexts.of(_tokens(model)), "items").dtype == torch.float32


def test_gradients_reach_every_weight_but_the_unused_pooler(model: TextEmbeddingModel) -> None:
    (model.embed(PackedTexts.of(_tokens(model)), "items") @ torch.arange(32.0)).square().sum().backward()
    without = {name for name, parameter in model.named_parameters() if parameter.grad is None}
    assert without == {name for name, _ in model.named_parameters() if ".pooler." in name}


def test_encode_gives_what_embed_gives_and_reports_its_progress(model: TextEmbeddingModel) -> None:
    texts = [f"message {number} " * (1 + number % 9) for number in range(50)]
    done: list[int] = []
    vectors = model.encode(texts, "items", progress=done.append)
    with torch.no_grad():
        expected = model.embed(PackedTexts.of(model.tokenize(texts, "items")), "items").numpy()
    assert vectors.dtype == np.float32
    assert np.array_equal(vectors, expected)
    assert sum(done) == 50


def test_encode_is_without_dropout_and_leaves_each_module_in_its_mode(tiny_bert: Path) -> None:
    model = load_text_model(str(tiny_bert), dropout=0.5).train()
    model.items_tower.projections.eval()
    first, second = model.encode(["a file"], "items"), model.encode(["a file"], "items")
    assert np.array_equal(first, second)
    assert model.items_tower.encoder.training
    assert not model.items_tower.projections.training


def test_dropout_makes_training_random_and_its_absence_exact(tiny_bert: Path) -> None:
    random, exact = (load_text_model(str(tiny_bert), dropout=dropout).train() for dropout in (0.2, 0.0))
    tokens = PackedTexts.of(_tokens(random))
    assert not torch.equal(random.embed(tokens, "items"), random.embed(tokens, "items"))
    assert torch.equal(exact.embed(tokens, "items"), exact.eval().embed(tokens, "items"))


def test_a_loaded_model_is_in_eval_mode(model: TextEmbeddingModel) -> None:
    assert not any(module.training for module in model.modules())


def test_a_shared_tower_is_one_object_and_counts_once(model: TextEmbeddingModel) -> None:
    assert model.shared
    assert model.query_tower is model.items_tower
    assert not any(name.startswith("own_query_tower") for name in model.state_dict())


def test_separate_towers_start_equal_and_move_apart(tiny_bert: Path) -> None:
    model = load_text_model(str(tiny_bert), shared=False)
    tokens = PackedTexts.of(_tokens(model))
    assert not model.shared
    assert torch.equal(model.embed(tokens, "query"), model.embed(tokens, "items"))
    with torch.no_grad():
        for parameter in model.query_tower.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))
    assert not torch.equal(model.embed(tokens, "query"), model.embed(tokens, "items"))
    assert torch.equal(
        model.embed(tokens, "items"),
        load_text_model(str(tiny_bert)).embed(tokens, "items"),
    )


def test_towers_of_different_widths_need_a_dense_layer(tiny_bert: Path, tmp_path: Path) -> None:
    from tiny_models import build_tiny_bert

    other = build_tiny_bert(tmp_path / "wide", hidden=16, layers=3)
    with pytest.raises(ModelError, match=r"32 numbers.*16.*model\.dense_dim"):
        load_text_model(str(tiny_bert), shared=False, items_source=str(other))
    model = load_text_model(str(tiny_bert), shared=False, items_source=str(other), dense_dim=8)
    assert model.dim == 8
    assert model.num_layers == 2


def test_a_shared_tower_with_a_second_source_is_refused(tiny_bert: Path) -> None:
    with pytest.raises(ConfigError, match=r"model\.items_source"):
        load_text_model(str(tiny_bert), items_source=str(tiny_bert))


def test_the_dense_layer_is_drawn_from_the_global_seed(tiny_bert: Path) -> None:
    def drawn(seed: int) -> str:
        torch.manual_seed(seed)
        return load_text_model(str(tiny_bert), dense_dim=8).fingerprint

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_the_fingerprint_names_the_weights_at_loading(model: TextEmbeddingModel, tiny_bert: Path) -> None:
    at_loading = model.fingerprint
    assert load_text_model(str(tiny_bert)).fingerprint == at_loading
    with torch.no_grad():
        next(model.parameters())[0, 0] += 1e-6
    assert weights_fingerprint(model) != at_loading
    assert model.fingerprint == at_loading
