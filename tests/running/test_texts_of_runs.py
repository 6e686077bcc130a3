"""Items in parts and augmented texts, through config and `hft train`: with any stores the same, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig

import hft
from hft.experiments.steps import read_steps, repeatable
from hft.running.shared import shared_parts

Compose = Callable[..., DictConfig]
FP32 = ("trainer.precision=32-true", "settings.num_epochs=2", "tracking=csv", "threads=2")
PARTS = ("data/item_splitter=separator", "data.item_splitter.separator=' and a '", "settings.part_ranks=softmax")
TYPOS = ("data/augmentation=typos",)
KEPT = ("stores=local", "stores.activations=true", "params.num_fixed_layers=1")


def result_of(config: DictConfig, folder: Path) -> tuple[list[dict[str, object]], dict[str, float]]:
    shared_parts.clear()
    report = hft.train(config, folder=folder)
    steps = [repeatable(row) for row in read_steps(folder / "steps.jsonl")]
    return steps, {name: found.tuned for name, found in report.test.items()}


@pytest.mark.parametrize("texts", [PARTS, TYPOS, (*PARTS, "data/augmentation=words")], ids=["parts", "typos", "both"])
def test_a_run_is_the_same_without_with_empty_and_with_full_stores(
    compose: Compose, tmp_path: Path, texts: tuple[str, ...]
) -> None:
    plain = result_of(compose(*FP32, KEPT[2], "stores=none"), tmp_path / "plain")
    without = result_of(compose(*FP32, *texts, KEPT[2], "stores=none"), tmp_path / "none")
    cold = result_of(compose(*FP32, *texts, *KEPT), tmp_path / "cold")
    warm = result_of(compose(*FP32, *texts, *KEPT), tmp_path / "warm")
    assert without == cold == warm
    assert without[0] != plain[0]


def test_a_run_says_how_many_parts_it_made(
    compose: Compose, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hft.train(compose(*FP32, *PARTS, "data.item_splitter.max_parts=1"), folder=tmp_path / "run")
    assert "items in parts: " in capsys.readouterr().err
