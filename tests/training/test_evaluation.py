"""An evaluation equals what one gets by scoring every query with every item, one by one."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hft.methods.tokenized import TokenizedData
from hft.metrics import MRR, NDCG, IrrelevantDistShift, NotIrrelevantDistShift, Recall
from hft.models import CosineRanker, EuclideanRanker
from hft.training import Evaluation, Evaluator, inference
from small_training import settings_with, small_data, small_model
from tolerances import rounding

METRICS = (NDCG(k=3), MRR(k=10), Recall(k=4))


def evaluate(data: TokenizedData, model: Any, ranker: Any, start: Evaluation | None = None, **options: Any) -> Any:
    settings = settings_with(ranker=ranker)
    evaluator = Evaluator(
        data.evaluation("test"),
        data.queries,
        data.items,
        ranker=ranker,
        sign=settings.rank_sign,
        metrics=options.get("metrics", METRICS),
        seed=0,
    )
    with inference(model, "32-true"):
        return evaluator.evaluate(*evaluator.vectors(model), start), evaluator


def scores_by_hand(data: TokenizedData, model: Any, ranker: Any) -> np.ndarray:
    """float64[queries, items]: higher is better, each text embedded alone through the public `encode`."""
    queries = torch.from_numpy(np.concatenate([model.encode([q], "query") for q in data.data.test.queries])).double()
    items = torch.from_numpy(np.concatenate([model.encode([t], "items") for t in data.data.items.texts])).double()
    ranks = torch.stack([ranker(query.expand_as(items), items) for query in queries])
    return (ranks if ranker.is_similarity else -ranks).numpy()


def metrics_by_hand(order: list[int], gains: dict[int, float]) -> dict[str, float]:
    found = [gains.get(item, 0.0) for item in order]
    ideal = sorted(gains.values(), reverse=True)
    dcg, best = (sum(g / math.log2(place + 2) for place, g in enumerate(values[:3])) for values in (found, ideal))
    first = next((place for place, gain in enumerate(found[:10]) if gain > 0), None)
    return {
        "ndcg@3": dcg / best,
        "mrr@10": 0.0 if first is None else 1 / (first + 1),
        "recall@4": sum(gain > 0 for gain in found[:4]) / sum(gain > 0 for gain in ideal),
    }


@pytest.mark.parametrize("candidates", ["shown", "corpus"])
@pytest.mark.parametrize("ranker", [CosineRanker(), EuclideanRanker()])
def test_an_evaluation_equals_brute_force(tiny_bert: Path, candidates: str, ranker: Any) -> None:
    model = small_model(tiny_bert)
    data = TokenizedData.of(small_data(candidates=candidates), model)
    evaluation, _ = evaluate(data, model, ranker)
    scores = scores_by_hand(data, model, ranker)
    for row, session in enumerate(data.data.test):
        shown = [data.data.items.ids.index(item) for item in session.results]
        pool = shown if candidates == "shown" else list(range(len(data.data.items)))
        order = sorted(pool, key=lambda item: -scores[row, item])
        gains = {item: event for item, event in zip(shown, session.events, strict=True) if event > 0}
        expected = metrics_by_hand(order, gains)
        assert {name: values[row] for name, values in evaluation.values.items()} == pytest.approx(expected, abs=1e-6)
        assert evaluation.top_rows[row][: len(order)].tolist() == order[: evaluation.top_rows.shape[1]]
    assert evaluation.means() == pytest.approx({n: v.mean() for n, v in evaluation.values.items()})


def test_each_text_is_embedded_once(tiny_bert: Path) -> None:
    model = small_model(tiny_bert)
    data = TokenizedData.of(small_data(candidates="corpus"), model)
    embedded: list[bytes] = []
    embed = model.embed

    def counting(tokens: Any, side: Any) -> Any:
        embedded.extend(side.encode() + text.tobytes() for text in tokens)
        return embed(tokens, side)

    model.embed = counting  # type: ignore[method-assign]
    _, evaluator = evaluate(data, model, CosineRanker())
    assert len(embedded) == len(set(embedded)) == evaluator.num_texts


def test_shifts_are_measured_against_the_start_and_are_absent_without_one(tiny_bert: Path) -> None:
    shifts = (NotIrrelevantDistShift(), IrrelevantDistShift())
    start_model, model = small_model(tiny_bert), small_model(tiny_bert, pooling="cls")
    data = TokenizedData.of(small_data(irrelevant=4), start_model)
    start, _ = evaluate(data, start_model, EuclideanRanker(), metrics=shifts)
    assert start.values == {}
    moved, _ = evaluate(data, model, EuclideanRanker(), start, metrics=shifts)
    before, after = (scores_by_hand(data, towers, EuclideanRanker()) for towers in (start_model, model))
    for row, session in enumerate(data.data.test):
        shown = [data.data.items.ids.index(item) for item in session.results]
        picked = [item for item, event in zip(shown, session.events, strict=True) if event > 0]
        closer = (after - before)[row]
        expected = {
            "not_irrelevant_dist_shift": math.nan if session.is_irrelevant else closer[picked].mean(),
            "irrelevant_dist_shift": -closer[shown].mean() if session.is_irrelevant else math.nan,
        }
        found = {name: values[row] for name, values in moved.values.items()}
        assert found == pytest.approx(expected, abs=2 * rounding(terms=64, sums=14), nan_ok=True)


def test_inference_puts_every_modules_mode_back(tiny_bert: Path) -> None:
    model = small_model(tiny_bert, dropout=0.5)
    model.train()
    model.items_tower.encoder.embeddings.eval()
    modes = {name: module.training for name, module in model.named_modules()}
    with inference(model, "32-true"):
        assert not any(module.training for module in model.modules())
        assert not torch.is_grad_enabled()
    assert {name: module.training for name, module in model.named_modules()} == modes
