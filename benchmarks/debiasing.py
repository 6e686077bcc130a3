"""Claim: clicks read with a position-based model win back at least 0.4 of what clicks taken at face value lose.

    python benchmarks/debiasing.py [--folder ../shared/data/movie_search] [--seeds 5] [--threads 2] [--quick]

movie_search: real queries, about 24 shown movies each, and which of them people picked: the true relevance. The lists
are shown in the order of popularity, 50 times a query, and clicks are simulated: position p is examined with
probability 1/sqrt(p), an examined relevant movie is always clicked, any other with probability 0.1 (the noise of
Joachims, Swaminathan and Schnabel 2017). A linear adapter over fixed MiniLM vectors is trained by hft's InfoNCE on
shown negatives, with the same steps each time:

- untouched: the vectors as they are;
- naive: every click a positive, whatever no session of the query clicked a negative (data/clicks=naive);
- debiased: data/clicks=given with eta 0.5, false_clicks and unexamined_negatives: a click weighs the probability that
  it is a true one over its propensity;
- true labels: the picks themselves.

NDCG@10 on held-out queries, a mean over seeds (other training queries, clicks and batches); intervals are 95%
bootstrap intervals over those queries. Below it the same without false clicks, and the same where nothing is given: a
tenth of the lists is shown shuffled, and the position-based model is fitted. The last line is (debiased - naive) /
(true labels - naive), a ratio of means, of the first case. --quick says only whether it
works.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from machine import print_machine

from hft.data import (
    BeirFolder,
    ClickLog,
    ClickModel,
    FineTuningInputs,
    GivenPropensities,
    JudgedListSimulator,
    PositionBasedClicks,
    PositionBasedModel,
    QuerySplitter,
    RankingData,
    prepare_ranking_data,
)
from hft.losses import InfoNCELoss
from hft.metrics import NDCG, bootstrap_interval, rank_lists
from hft.models import CosineRanker, load_text_model
from hft.training import PairPlanner, SessionArrays
from hft.training.batching import EpochSampler, PairTensors
from hft.training.ranks import pair_features

# To be fixed with --split validation before the test split is looked at, and never after.
TRAIN_QUERIES, IMPRESSIONS, ETA, FALSE_CLICKS = 2_000, 50, 0.5, 0.1
STEPS, BATCH, RATE, TEMPERATURE = 400, 128, 3e-4, 0.05
NOISE_WORDS = ("movie", "film", "netflix", "watch", "online", "full", "cast", "free", "stream", "best")
# What identifies a movie comes first, for texts are cut at 64 tokens.
ITEM_FIELDS = ["title", "metadata.genres", "metadata.director", "metadata.actors", "text"]
MODELS = ("untouched", "naive", "debiased", "true labels")


@dataclass(frozen=True)
class Case:
    """A kind of log, and how it is debiased."""

    name: str
    false_clicks: float
    shuffled: float
    model: Callable[[], ClickModel]


CASES = (
    Case("10% false clicks, propensities given", FALSE_CLICKS, 0.0, lambda: given(True)),
    Case("no false clicks, propensities given", 0.0, 0.0, lambda: given(False)),
    Case("10% false clicks, fitted where a tenth is shuffled", FALSE_CLICKS, 0.1, lambda: fitted()),
)


def given(false_clicks: bool) -> ClickModel:
    return GivenPropensities(eta=ETA, false_clicks=false_clicks, unexamined_negatives=True)


def fitted() -> ClickModel:
    return PositionBasedModel(false_clicks=True, unexamined_negatives=True)


@dataclass(frozen=True)
class Vectors:
    """Fixed vectors of the distinct queries and of the items, FloatTensor[texts, dim]."""

    queries: torch.Tensor
    items: torch.Tensor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shared = Path(os.environ.get("HFT_SHARED_DATA", "../shared/data"))
    parser.add_argument("--folder", type=Path, default=shared / "movie_search")
    parser.add_argument("--model", default="packaged:all-MiniLM-L6-v2")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--split", choices=("validation", "test"), default="test", help="validation: to fix a recipe")
    parser.add_argument("--quick", action="store_true", help="one seed, few steps: whether it works")
    arguments = parser.parse_args()
    if not arguments.folder.is_dir():
        raise SystemExit(f"{arguments.folder} is not there. Name the folder of movie_search: --folder PATH")
    torch.set_num_threads(arguments.threads)
    print_machine()
    seeds, steps = (1, 20) if arguments.quick else (arguments.seeds, STEPS)
    data = judged(arguments.folder)
    vectors = embedded(data, arguments.model)
    ratios = []
    for case in CASES:
        started = time.perf_counter()
        values = np.stack([of_seed(data, vectors, case, seed, steps, arguments.split) for seed in range(seeds)])
        ratios.append(tell(case, values, (time.perf_counter() - started) / seeds))
    print(f"{ratios[0]:.2f}")


def judged(folder: Path) -> RankingData:
    """Queries with their judged movies, split by query; those with nothing to tell apart are left out of evaluation."""
    source = BeirFolder(folder, reading="judged", item_fields=ITEM_FIELDS, sessions_per_query=1)
    splitter = QuerySplitter(validation=0.1, test=0.2, noise_words=list(NOISE_WORDS))
    return prepare_ranking_data(source, splitter, candidates="shown", keep_without_event=True)


def embedded(data: RankingData, name: str) -> Vectors:
    """Every text once."""
    model = load_text_model(name, max_length=64).eval()
    with torch.autocast("cpu", torch.bfloat16):
        queries = model.encode(data.query_texts.texts, "query")
        items = model.encode(list(data.items.texts), "items")
    return Vectors(torch.from_numpy(queries), torch.from_numpy(items))


def of_seed(data: RankingData, vectors: Vectors, case: Case, seed: int, steps: int, split: str) -> np.ndarray:
    """`float64[models, queries]`: NDCG@10 of each of MODELS on a split."""
    chosen = np.random.default_rng(seed).permutation(len(data.train))[:TRAIN_QUERIES]
    queries = data.train.select(np.sort(chosen))
    everything = np.arange(len(data.items), dtype=np.int32)
    clicks = PositionBasedClicks(ETA, 1.0, case.false_clicks)
    sessions = JudgedListSimulator(clicks, "popularity", IMPRESSIONS, case.shuffled, seed)(queries, everything)
    truth = sessions_of(data, queries.with_events(queries.shown_gains()), None)
    models = {
        "untouched": torch.eye(vectors.items.shape[1]),
        "naive": trained(sessions_of(data, sessions, None), vectors, seed, steps),
        "debiased": trained(sessions_of(data, sessions, case.model()), vectors, seed, steps),
        "true labels": trained(truth, vectors, seed, steps),
    }
    return np.stack([ndcg(data, data.splits[split], vectors, models[name]) for name in MODELS])


def sessions_of(data: RankingData, inputs: FineTuningInputs, model: ClickModel | None) -> SessionArrays:
    """The sessions as hft's planner of pairs takes them, their clicks at face value or as a click model reads them."""
    rows = data.query_rows(inputs)
    keys = data.query_texts.key_numbers(data.noise_words)[rows]
    arrays = {
        "query_rows": rows,
        "query_keys": keys,
        "offsets": inputs.offsets,
        "item_rows": inputs.flat_results,
        "item_keys": np.arange(len(data.items)),
        "events": inputs.flat_events,
        "is_irrelevant": inputs.is_irrelevant,
    }
    if model is None:
        return SessionArrays(confidences=np.ones(len(inputs.flat_events), dtype=np.float32), **arrays)
    log = ClickLog.of(inputs, keys)
    evidence = model.fit(log).evidence(log)
    return SessionArrays(
        confidences=evidence.confidences,
        weights=evidence.weights,
        believed=evidence.believed,
        may_be_negative=evidence.may_be_negative,
        **arrays,
    )


