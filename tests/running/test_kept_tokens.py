"""Tokens on disk: a run with them equals a run without them to the last bit, and asks no tokenizer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import DictConfig, OmegaConf

from hft.experiments.steps import read_steps, repeatable
from hft.models import TextTower
from hft.running import store_folder, train_trial
from hft.running.shared import shared_parts
from hft.stores import StoreFolder
from small_trials import Listener

Compose = Callable[..., DictConfig]


@pytest.fixture
def tokenised(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every text that a tower was asked to tokenise."""
    asked: list[str] = []
    tokenize = TextTower.tokenize

    def watched(tower: TextTower, texts: Sequence[str]) -> list[np.ndarray]:
        asked.extend(texts)
        return tokenize(tower, texts)

    monkeypatch.setattr(TextTower, "tokenize", watched)
    return asked


def result_of(config: DictConfig, folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Trains as a new process would: the steps, and the hash of the weights."""
    shared_parts.clear()
    train_trial(config, Listener().trial(), folder=folder)
    steps = [repeatable(row) for row in read_steps(folder / "steps.jsonl")]
    weights = [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.rglob("*.safetensors"))]
    assert steps
    assert weights
    return steps, weights


def test_a_run_with_kept_tokens_equals_one_without_and_tokenises_nothing(
    compose: Compose, tmp_path: Path, tokenised: list[str]
) -> None:
    without = result_of(compose("stores=none"), tmp_path / "none")
    assert not (tmp_path / "outputs" / "stores").exists()
    texts = set(tokenised)
    tokenised.clear()
    cold = result_of(compose("stores=local"), tmp_path / "cold")
    assert set(tokenised) == texts
    tokenised.clear()
    warm = result_of(compose("stores=local"), tmp_path / "warm")
    assert tokenised == []
    assert without == cold == warm


def test_another_prompt_or_length_shares_no_tokens(compose: Compose, tmp_path: Path, tokenised: list[str]) -> None:
    result_of(compose("stores=local"), tmp_path / "0")
    for number, other in enumerate(("model.max_length=8", "model.query_prompt='find: '"), start=1):
        tokenised.clear()
        result_of(compose("stores=local", other), tmp_path / str(number))
        assert tokenised


def test_the_config_says_which_kinds_are_kept(compose: Compose) -> None:
    config = compose("stores.disk_budget=0.5", "stores.data=false")
    folder = store_folder(config, "tokens", print)
    assert isinstance(folder, StoreFolder)
    assert (folder.root, folder.disk_budget) == (Path(config.outputs) / "stores", 1 << 29)
    assert store_folder(config, "data", print) is None
    assert store_folder(compose("stores=none"), "tokens", print) is None
    assert store_folder(OmegaConf.create({}), "tokens", print) is None


def test_what_only_looks_at_models_makes_no_store(compose: Compose) -> None:
    config = compose()
    assert store_folder(config, "tokens", print, makes=False) is None
    (Path(config.outputs) / "stores").mkdir(parents=True)
    assert store_folder(config, "tokens", print, makes=False) is not None
