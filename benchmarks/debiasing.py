"""Claim: clicks read with a position-based model win back at least 0.4 of what clicks taken at face value lose.

    python benchmarks/debiasing.py [--grid] [--folder ../shared/data/movie_search] [--seeds 5] [--threads 2] [--quick]

movie_search: real queries, about 24 shown movies each, and which of them people picked: the true relevance. The lists
are shown in the order of popularity, 50 times a query, and clicks are simulated: position p is examined with
probability 1/sqrt(p), an examined relevant movie is always clicked, any other with probability 0.1 (the noise of
Joachims, Swaminathan and Schnabel 2017). A linear adapter over fixed MiniLM vectors is trained by hft's InfoNCE on
shown negatives, with the same steps each time:

- untouched: the vectors as they are;
- naive: every click a positive, whatever no session of the query clicked a negative (data/clicks=naive);
- debiased: data/clicks=given with eta 0.5 and false_clicks: a click weighs the probability that
  it is a true one over its propensity;
- true labels: the picks themselves.

NDCG@10 on held-out queries, a mean over seeds (other training queries, clicks and batches); intervals are 95%
bootstrap intervals over those queries. Below it the same without false clicks, and the same where nothing is given: a
tenth of the lists is shown shuffled, and the position-based model is fitted. The last line is (debiased - naive) /
(true labels - naive), a ratio of means, of the first case. --quick says only whether it works.

--grid prints the table of docs/clickstream.md instead: people who know nothing of the click models (passers_by.py), 5,
20 and 50 impressions a query, without and with 10% false clicks, trained on shown and on in-batch negatives. The click
models are those of data/clicks by their defaults, and `examined only`: position_based with unexamined_negatives=false,
which says nothing of in-batch negatives. A cell is a difference from naive. So that it takes minutes on any processor,
the fixed vectors are those of word_vectors.py, with fewer queries and steps than the claim, and one seed.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from machine import print_machine
from passers_by import PassersBy
from word_vectors import word_vectors

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
from hft.training.hardware import cpu_has_bf16
from hft.training.pairs import Negatives
from hft.training.ranks import pair_features

# To be fixed with --split validation before the test split is looked at, and never after.
TRAIN_QUERIES, IMPRESSIONS, ETA, FALSE_CLICKS = 2_000, 50, 0.5, 0.1
STEPS, BATCH, RATE, TEMPERATURE, SEEDS = 400, 128, 3e-4, 0.05, 5
NOISE_WORDS = ("movie", "film", "netflix", "watch", "online", "full", "cast", "free", "stream", "best")
# What identifies a movie comes first, for texts are cut at 64 tokens.
ITEM_FIELDS = ["title", "metadata.genres", "metadata.director", "metadata.actors", "text"]
GRID_QUERIES, GRID_STEPS, GRID_BATCH, GRID_SEEDS = 1_200, 200, 64, 1


@dataclass(frozen=True)
class Case:
    """A kind of log, and the ways of reading its clicks.

    Args:
        name: for people.
        show: (queries, seed) to sessions with clicks.
        readings: click models by name; None: every click is believed.
        negatives: what a click is compared with.
        queries, steps, batch: of a training.
    """

    name: str
    show: Callable[[FineTuningInputs, int], FineTuningInputs]
    readings: Mapping[str, ClickModel | None]
    negatives: Negatives = "shown"
    queries: int = TRAIN_QUERIES
    steps: int = STEPS
    batch: int = BATCH

    @property
    def models(self) -> list[str]:
        """Names of what is measured, in the order of the values."""
        return ["untouched", *self.readings, "true labels"]


def claims() -> list[Case]:
    """What the claim is about, first, and two beside it."""
    given = GivenPropensities(eta=ETA, false_clicks=True)
    plain = GivenPropensities(eta=ETA)
    fitted = PositionBasedModel(false_clicks=True)
    return [
        Case("10% false clicks, propensities given", by_popularity(0.1, 0.0), {"naive": None, "debiased": given}),
        Case("no false clicks, propensities given", by_popularity(0.0, 0.0), {"naive": None, "debiased": plain}),
        Case(
            "10% false clicks, fitted where a tenth is shuffled",
            by_popularity(0.1, 0.1),
            {"naive": None, "debiased": fitted},
        ),
    ]


def grid() -> list[Case]:
    """Logs of people who share no code with the click models."""
    readings = {
        "naive": None,
        "position_based": PositionBasedModel(),
        "position_based_false_clicks": PositionBasedModel(false_clicks=True),
    }
    kinds: list[Negatives] = ["shown", "in_batch"]
    of_shown = {"examined only": PositionBasedModel(unexamined_negatives=False)}
    return [
        Case(
            f"{impressions} impressions | {false_clicks:.0%} | {kind}",
            passing_by(impressions, false_clicks),
            {**readings, **(of_shown if kind == "shown" else {})},
            kind,
            GRID_QUERIES,
            GRID_STEPS,
            GRID_BATCH,
        )
        for kind in kinds
        for false_clicks in (0.0, 0.1)
        for impressions in (5, 20, 50)
    ]


def by_popularity(false_clicks: float, shuffled: float) -> Callable[[FineTuningInputs, int], FineTuningInputs]:
    """Lists in the order of popularity, a share of them shuffled; hft's own position-based people."""

    def show(queries: FineTuningInputs, seed: int) -> FineTuningInputs:
        everything = np.arange(len(queries.items), dtype=np.int32)
        clicks = PositionBasedClicks(ETA, 1.0, false_clicks)
        return JudgedListSimulator(clicks, "popularity", IMPRESSIONS, shuffled, seed)(queries, everything)

    return show


