"""What the method makes of sessions: a module to train, and a value a distinct query."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hft.data import ClickLog, FineTuningInputs, FittedClicks, GivenPropensities, ItemsSet, RankingData
from hft.errors import ConfigError
from hft.methods import EmbeddingsMethod, PluginMeta
from hft.methods.proof import Measured, _slices, mean_by_query
from hft.methods.tokenized import TokenizedData
from hft.metrics import MRR, NDCG, Recall
from hft.training import Evaluation
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
    assert report.to_dict()["precision"] == "32-true"
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


def test_a_click_model_is_fitted_once_on_the_training_sessions_and_reads_both_splits(tiny_bert: Path) -> None:
    logs = []

    class Noted(GivenPropensities):
        def fit(self, log: ClickLog) -> FittedClicks:
            logs.append(log)
            return super().fit(log)

    data = small_data(irrelevant=4)
    method, settings = EmbeddingsMethod({"name": "small"}), settings_with(confidence_calculator=Noted(eta=1.0))
    model = small_model(tiny_bert)
    texts = method.tokenize(model, data)
    parts = {"optimizer": torch.optim.SGD, "scheduler": None, "precision": "32-true", "seed": 0}
    module = method.build(model, texts, settings, params_with(), **parts)
    [log] = logs
    assert len(log) == 15  # of 20, irrelevant sessions left out
    # Picked are the first result, and in each third session the third with it: 1 / (1 / 3), of an event that weighs 2.
    weights = torch.cat([batch.pairs.weight for batch in module.train_dataloader()])
    events = data.train.flat_events
    mean = events[events > 0].mean()
    assert sorted(set(weights.tolist())) == pytest.approx([1.0 / mean, 2.0 * 3.0 / mean])
    assert module.validator is not None


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


def test_baselines_and_models_are_ranked_as_deep_as_the_deepest_metric_looks(tiny_bert: Path) -> None:
    items = ItemsSet.from_columns([f"i{n}" for n in range(150)], [f"item {n}" for n in range(150)])
    splits = {
        name: FineTuningInputs.from_columns(
            items,
            [f"{name}{n}" for n in range(4)],
            [f"{name} query {n}" for n in range(4)],
            offsets=np.arange(5, dtype=np.int64) * 3,
            results=np.arange(12, dtype=np.int32) * 12,
            events=np.tile(np.array([1, 0, 0], dtype=np.float32), 4),
        )
        for name in ("train", "validation", "test")
    }
    pool = np.arange(150, dtype=np.int32)
    data = RankingData(
        items, **splits, candidates="corpus", pools={"validation": pool, "test": pool}, report=small_data().report
    )
    metrics = (NDCG(k=10), Recall(k=150))
    method, found, texts = measured(tiny_bert, data, metric_calculators=metrics)
    report = method.evaluate(found, None, texts, settings_with(metric_calculators=metrics), seed=0)
    assert found.evaluation.top_rows.shape[1] == 150
    assert {means["recall@150"] for means in report.baselines.values()} == {report.test["recall@150"].start} == {1.0}


def one_list_of(data: RankingData, tiny_bert: Path, values: list[float]) -> tuple[Measured, TokenizedData]:
    """Made-up values a test session."""
    texts = TokenizedData.of(data, small_model(tiny_bert))
    sessions = np.unique(data.test.queries, return_inverse=True)[1].astype(np.int64)
    top = np.zeros((len(data.test), 1), dtype=np.int64)
    return Measured(Evaluation({"ndcg@10": np.array(values)}, np.zeros(0, np.float32), top), sessions), texts


def test_a_slice_averages_the_sessions_in_it_only(tiny_bert: Path) -> None:
    """Each query is asked twice: once with its relevant item known from training, once with an unknown one."""
    data = small_data(sizes={"train": 20, "validation": 8, "test": 24})
    learned = data.train.flat_results[data.train.flat_events > 0]
    unknown = np.setdiff1d(np.arange(len(data.items)), learned)[:5]
    results = np.tile(unknown, (24, 1))
    results[::2, 0] = learned[0]
    events = np.tile(np.array([1, 0, 0, 0, 0], dtype=np.float32), 24)
    test = FineTuningInputs.from_columns(
        data.items,
        [f"t{n}" for n in range(24)],
        [f"query {n // 2}" for n in range(24)],
        offsets=np.arange(25, dtype=np.int64) * 5,
        results=results.ravel().astype(np.int32),
        events=events,
    )
    data = RankingData(**{**vars(data), "test": test})
    found, texts = one_list_of(data, tiny_bert, [1.0, 0.0] * 12)
    slices, small = _slices(found, None, texts, ["ndcg@10"], "ndcg@10", 0)
    assert slices["items seen in training"]["ndcg@10"].start == 1.0
    assert slices["items not seen in training"]["ndcg@10"].start == 0.0
    assert slices["items seen in training"]["ndcg@10"].queries == 12
    assert "query seen in training" not in {**slices, **small}


def test_one_query_fills_one_example(tiny_bert: Path) -> None:
    data = with_repeated_queries(small_data())
    method, found, texts = measured(tiny_bert, data)
    asked = [example.query for example in method.evaluate(found, found, texts, settings_with(), seed=0).examples]
    assert len(set(asked)) == len(asked) == 5


def test_a_main_metric_that_is_not_ranked_by_is_refused(tiny_bert: Path) -> None:
    _, found, texts = measured(tiny_bert, small_data())
    method = EmbeddingsMethod({"name": "small"}, "mrr@10", "maximize")
    with pytest.raises(ConfigError, match=r"main_metric=mrr@10 .* Measured: ndcg@10"):
        method.evaluate(found, None, texts, settings_with(), seed=0)


def test_the_split_that_chose_the_weights_gives_no_p(tiny_bert: Path) -> None:
    method, found, texts = measured(tiny_bert, small_data())
    model, parts = small_model(tiny_bert), {"optimizer": torch.optim.SGD, "scheduler": None}
    module = method.build(model, texts, settings_with(), params_with(), **parts, precision="32-true", seed=0)
    assert module.validator is not None
    module.validator(model)
    report = method.evaluate(found, found, texts, settings_with(), seed=0, module=module)
    assert report.validation["ndcg@10"].p is None
    assert report.validation["ndcg@10"].interval is not None
    assert report.test["ndcg@10"].p is not None


def test_near_duplicate_items_share_a_key_where_they_are_trained_on(
    tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = small_data()
    texts = list(data.items.texts)
    first, second, other, another = (int(row) for row in data.train.flat_results[:4])
    texts[other] = "a tent for camping, to sleep and cook outdoors"
    texts[another] = "a stove for camping, to sleep and cook outdoors"
    texts[first] = "a red tent for two people who walk in the mountains in summer"
    texts[second] = "a red tent for two people who walk in the mountains in winter"
    items = ItemsSet.from_columns(data.items.ids, texts)
    splits = {name: FineTuningInputs(inputs.table, items) for name, inputs in data.splits.items()}
    data = RankingData(**{**vars(data), **splits, "items": items})
    keys = TokenizedData.of(data, small_model(tiny_bert)).item_key
    assert keys[first] == keys[second]
    assert keys[other] != keys[another]
    assert items.texts == texts
    assert len(set(keys.tolist())) >= len(items) - 1 - (len(items) - len(set(texts)))
    monkeypatch.setattr("hft.data.ranking_data.NEAR_DUPLICATE_ITEMS", 3)
    keys = TokenizedData.of(replace(data), small_model(tiny_bert)).item_key
    assert keys[first] != keys[second]


def test_the_noise_words_of_the_data_decide_on_the_masks(tiny_bert: Path) -> None:
    data = small_data()
    twins = data.train.replace(query=["up", "up netflix", *data.train.queries[2:]])
    for noise, alike in (((), False), (("netflix",), True)):
        changed = RankingData(**{**vars(data), "train": twins, "noise_words": noise})
        texts = TokenizedData.of(changed, small_model(tiny_bert))
        rows = texts.query_key[texts.query_rows(twins)]
        assert bool(rows[0] == rows[1]) is alike
