from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from hft.checksums import CHECKSUMS_NAME
from hft.errors import ModelError
from hft.models import load_saved_model, load_text_model
from hft.models.sentence import read_layout


@pytest.fixture
def saved(tiny_bert: Path, tmp_path: Path) -> Path:
    """A saved model that a test may change, without checksums, as folders of others are."""
    load_text_model(str(tiny_bert), dense_dim=7).save(tmp_path / "saved")
    (tmp_path / "saved" / CHECKSUMS_NAME).unlink()
    return tmp_path / "saved"


def test_a_plain_encoder_folder_says_nothing_of_pooling(tiny_bert: Path) -> None:
    layout = read_layout(tiny_bert)
    assert layout.items is None
    assert (layout.query.pooling, layout.query.head, layout.query.transformer.max_length) == (None, None, None)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere: no such folder"):
        load_saved_model(tmp_path / "nowhere")


def test_pickled_dense_weights_are_refused(saved: Path) -> None:
    (saved / "2_Dense" / "model.safetensors").rename(saved / "2_Dense" / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"2_Dense.*safetensors"):
        load_saved_model(saved)


def test_a_module_that_hft_does_not_know_is_named(saved: Path) -> None:
    modules = json.loads((saved / "modules.json").read_text())
    modules[2]["type"] = "sentence_transformers.models.LSTM"
    (saved / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ModelError, match="'LSTM'"):
        load_saved_model(saved)


def test_a_module_path_that_leaves_the_folder_is_refused(saved: Path) -> None:
    modules = json.loads((saved / "modules.json").read_text())
    modules[1]["path"] = "../elsewhere"
    (saved / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ModelError, match="leaves the model's folder"):
        load_saved_model(saved)


def test_a_damaged_json_file_is_named(saved: Path) -> None:
    (saved / "modules.json").write_text("[{")
    with pytest.raises(ModelError, match=r"modules\.json: cannot be read as JSON"):
        load_saved_model(saved)


def test_a_missing_module_folder_is_named(saved: Path) -> None:
    shutil.rmtree(saved / "1_Pooling")
    with pytest.raises(ModelError, match=r"1_Pooling.*missing"):
        load_saved_model(saved)


def test_arguments_win_over_the_folder(saved: Path) -> None:
    model = load_text_model(str(saved), pooling="cls", normalize=False, max_length=9, query_prompt="file ")
    tower = model.query_tower
    assert (tower.pooling.modes, tower.normalize, tower.max_length, model.query_prompt) == (("cls",), False, 9, "file ")
    assert model.dim == 7