def passing_by(impressions: int, false_clicks: float) -> Callable[[FineTuningInputs, int], FineTuningInputs]:
    """See PassersBy."""
    return lambda queries, seed: PassersBy(impressions, false_clicks, seed)(queries)


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
    parser.add_argument("--seeds", type=int, help="5; of the grid 1")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--grid", action="store_true", help="the table of docs/clickstream.md, not the claim")
    parser.add_argument("--split", choices=("validation", "test"), default="test", help="validation: to fix a recipe")
    parser.add_argument("--quick", action="store_true", help="one seed, few steps: whether it works")
    arguments = parser.parse_args()
    if not arguments.folder.is_dir():
        raise SystemExit(f"{arguments.folder} is not there. Name the folder of movie_search: --folder PATH")
    torch.set_num_threads(arguments.threads)
    print_machine()
    cases = grid() if arguments.grid else claims()
    seeds = 1 if arguments.quick else arguments.seeds or (GRID_SEEDS if arguments.grid else SEEDS)
    if arguments.quick:
        cases = [replace(case, queries=100, steps=20) for case in cases]
    data = judged(arguments.folder)
    texts = data.query_texts.texts, list(data.items.texts)
    vectors = Vectors(*word_vectors(*texts)) if arguments.grid else embedded(data, arguments.model)
    measuring = Measuring(data, vectors, arguments.split)
    ratios = []
    for case in cases:
        started = time.perf_counter()
        values = np.stack([measuring.of_seed(case, seed) for seed in range(seeds)])
        if arguments.grid:
            tell_cells(case, values)
        else:
            ratios.append(tell(case, values, (time.perf_counter() - started) / seeds))
    if ratios:
        print(f"{ratios[0]:.2f}")


def judged(folder: Path) -> RankingData:
    """Queries with their judged movies, split by query; those with nothing to tell apart are left out of evaluation."""
    source = BeirFolder(folder, reading="judged", item_fields=ITEM_FIELDS, sessions_per_query=1)
    splitter = QuerySplitter(validation=0.1, test=0.2, noise_words=list(NOISE_WORDS))
    return prepare_ranking_data(source, splitter, candidates="shown", keep_without_event=True)


def embedded(data: RankingData, name: str) -> Vectors:
    """Every text once; in bf16 where the processor has it."""
    model = load_text_model(name, max_length=64).eval()
    with torch.autocast("cpu", torch.bfloat16, enabled=cpu_has_bf16()):
        queries = model.encode(data.query_texts.texts, "query")
        items = model.encode(list(data.items.texts), "items")
    return Vectors(torch.from_numpy(queries), torch.from_numpy(items))


@dataclass(frozen=True)
class Measuring:
    """What all cases share: data, vectors, and the held-out queries that are measured.

    Args:
        truths: adapters that were trained on the true labels, by what decides them.
    """

    data: RankingData
    vectors: Vectors
    split: str
    truths: dict[object, torch.Tensor] = field(default_factory=dict)

    def of_seed(self, case: Case, seed: int) -> np.ndarray:
        """`float64[models, queries]`: NDCG@10 of each of a case's models."""
        data = self.data
        chosen = np.random.default_rng(seed).permutation(len(data.train))[: case.queries]
        queries = data.train.select(np.sort(chosen))
        sessions = case.show(queries, seed)
        adapters = [torch.eye(self.vectors.items.shape[1])]
        for reading in case.readings.values():
            adapters.append(trained(sessions_of(data, sessions, reading), self.vectors, case, seed))
        key = (case.negatives, case.queries, case.steps, seed)
        if key not in self.truths:
            truth = sessions_of(data, queries.with_events(queries.shown_gains()), None)
            self.truths[key] = trained(truth, self.vectors, case, seed)
        adapters.append(self.truths[key])
        return np.stack([ndcg(data, data.splits[self.split], self.vectors, adapter) for adapter in adapters])


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


def trained(sessions: SessionArrays, vectors: Vectors, case: Case, seed: int) -> torch.Tensor:
    """FloatTensor[dim, dim]: the adapter after the case's steps from the identity."""
    planner = PairPlanner(sessions, negatives=case.negatives)
    sampler = EpochSampler(planner.usable_sessions(), case.batch, seed)
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
            if done == case.steps:
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
    means = dict(zip(case.models, by_query.mean(axis=1).tolist(), strict=True))
    for row, name in enumerate(case.models):
        by_seed = " ".join(f"{value:.3f}" for value in values[:, row].mean(axis=1))
        print(f"  {name:<12} {means[name]:.4f}   by seed {by_seed}")
    for better, worse in (("debiased", "naive"), ("debiased", "untouched"), ("true labels", "naive")):
        print(f"  {better} - {worse}: {difference_of(case, by_query, better, worse)}")
    ratio = (means["debiased"] - means["naive"]) / (means["true labels"] - means["naive"])
    print(f"  won back of what naive loses: {ratio:.2f}")
    return ratio


def tell_cells(case: Case, values: np.ndarray) -> None:
    """Prints a row of the grid, of `float64[seeds, models, queries]`: naive, and what differs from it by how much."""
    by_query = values.mean(axis=0)
    naive = by_query[case.models.index("naive")].mean()
    others = [name for name in case.models if name != "naive"]
    cells = [f"{name} {difference_of(case, by_query, name, 'naive')}" for name in others]
    print(" | ".join([case.name, f"naive {naive:.4f}", *cells]), flush=True)


def difference_of(case: Case, by_query: np.ndarray, better: str, worse: str) -> str:
    """The mean difference of two models over queries, with its 95% bootstrap interval."""
    difference = by_query[case.models.index(better)] - by_query[case.models.index(worse)]
    low, high = bootstrap_interval(difference, seed=0)
    return f"{difference.mean():+.4f} ({low:+.4f} to {high:+.4f})"


if __name__ == "__main__":
    main()
