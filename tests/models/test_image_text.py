"""The text-to-picture model: it embeds as transformers' CLIP does, is saved as one, and refuses what is none."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from hft.errors import ConfigError, DataError, ModelError, StorageError
from hft.models import ImageTextModel, build_clip, load_clip, load_saved_model, load_text_model
from hft.models.caption_words import SPECIAL, caption_tokenizer
from hft.models.packed import PackedTexts
from hft.models.picture_changes import PictureChanges
from hft.models.pictures import PackedPictures, PicturePreparation
from hft.settings import ComputeSettings
from tiny_models import write_tiny_clip
from tolerances import rounding

# Two layers of six products, an embedding before and a projection behind them; a patch has 192 numbers.
ONE_PASS = rounding(terms=192, sums=14)
TEXTS = ["the absolute path", "Which films?", "a list of numbers, sorted from the smallest to the largest one"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_clip(tmp_path_factory.mktemp("clip") / "model")


@pytest.fixture
def model(folder: Path) -> ImageTextModel:
    return load_clip(str(folder))


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    files = []
    for number, shape in enumerate([(24, 24), (50, 31), (31, 77)]):
        files.append(tmp_path / f"{number}.png")
        Image.fromarray(rng.integers(0, 256, (*shape, 3), dtype=np.uint8)).save(files[-1])
    return files


def small(**changes: Any) -> ImageTextModel:
    sizes = {"image_size": 16, "patch_size": 8, "vision_layers": 2, "text_layers": 2, "dim": 8}
    widths = {"vision_width": 16, "text_width": 16, "vocabulary_size": 256}
    torch.manual_seed(0)
    return build_clip(**{**sizes, **widths, **changes})


def weights(model: ImageTextModel) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_it_embeds_as_transformers_does(folder: Path, model: ImageTextModel, pictures: list[Path]) -> None:
    from transformers import AutoTokenizer, CLIPModel

    reference: Any = CLIPModel.from_pretrained(folder).eval()
    tokens = AutoTokenizer.from_pretrained(folder)(TEXTS, padding=True, truncation=True, return_tensors="pt")
    pixels = np.stack([model.items_tower.preparation.pixels(file) for file in pictures])
    shown = (torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - model.items_tower.mean) / model.items_tower.std
    with torch.no_grad():
        found = reference(input_ids=tokens["input_ids"], pixel_values=shown)
    ours = model.encode(TEXTS, "query"), model.encode([str(file) for file in pictures], "items")
    np.testing.assert_allclose(ours[0], found.text_embeds.numpy(), rtol=0, atol=ONE_PASS)
    np.testing.assert_allclose(ours[1], found.image_embeds.numpy(), rtol=0, atol=ONE_PASS)


def test_pictures_are_prepared_as_transformers_does(pictures: list[Path]) -> None:
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    processor = CLIPImageProcessorPil(size={"shortest_edge": 30}, crop_size={"height": 24, "width": 24})
    preparation = PicturePreparation(24, 30)
    for file in pictures:
        theirs = processor(Image.open(file), return_tensors="np", do_normalize=False, do_rescale=False)
        expected = np.asarray(theirs["pixel_values"][0]).transpose(1, 2, 0)
        np.testing.assert_array_equal(preparation.pixels(file), expected.round().astype(np.uint8))


def test_what_is_transparent_shows_the_background(tmp_path: Path) -> None:
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert (PicturePreparation(8, 8).pixels(tmp_path / "clear.png") == 255).all()
    black = PicturePreparation(8, 8, background=(0, 0, 0)).pixels(tmp_path / "clear.png")
    assert (black == 0).all()


def test_a_file_that_is_no_picture_is_named(tmp_path: Path, model: ImageTextModel) -> None:
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(DataError, match=r"text\.png"):
        model.encode([str(tmp_path / "text.png")], "items")
    with pytest.raises(DataError, match="no such picture"):
        model.encode([str(tmp_path / "gone.png")], "items")


def test_a_vector_does_not_depend_on_its_neighbours_or_the_budget(model: ImageTextModel, pictures: list[Path]) -> None:
    together = model.encode(TEXTS, "query")
    alone = np.concatenate([model.encode([text], "query") for text in TEXTS])
    np.testing.assert_allclose(together, alone, rtol=0, atol=ONE_PASS)
    packed = PackedPictures(np.stack([model.items_tower.preparation.pixels(file) for file in pictures]))
    with torch.no_grad():
        whole, pieces = model.embed(packed, "items"), model.embed(packed, "items", max_tokens=1)
    torch.testing.assert_close(whole, pieces, atol=ONE_PASS, rtol=0)


def test_gradients_are_the_same_where_activations_are_computed_again(
    model: ImageTextModel, pictures: list[Path]
) -> None:
    texts = PackedTexts.of(model.tokenize(TEXTS, "query"))
    packed = PackedPictures(np.stack([model.items_tower.preparation.pixels(file) for file in pictures]))

    def gradients(graph_tokens: int | None) -> list[torch.Tensor]:
        model.budget.graph_tokens = graph_tokens
        model.zero_grad()
        queries, items = model.embed_step(texts, packed)
        (queries @ items.T).square().sum().backward()
        return [weight.grad.clone() for weight in model.parameters() if weight.grad is not None]

    for kept, again in zip(gradients(None), gradients(0), strict=True):
        torch.testing.assert_close(kept, again, atol=2 * ONE_PASS * float(kept.abs().max()), rtol=0)


def test_it_is_saved_as_a_clip_that_loads_to_the_same_numbers(
    tmp_path: Path, model: ImageTextModel, pictures: list[Path]
) -> None:
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.01)
    model.save(tmp_path / "saved")
    assert not list((tmp_path / "saved").glob("*.bin"))
    again = load_saved_model(tmp_path / "saved")
    assert isinstance(again, ImageTextModel)
    assert weights(again).keys() == weights(model).keys()
    assert all(torch.equal(value, weights(model)[name]) for name, value in weights(again).items())
    files = [str(file) for file in pictures]
    found, wanted = (one.encode(files, "items") for one in (again, model))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=ONE_PASS)
    assert again.logit_scale == pytest.approx(model.logit_scale, rel=rounding(terms=1))
    from transformers import CLIPImageProcessor, CLIPModel

    assert CLIPModel.from_pretrained(tmp_path / "saved").config.projection_dim == 16
    assert CLIPImageProcessor.from_pretrained(tmp_path / "saved").crop_size["height"] == 24


def test_a_built_model_is_saved_with_the_words_it_learnt(tmp_path: Path) -> None:
    model = small()
    model.query_tower.tokenizer = caption_tokenizer(["red red red square", "red square"], 256, 32)
    model.save(tmp_path / "saved")
    again = load_saved_model(tmp_path / "saved")
    tokens = [one.tolist() for one in model.tokenize(["a red square"], "query")]
    assert [one.tolist() for one in again.tokenize(["a red square"], "query")] == tokens
    assert not again.query_tower.learns_words
    # Weights are the same to the last bit; where they lie in memory is not, and decides the order of sums.
    found, wanted = (one.encode(["a red square"], "query") for one in (again, model))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=ONE_PASS)


def test_the_same_seed_builds_the_same_weights() -> None:
    first, second = small(), small()
    assert first.fingerprint == second.fingerprint


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_size": 20}, r"model\.image_size=20 is no multiple of model\.patch_size=8"),
        ({"text_heads": 3}, r"model\.text_width=16 is no multiple of model\.text_heads=3"),
    ],
)
def test_sizes_that_do_not_go_together_are_refused(changes: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        small(**changes)


def test_a_saved_model_replaces_no_other_folder(tmp_path: Path, model: ImageTextModel) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(StorageError, match="not a saved model"):
        model.save(tmp_path)


def test_weights_that_are_no_safetensors_are_never_read(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(ModelError, match="safetensors"):
        load_clip(str(copy))


def test_a_truncated_model_is_refused_in_one_sentence(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    content = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_clip(str(copy))


def test_a_text_model_is_no_clip_and_a_clip_no_text_model(folder: Path, tiny_bert: Path) -> None:
    with pytest.raises(ModelError, match="model=local"):
        load_clip(str(tiny_bert))
    with pytest.raises(ModelError, match="method=default"):
        load_text_model(str(folder))


def test_texts_are_no_items_of_it(model: ImageTextModel) -> None:
    with pytest.raises(ConfigError, match="are pictures"):
        model.tokenize(["a text"], "items")


def test_one_that_has_learnt_no_word_says_so() -> None:
    with pytest.raises(ConfigError, match="learns its words"):
        small().tokenize(["a text"], "query")


def test_the_first_layers_of_both_towers_are_fixed(model: ImageTextModel) -> None:
    model.freeze(1)
    fixed = {name for name, weight in model.named_parameters() if not weight.requires_grad}
    assert any(name.startswith("items_tower.encoder.embeddings") for name in fixed)
    assert any(".layers.0." in name for name in fixed)
    assert not any(".layers.1." in name or "projection" in name or "post_layernorm" in name for name in fixed)
    with pytest.raises(ConfigError, match="the model has 2 layers"):
        model.freeze(3)


def test_fast_kernels_are_refused(model: ImageTextModel) -> None:
    with pytest.raises(ConfigError, match=r"compute\.kernels"):
        model.compute_with(ComputeSettings(kernels="fast"))


def test_pictures_are_moved_in_training_alone(model: ImageTextModel, pictures: list[Path]) -> None:
    model.items_tower.changes = PictureChanges(shift=0.3, zoom=0.3)
    packed = PackedPictures(np.stack([model.items_tower.preparation.pixels(file) for file in pictures]))
    with torch.no_grad():
        still = [model.eval().embed(packed, "items") for _ in range(2)]
        model.train()
        torch.manual_seed(1)
        first, second = model.embed(packed, "items"), model.embed(packed, "items")
        torch.manual_seed(1)
        again = model.embed(packed, "items")
    assert torch.equal(*still)
    assert not torch.equal(first, second)
    assert torch.equal(first, again)


def test_a_shift_moves_and_a_change_of_nothing_changes_nothing() -> None:
    shown = torch.arange(2 * 3 * 8 * 8, dtype=torch.float32).view(2, 3, 8, 8)
    assert PictureChanges()(shown) is shown
    moved = PictureChanges(shift=0.25)(shown)
    assert moved.shape == shown.shape
    assert shown.min() <= moved.min()
    assert moved.max() <= shown.max()


def test_the_tokenizer_learns_frequent_words_and_spells_the_others() -> None:
    texts = ["a red fire", "a red truck", "fire engine", "Café"]
    tokenizer = caption_tokenizer(texts, 512, 16)
    tokens = tokenizer.tokenize("RED firered truck")
    assert tokens == ["red", "fire", "##red", "t", "##r", "##u", "##c", "##k"]
    assert tokenizer.convert_ids_to_tokens(tokenizer("red")["input_ids"]) == ["[BOS]", "red", "[EOS]"]
    assert len(tokenizer) <= 512
    assert tokenizer.get_vocab() == caption_tokenizer(texts, 512, 16).get_vocab()
    assert len(caption_tokenizer(texts, 64, 16)) <= 64 + len(SPECIAL)


def test_a_declared_background_is_kept_by_the_folder(folder: Path, tmp_path: Path) -> None:
    load_clip(str(folder), background=[1, 2, 3]).save(tmp_path / "saved")
    assert load_clip(str(tmp_path / "saved")).items_tower.preparation.background == (1, 2, 3)
    said = json.loads((tmp_path / "saved" / "preprocessor_config.json").read_text())
    assert said["crop_size"] == {"height": 24, "width": 24}


def test_a_clip_of_the_hub_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    commit = "0123456789abcdef0123456789abcdef01234567"
    folder = write_tiny_clip(tmp_path / "hub" / "models--nobody--clip" / "snapshots" / commit)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    by_name, by_folder = load_clip("nobody/clip", revision=commit), load_clip(str(folder))
    tokens = PackedTexts.of(by_name.tokenize(["a red square"], "query"))
    with torch.no_grad():
        found, wanted = (model.eval().embed(tokens, "query") for model in (by_name, by_folder))
    torch.testing.assert_close(found, wanted, rtol=0, atol=ONE_PASS)
    with pytest.raises(ConfigError, match="revision"):
        load_clip("nobody/clip")
