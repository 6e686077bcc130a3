"""From a config to the objects of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from small_runs import save_to, small_config, start_run

from hft.models import TextEmbeddingModel, load_text_model
from hft.running import data_options, starting_model
from tolerances import rounding

# Of the tiny encoder: two layers of six products and two behind them; vectors without a norm have some 3 in a place.
SAME = 3 * rounding(terms=64, sums=14)
TEXTS = ["the last film", "a path to the server", "number of the night", "an answer"]


@pytest.fixture
def tuned_run(tiny_bert: Path, tmp_path: Path) -> Any:
    """`tuned_run(**options)`: a finished run with a tuned model of these options; (its config, its model)."""

    def make(**options: Any) -> tuple[Any, TextEmbeddingModel]:
        torch.manual_seed(0)
        model = load_text_model(str(tiny_bert), max_length=32, **options)
        with torch.no_grad():
            for weight in model.parameters():
                weight += 0.02 * torch.randn_like(weight)
        node = {"_target_": "hft.models.load_text_model", "source": str(tiny_bert), "max_length": 32, **options}
        config = small_config(outputs=str(tmp_path), model=node)
        with start_run(config, tmp_path / "line" / "parent") as run:
            run.initial_model(save_to(torch.zeros(3)))
            model.save(tmp_path / "line" / "parent" / "model")
            run.finish({"test_ndcg@10": 0.5}, seconds={})
        config.iteration.start_from = "parent"
        return config, model

    return make


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"pooling": "pooler"},
        {"pooling": "pooler", "dense_dim": 16},
        {"dense_dim": 16, "normalize": False},
        {"pooling": "cls", "shared": False},
        {"shared": False, "dense_dim": 16, "pooling": "pooler"},
        {"query_prompt": "question: ", "item_prompt": "answer: "},
    ],
    ids=lambda options: "+".join(options) or "plain",
)
def test_an_iteration_starts_from_exactly_the_tuned_model(tuned_run: Any, options: dict[str, Any]) -> None:
    config, tuned = tuned_run(**options)
    start, parent = starting_model(config)
    assert parent is not None
    for side in ("query", "items"):
        np.testing.assert_allclose(start.encode(TEXTS, side), tuned.encode(TEXTS, side), rtol=0, atol=SAME)


def test_an_iteration_starts_from_two_towers_that_came_from_two_sources(tuned_run: Any, tiny_bert: Path) -> None:
    config, tuned = tuned_run(shared=False, items_source=str(tiny_bert))
    start, _ = starting_model(config)
    assert not start.shared
    np.testing.assert_allclose(start.encode(TEXTS, "items"), tuned.encode(TEXTS, "items"), rtol=0, atol=SAME)


def test_an_iteration_takes_length_and_dropout_from_its_own_config(tuned_run: Any) -> None:
    config, _ = tuned_run()
    config.model.max_length, config.model.dropout = 8, 0.25
    start, _ = starting_model(config)
    assert start.items_tower.max_length == 8
    assert {part.p for part in start.modules() if isinstance(part, torch.nn.Dropout)} == {0.25}


def test_an_iteration_may_start_in_a_config_whose_model_knows_neither(tuned_run: Any) -> None:
    config, tuned = tuned_run()
    config.model = OmegaConf.create({"_target_": "mine.load"})
    start, _ = starting_model(config)
    assert start.items_tower.max_length == tuned.items_tower.max_length


def test_prepared_data_is_kept_where_the_config_wants_it() -> None:
    stores = {"folder": "kept", "disk_budget": 1.0, "data": True, "tokens": False, "activations": False}
    node = {"source": {}, "splitter": {}, "clicks": None, "candidates": "shown"}
    store = data_options(small_config(data=node, stores=stores), None)["store"]
    assert (store.root, store.disk_budget) == (Path("kept"), 1 << 30)
    assert "store" not in data_options(small_config(data=node, stores={**stores, "data": False}), None)


def test_the_scalars_of_the_data_node_are_options_of_prepare() -> None:
    config = small_config(
        data={"source": {}, "splitter": {}, "clicks": None, "candidates": "shown", "limit_sessions": 3}
    )
    assert data_options(config, Path("kept")) == {
        "candidates": "shown",
        "limit_sessions": 3,
        "quarantine_path": Path("kept"),
        "seed": 0,
    }
