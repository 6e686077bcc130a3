"""What the method makes of sessions: a module to train, and a value a distinct query."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hft.data import RankingData
from hft.methods import EmbeddingsMethod, PluginMeta
from hft.methods.proof import mean_by_query
from hft.metrics import MRR, NDCG
from small_training import all_confident, params_with, settings_with, small_data, small_model


def with_repeated_queries(data: RankingData) -> RankingData:
    """The test split with its first query asked three times, the second one twice."""
    queries = list(data.test.queries)
    queries[2] = queries[4] = queries[0]
    queries[3] = queries[1]
    return RankingData(**{**vars(data), "test": data.test.replace(query=queries)})


def measured(tiny_bert: Path, data: RankingData, **settings: Any) -> Any:
    method, model = EmbeddingsMethod({"name": "small"}), small_model(tiny_bert)
    texts = method.tokenize(model, data)
    return method, method.measure(model, texts, settings_with(**settings), precision="32-true", seed=0), texts


def test_the_sessions_of_one_query_count_as_one_value() -> None:
    values = np.array([1.0, 0.0, 0.5, 1.0, math.nan, math.nan])
    queries = np.array([0, 1, 0, 0, 1, 2])
    assert mean_by_query(values, queries) == pytest.approx([2.5 / 3, 0.0, math.nan], nan_ok=True)


def test_a_metric_is_averaged_by_the_text_of_the_query(tiny_bert: Path) -> None:
    data = with_repeated_queries(small_data())
    _, found, _ = measured(tiny_bert, data, metric_calculators=(NDCG(k=10), MRR(k=10)))
    by_text: dict[str, list[float]] = {}
    for query, value in zip(data.test.queries, found.evaluation.values["mrr@10"], strict=True):
        by_text.setdefault(query, []).append(float(value))
    assert len(by_text) == len(data.test) - 3
    expected = [np.mean(values) for _, values in sorted(by_text.items())]
    assert found.values("mrr@10") == pytest.approx(expected)


def test_the_report_counts_distinct_queries(tiny_bert: Path) -> None:
    data = with_repeated_queries(small_data())
    method, found, texts = measured(tiny_bert, data)
    report = method.evaluate(found, found, texts, settings_with(), seed=0)
    assert report.test["ndcg@10"].queries == len(data.test) - 3
    assert report.test["ndcg@10"].difference == 0
    assert report.test["ndcg@10"].start == pytest.approx(float(found.values("ndcg@10").mean()))


def test_values_come_with_a_hash_of_each_querys_text(tiny_bert: Path) -> None:
    data = with_repeated_queries(small_data())
    method, found, texts = measured(tiny_bert, data)
    values = method.values(found, found, texts)
    hashes = [hashlib.sha256(query.encode()).hexdigest()[:16] for query in sorted(set(data.test.queries))]
    assert values["test/query_hash"].tolist() == hashes
    assert len(values["test/ndcg@10/start"]) == len(values["test/ndcg@10/tuned"]) == len(hashes)


def test_a_module_comes_with_its_batches_and_its_validator(tiny_bert: Path) -> None:
    method, params = EmbeddingsMethod({"name": "small"}), params_with(negative_downsampling=0.5)
    model, settings = small_model(tiny_bert), settings_with(batch_size=7, confidence_calculator=all_confident)
    texts = method.tokenize(model, small_data())
    parts = {"optimizer": torch.optim.SGD, "scheduler": None, "precision": "32-true", "seed": 0}
    module = method.build(model, texts, settings, params, **parts)
    assert [batch.num_sessions for batch in module.train_dataloader()] == [7, 7, 6]
    assert module.validator is not None
    # Validation takes all negatives, whatever the share that training draws.
    assert sum(map(len, module.validator.plans)) == 5 * 4 + 3 * 2 * 3


def test_the_items_texts_are_embedded_with_the_prompt_of_their_side(tiny_bert: Path) -> None:
    data = small_data()
    method = EmbeddingsMethod({"name": "small"})
    plain = method.tokenize(small_model(tiny_bert), data)
    prompted = method.tokenize(small_model(tiny_bert, query_prompt="the "), data)
    assert (prompted.queries.lengths - plain.queries.lengths == 1).all()
    assert (prompted.items.lengths == plain.items.lengths).all()


def test_meta_is_validated() -> None:
    assert EmbeddingsMethod({"name": "mine", "version": "2"}).meta == PluginMeta(name="mine", version="2")
    with pytest.raises(ValueError, match="nmae"):
        EmbeddingsMethod({"nmae": "mine"})
