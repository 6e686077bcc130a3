"""Ranks of items from ranks of their parts, in training and in evaluation."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hft.data.items import ItemsSet
from hft.data.parts import SentenceSplitter, SeparatorSplitter, TokenGroupTextSplitter
from hft.methods.tokenized import TokenizedData
from hft.metrics import MRR, NDCG
from hft.models import CosineRanker, EuclideanRanker
from hft.training import Evaluator, ItemParts, inference
from hft.training.parts import aggregate_parts
from small_training import build_small, same, settings_with, small_data, small_model, train_small
from tolerances import rounding

RANKS = torch.tensor([0.1, 0.5, 0.3, -0.2, 0.4, 0.4], dtype=torch.float64)
LENGTHS = torch.tensor([3, 1, 2])
HOWS = ("mean", "max", "min", "softmax")


# Of the tiny encoder: two layers of six products, over 64 numbers at most.
OF_A_RANK = rounding(terms=64, sums=14)
# Of a soft maximum over three ranks: a temperature of 0.1 makes ten of an error in the exponent.
SOFT = 10 * rounding(terms=3, sums=3)


def by_hand(ranks: np.ndarray, how: str, temperature: float, sign: float) -> float:
    fit = sign * ranks
    if how == "softmax":
        weights = np.exp(fit / temperature)
        return float((weights * ranks).sum() / weights.sum())
    return float(sign * {"mean": np.mean, "max": np.max, "min": np.min}[how](fit))


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("how", HOWS)
def test_an_items_rank_is_made_of_its_parts(how: Any, sign: float) -> None:
    found = aggregate_parts(RANKS, LENGTHS, how, 0.1, sign)
    parts = np.split(RANKS.numpy(), [3, 4])
    assert found.tolist() == pytest.approx([by_hand(part, how, 0.1, sign) for part in parts], rel=SOFT)
    both = aggregate_parts(torch.stack([RANKS, -RANKS], dim=1), LENGTHS, how, 0.1, sign)
    assert torch.equal(both[:, 0], found)
    assert both[:, 1].tolist() == pytest.approx([by_hand(-part, how, 0.1, sign) for part in parts], rel=SOFT)


def test_soft_max_lies_between_the_mean_and_the_best() -> None:
    cold, warm = (aggregate_parts(RANKS, LENGTHS, "softmax", t, 1.0) for t in (1e-4, 1e4))
    assert cold.tolist() == pytest.approx(aggregate_parts(RANKS, LENGTHS, "max", 1.0, 1.0).tolist())
    assert warm.tolist() == pytest.approx(aggregate_parts(RANKS, LENGTHS, "mean", 1.0, 1.0).tolist(), abs=1e-4)


def test_items_of_one_part_keep_its_rank_to_the_last_bit() -> None:
    ranks = torch.randn(7)
    for how in HOWS:
        assert torch.equal(aggregate_parts(ranks, torch.ones(7, dtype=torch.long), how, 0.05, 1.0), ranks)  # type: ignore[arg-type]
    mixed = aggregate_parts(ranks, torch.tensor([1, 5, 1]), "softmax", 0.05, 1.0)
    assert (mixed[0], mixed[2]) == (ranks[0], ranks[6])


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("how", HOWS)
def test_the_gradient_is_that_of_the_formula(how: Any, sign: float) -> None:
    ranks = torch.randn(6, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    assert torch.autograd.gradcheck(lambda given: aggregate_parts(given, LENGTHS, how, 0.3, sign), (ranks,))


def test_parts_that_share_the_best_rank_share_its_gradient() -> None:
    ranks = RANKS.clone().requires_grad_()
    aggregate_parts(ranks, LENGTHS, "max", 1.0, 1.0)[2].backward()
    assert ranks.grad is not None
    assert ranks.grad.tolist() == [0, 0, 0, 0, 0.5, 0.5]


def test_rows_of_parts_and_chunks_of_items() -> None:
    parts = ItemParts(np.array([0, 2, 3, 7, 8]))
    items = np.array([2, 0, 2, 3])
    assert parts.rows(items).tolist() == [3, 4, 5, 6, 0, 1, 3, 4, 5, 6, 7]
    assert parts.lengths(items).tolist() == [4, 2, 4, 1]
    assert [(c.start, c.stop) for c in parts.chunks(items, 6)] == [(0, 2), (2, 4)]
    assert [(c.start, c.stop) for c in parts.chunks(items, 1)] == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert parts.chunks(items[:0], 6) == []


def long_data(**options: Any) -> Any:
    """The small data with an item in five of three sentences and one in five of two."""
    data = small_data(**options)
    # No two sentences are equal: items whose best parts are would be tied.
    more = {0: ". It is shown last night {0}. The server waits {0}", 1: ". A sorted list {0}"}
    texts = [text + more.get(row % 5, "").format(row) for row, text in enumerate(data.items.texts)]
    table = ItemsSet.from_columns(data.items.ids, texts).table
    data.items.__dict__.pop("texts", None)
    data.items.table = table
    return data


@pytest.mark.parametrize("candidates", ["shown", "corpus"])
@pytest.mark.parametrize("ranker", [CosineRanker(), EuclideanRanker()])
@pytest.mark.parametrize("how", HOWS)
def test_evaluation_ranks_items_by_their_parts_as_brute_force_does(
    tiny_bert: Path, candidates: str, ranker: Any, how: Any
) -> None:
    model = small_model(tiny_bert)
    data = TokenizedData.of(long_data(candidates=candidates).with_texts(SentenceSplitter(1), None), model)
    settings = settings_with(ranker=ranker, part_ranks=how, part_temperature=0.2)
    metrics = (NDCG(k=3), MRR(k=10))
    evaluator = Evaluator(
        data.evaluation("test"), data.queries, data.items, ranker=ranker, sign=settings.rank_sign, metrics=metrics,
        seed=0, parts=data.item_parts(settings),
    )  # fmt: skip
    with inference(model, "32-true"):
        evaluation = evaluator.evaluate(*evaluator.vectors(model))
    assert data.parts is not None
    texts, offsets = data.parts.texts.to_pylist(), data.parts.offsets
    assert len(texts) > len(data.data.items)
    vectors = torch.from_numpy(model.encode(texts, "items")).double()
    flat = 0
    for row, session in enumerate(data.data.test):
        query = torch.from_numpy(model.encode([session.query], "query")).double()
        of_parts = ranker(query.expand_as(vectors), vectors).numpy()
        ranks = [by_hand(of_parts[a:b], how, 0.2, settings.rank_sign) for a, b in pairwise(offsets)]
        shown = [data.data.items.row_of(item) for item in session.results]
        assert evaluation.shown_ranks[flat : flat + len(shown)] == pytest.approx(
            [ranks[i] for i in shown], abs=5 * OF_A_RANK
        )
        flat += len(shown)
        pool = shown if candidates == "shown" else list(range(len(data.data.items)))
        order = sorted(pool, key=lambda item: -settings.rank_sign * ranks[item])
        assert evaluation.top_rows[row].tolist() == order[: evaluation.top_rows.shape[1]]


def test_chunks_of_pairs_and_queries_change_no_rank(tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for pairs, queries in ((65536, 256), (3, 3)):
        monkeypatch.setattr("hft.training.evaluation.PAIR_CHUNK", pairs)
        monkeypatch.setattr("hft.training.evaluation.QUERY_CHUNK", queries)
        model = small_model(tiny_bert)
        data = TokenizedData.of(long_data(candidates="corpus").with_texts(SentenceSplitter(1), None), model)
        evaluator = Evaluator(
            data.evaluation("test"), data.queries, data.items, ranker=CosineRanker(), sign=1.0, metrics=(NDCG(k=3),),
            seed=0, parts=data.item_parts(settings_with()),
        )  # fmt: skip
        with inference(model, "32-true"):
            found.append(evaluator.evaluate(*evaluator.vectors(model)))
    assert found[0].shown_ranks == pytest.approx(found[1].shown_ranks, abs=OF_A_RANK)
    assert np.array_equal(found[0].top_rows, found[1].top_rows)


def test_without_a_boundary_a_training_with_parts_is_the_one_without(tiny_bert: Path, tmp_path: Path) -> None:
    plain = train_small(tiny_bert, tmp_path / "plain", data=small_data())
    whole = small_data().with_texts(SeparatorSplitter("no such thing"), None)
    assert same(train_small(tiny_bert, tmp_path / "parts", data=whole).last, plain.last)


@pytest.mark.parametrize("how", HOWS)
def test_the_ranks_of_parts_are_what_is_trained_on(tiny_bert: Path, tmp_path: Path, how: str) -> None:
    data = long_data().with_texts(TokenGroupTextSplitter(24), None)
    trained = train_small(tiny_bert, tmp_path, data=data, settings={"part_ranks": how, "num_epochs": 6})
    losses = trained.series("train_loss")
    assert np.mean(losses[-4:]) < np.mean(losses[:4])
    other = train_small(
        tiny_bert, tmp_path / "o", data=data, settings={"part_ranks": "min" if how == "mean" else "mean"}
    )
    assert not same(other.last, train_small(tiny_bert, tmp_path / "s", data=data, settings={"part_ranks": how}).last)


def test_a_step_embeds_each_part_of_a_batch_once(tiny_bert: Path) -> None:
    data = long_data().with_texts(SentenceSplitter(1), None)
    module = build_small(tiny_bert, data=data)
    batch = next(iter(module.train_dataloader()))
    assert batch.parts is not None
    assert len(batch.items) == int(batch.parts.lengths.sum()) > len(batch.parts.lengths)
    assert len(np.unique(batch.items.keys, axis=0)) <= len(batch.items)
    plain = next(iter(build_small(tiny_bert, data=long_data()).train_dataloader()))
    assert plain.parts is None
    assert torch.equal(batch.pairs.positive_item, plain.pairs.positive_item)


def test_a_part_takes_as_many_tokens_as_the_model_has_room_for(tiny_bert: Path) -> None:
    model = small_model(tiny_bert, max_length=12, item_prompt="a list: ")
    data = TokenizedData.of(long_data().with_texts(TokenGroupTextSplitter(), None), model)
    assert data.parts is not None
    assert data.items.lengths.max() <= 12
    pieces = model.items_tower.count_tokens(data.parts.texts.to_pylist())
    assert pieces.max() == 12 - len(model.tokenize([""], "items")[0])
    assert data.notes[0].startswith(f"items in parts: {len(data.parts):,} parts of 80 items")
