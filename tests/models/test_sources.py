from __future__ import annotations

import importlib.util
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest

from hft.errors import ConfigError, ModelError
from hft.files import sha256_file
from hft.models import load_text_model
from hft.models import sources as sources_module
from hft.models.sources import PACKAGED, find_model
from tolerances import rounding

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def copied(tiny_bert: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model that a test may damage."""
    return Path(shutil.copytree(tiny_bert, tmp_path / "copied"))


def test_a_packaged_model_that_is_not_installed_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r'pip install "hft\[demo\]"'):
        load_text_model("packaged:all-MiniLM-L6-v2")


def test_an_unknown_packaged_model_lists_the_known_ones() -> None:
    with pytest.raises(ModelError, match="all-MiniLM-L6-v2"):
        find_model("packaged:all-MiniLM")


def test_a_packaged_model_with_another_checksum_is_refused(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "packaged_tiny"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('a packaged model is found, never imported')")
    copied.rename(package / "model")
    monkeypatch.syspath_prepend(str(tmp_path))
    digest = sha256_file(package / "model" / "model.safetensors")
    entry = sources_module.PackagedModel("packaged_tiny", "model", digest, "pip install tiny")
    monkeypatch.setitem(PACKAGED, "tiny", entry)
    assert find_model("packaged:tiny") == package / "model"
    monkeypatch.setitem(PACKAGED, "tiny", sources_module.PackagedModel("packaged_tiny", "model", "0" * 64, ""))
    with pytest.raises(ModelError, match=f"{digest}, expected {'0' * 64}"):
        find_model("packaged:tiny")


def test_a_declared_checksum_is_verified_for_a_folder(tiny_bert: Path) -> None:
    digest = sha256_file(tiny_bert / "model.safetensors")
    assert load_text_model(str(tiny_bert), sha256=digest.upper()).dim == 32
    with pytest.raises(ModelError, match=r"model\.safetensors: the SHA-256 is .* expected ffff"):
        load_text_model(str(tiny_bert), sha256="f" * 64)


def test_pickled_weights_alone_are_refused(copied: Path) -> None:
    (copied / "model.safetensors").rename(copied / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"pytorch_model\.bin.*safetensors only"):
        load_text_model(str(copied))


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_missing_file_is_named(copied: Path, name: str) -> None:
    (copied / name).unlink()
    with pytest.raises(ModelError, match=name):
        load_text_model(str(copied))


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_damaged_file_is_one_clear_message(copied: Path, name: str) -> None:
    whole = (copied / name).read_bytes()
    (copied / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=str(copied)):
        load_text_model(str(copied))


def test_a_missing_tokenizer_is_one_clear_message(copied: Path) -> None:
    for file in copied.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(ModelError, match="tokenizer"):
        load_text_model(str(copied))


def test_a_tokenizer_of_another_model_is_refused(copied: Path, tmp_path: Path) -> None:
    from tiny_models import build_tiny_bert

    large = build_tiny_bert(tmp_path / "large", texts=[f"word{number} x{number}y" for number in range(200)])
    shutil.copy(large / "tokenizer.json", copied / "tokenizer.json")
    with pytest.raises(ModelError, match="do not belong together"):
        load_text_model(str(copied))


def test_weights_that_lack_a_tensor_are_refused(copied: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(copied / "model.safetensors")
    weights.pop("encoder.layer.1.output.dense.weight")
    save_file(weights, copied / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"encoder\.layer\.1\.output\.dense\.weight"):
        load_text_model(str(copied))


def test_an_architecture_that_brings_its_own_code_is_refused(copied: Path) -> None:
    (copied / "config.json").write_text('{"model_type": "mystery", "auto_map": {"AutoConfig": "code.Mystery"}}')
    (copied / "code.py").write_text("raise SystemExit('code of a model was run')")
    with pytest.raises(ModelError, match=str(copied)):
        load_text_model(str(copied))


def test_pooler_pooling_without_a_trained_pooler_is_refused(tmp_path: Path) -> None:
    from tiny_models import build_tiny_bert

    bare = build_tiny_bert(tmp_path / "bare", pooler=False)
    with pytest.raises(ModelError, match=r"model\.pooling=pooler.*no trained pooler"):
        load_text_model(str(bare), pooling="pooler")


def test_a_length_beyond_the_positions_is_refused(tiny_bert: Path) -> None:
    with pytest.raises(ModelError, match=r"model\.max_length=65.*64 tokens"):
        load_text_model(str(tiny_bert), max_length=65)


@pytest.mark.parametrize("source", ["./nowhere", "/nowhere/at/all", "a/b/c", "~/nowhere-at-all"])
def test_a_folder_that_is_not_there_is_named(source: str) -> None:
    with pytest.raises(ModelError, match=rf"model\.source={source}: no such folder"):
        load_text_model(source)


def test_a_hub_id_without_a_revision_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"model\.revision"):
        load_text_model("owner/some-model")


def test_a_hub_model_in_the_cache_is_loaded_without_the_network(
    tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    repository = tmp_path / "models--owner--tiny"
    shutil.copytree(tiny_bert, repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    expected = load_text_model(str(tiny_bert)).encode(["a file"], "items")
    for revision in ("main", COMMIT):
        model = load_text_model("owner/tiny", revision=revision)
        atol = rounding(terms=64, sums=14)
        np.testing.assert_allclose(model.encode(["a file"], "items"), expected, rtol=0, atol=atol)


@pytest.mark.parametrize("offline", [True, False])
def test_a_hub_that_is_away_is_one_clear_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, offline: bool
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{closed.getsockname()[1]}")
        with pytest.raises(ModelError, match=r"owner/tiny.*Check the network"):
            load_text_model("owner/tiny", revision="main")