def trained(sessions: SessionArrays, vectors: Vectors, seed: int, steps: int) -> torch.Tensor:
    """FloatTensor[dim, dim]: the adapter after so many steps from the identity."""
    planner = PairPlanner(sessions, negatives="shown")
    sampler = EpochSampler(planner.usable_sessions(), BATCH, seed)
    adapter = torch.eye(vectors.items.shape[1]).requires_grad_()
    optimizer = torch.optim.AdamW([adapter], lr=RATE, weight_decay=0.0)
    loss, ranker, done = InfoNCELoss(TEMPERATURE), CosineRanker(), 0
    for epoch in range(10**6):
        sampler.set_epoch(epoch)
        for _, number, rows in sampler:
            plan = planner.plan(rows, np.random.default_rng([seed, epoch, number]))
            queries = vectors.queries[torch.from_numpy(plan.query_rows)] @ adapter
            items = vectors.items[torch.from_numpy(plan.item_rows)] @ adapter
            pairs = PairTensors.of(plan)
            optimizer.zero_grad()
            loss(pair_features(ranker, queries, items, pairs, sign=1.0, margin=0.0)).backward()
            optimizer.step()
            done += 1
            if done == steps:
                return adapter.detach()
    raise AssertionError("unreachable")


def ndcg(data: RankingData, inputs: FineTuningInputs, vectors: Vectors, adapter: torch.Tensor) -> np.ndarray:
    """`float64[queries]` of those with both relevant and other movies."""
    queries = vectors.queries[torch.from_numpy(data.query_rows(inputs).astype(np.int64))] @ adapter
    items = torch.nn.functional.normalize(vectors.items @ adapter, dim=1)
    owners = np.repeat(np.arange(len(inputs)), np.diff(inputs.offsets))
    shown = items[torch.from_numpy(inputs.flat_results.astype(np.int64))]
    scores = (queries[torch.from_numpy(owners)] * shown).sum(dim=1).numpy()
    gains = inputs.shown_gains()
    found = NDCG(k=10)(rank_lists(scores, gains, inputs.offsets, seed=0))
    picked = np.add.reduceat(gains > 0, inputs.offsets[:-1])
    return found[(picked > 0) & (picked < np.diff(inputs.offsets))]


def tell(case: Case, values: np.ndarray, seconds: float) -> float:
    """Prints a table of `float64[seeds, models, queries]`; the share of the loss that is won back."""
    print(f"\n{case.name}: {len(values)} seeds, {values.shape[2]:,} held-out queries, {seconds:.0f} s a seed")
    by_query = values.mean(axis=0)
    means = dict(zip(MODELS, by_query.mean(axis=1).tolist(), strict=True))
    for row, name in enumerate(MODELS):
        by_seed = " ".join(f"{value:.3f}" for value in values[:, row].mean(axis=1))
        print(f"  {name:<12} {means[name]:.4f}   by seed {by_seed}")
    for better, worse in (("debiased", "naive"), ("debiased", "untouched"), ("true labels", "naive")):
        difference = by_query[MODELS.index(better)] - by_query[MODELS.index(worse)]
        low, high = bootstrap_interval(difference, seed=0)
        print(f"  {better} - {worse}: {difference.mean():+.4f} ({low:+.4f} to {high:+.4f})")
    ratio = (means["debiased"] - means["naive"]) / (means["true labels"] - means["naive"])
    print(f"  won back of what naive loses: {ratio:.2f}")
    return ratio


if __name__ == "__main__":
    main()
