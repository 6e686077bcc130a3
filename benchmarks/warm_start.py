"""Claim: a search that learns from the iteration before needs no more evaluations to reach the same value, often fewer.

    OMP_NUM_THREADS=1 python benchmarks/warm_start.py [--seeds 10] [--cases branin hartmann6 adapter]

Each seed searches one problem (the iteration before), then a changed one in three ways: cold; with the past's three
best enqueued; and warm, which enqueues them and lets TPE learn from the ranks of all past trials. The changed problem:

- branin, hartmann6: published test functions, moved by a tenth of the range in a random direction, their values
  stretched and lifted, so that raw values of the two do not compare;
- adapter: a linear adapter over frozen vectors of the packaged MiniLM, trained on other docstrings of the standard
  library and judged by NDCG@10 on others again. Searched: rate, weight decay, scale of the loss, steps.

Prints how many evaluations each way takes to the value that another cold search of the same problem, with another seed,
has after 50: the median over seeds, with a 95% bootstrap interval. A search that never gets there counts as one more
than its budget. The last columns are the median distance of the best value from that target, lower is better.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from hft.search import Outcome, Params, SearchSettings, SearchSpace
from hft.search.engines import make_engine

PAST_TRIALS = 60
BUDGET = 100
TARGET_AFTER = 50
ENQUEUED = 3
SHIFT = 0.1
ADAPTER_PAIRS = 1000
ADAPTER_TRAIN = 150
ADAPTER_JUDGED = 150

Objective = Callable[[Params], float]  # lower is better
Problem = tuple[SearchSpace, Objective, Objective]  # space, the past's objective, the present's


def branin(x: np.ndarray) -> float:
    """Over the unit square. Source: L. Dixon and G. Szego, The global optimization problem, 1978."""
    a, b = 15.0 * x[0] - 5.0, 15.0 * x[1]
    valley = b - 5.1 / (4 * math.pi**2) * a**2 + 5 / math.pi * a - 6
    return float(valley**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(a) + 10)


HARTMANN_WIDTHS = np.array(
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
)
HARTMANN_CENTRES = np.array(
    [
        [0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886],
        [0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991],
        [0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650],
        [0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381],
    ]
)
HARTMANN_WEIGHTS = np.array([1.0, 1.2, 3.0, 3.2])


def hartmann6(x: np.ndarray) -> float:
    """Over the unit cube of six dimensions. Source: as Branin's."""
    return -float(HARTMANN_WEIGHTS @ np.exp(-(HARTMANN_WIDTHS * (x - HARTMANN_CENTRES) ** 2).sum(1)))


def moved_function(function: Callable[[np.ndarray], float], dimensions: int, seed: int) -> Problem:
    """A test function and the same moved by a tenth of each range (root mean square), stretched and lifted."""
    direction = np.random.default_rng(seed).normal(size=dimensions)
    move = SHIFT * math.sqrt(dimensions) * direction / np.linalg.norm(direction)
    space = SearchSpace.parse({f"x{axis}": {"low": 0.0, "high": 1.0} for axis in range(dimensions)})

    def past(params: Params) -> float:
        return function(np.array(list(params.values())))

    def present(params: Params) -> float:
        return 2.0 * function(np.array(list(params.values())) + move) + 3.0

    return space, past, present


ADAPTER_SPACE: dict[str, Any] = {
    "rate": {"low": 1e-4, "high": 3.0, "log": True},
    "weight_decay": {"low": 1e-6, "high": 1.0, "log": True},
    "scale": {"low": 1.0, "high": 100.0, "log": True},
    "steps": {"low": 1, "high": 30, "integer": True, "log": True},
}


def docstring_vectors() -> tuple[np.ndarray, np.ndarray]:
    """float32[pairs, dim] of queries and of their items, a seeded sample of python_docs, from the untouched model."""
    from hft.data import PythonDocs
    from hft.data.quarantine import Quarantine
    from hft.models import load_text_model

    source = PythonDocs().read(Quarantine())
    chosen = np.random.default_rng(0).permutation(len(source.items))[:ADAPTER_PAIRS]
    model = load_text_model()
    queries = model.encode([source.inputs.queries[row] for row in chosen], "query")
    items = model.encode([source.items.texts[row] for row in chosen], "items")
    return queries, items


def adapter_value(queries: np.ndarray, items: np.ndarray, params: Params) -> float:
    """Minus NDCG@10 of judged queries after a residual linear map of query vectors was trained on the others.

    Full-batch gradient descent on in-batch InfoNCE; the first ADAPTER_TRAIN rows train, the rest are judged among all
    items. One item a query is relevant, so NDCG@10 is 1 / log2(1 + rank) up to rank 10.
    """
    train_queries, train_items = queries[:ADAPTER_TRAIN], items[:ADAPTER_TRAIN]
    change = np.zeros((queries.shape[1], items.shape[1]), dtype=np.float32)
    for _ in range(params["steps"]):
        scores = params["scale"] * (train_queries + train_queries @ change) @ train_items.T
        shares = np.exp(scores - scores.max(1, keepdims=True))
        shares /= shares.sum(1, keepdims=True)
        np.fill_diagonal(shares, shares.diagonal() - 1.0)
        slope = params["scale"] * train_queries.T @ (shares @ train_items) / len(train_queries)
        change -= np.float32(params["rate"]) * (slope + np.float32(params["weight_decay"]) * change)
    judged = queries[ADAPTER_TRAIN:]
    scores = (judged + judged @ change) @ items.T
    own = scores[np.arange(len(judged)), np.arange(ADAPTER_TRAIN, len(queries))]
    ranks = 1 + (scores > own[:, None]).sum(1)
    gains = np.where(ranks <= 10, 1.0 / np.log2(1.0 + ranks), 0.0)
    return -float(gains.mean()) if np.isfinite(scores).all() else 0.0


def adapter(vectors: tuple[np.ndarray, np.ndarray], seed: int) -> Problem:
    """Two batches of pairs without a pair in common."""
    size = ADAPTER_TRAIN + ADAPTER_JUDGED
    order = np.random.default_rng(seed).permutation(len(vectors[0]))
    first, second = order[:size], order[size : 2 * size]
    queries, items = vectors

    def past(params: Params) -> float:
        return adapter_value(queries[first], items[first], params)

    def present(params: Params) -> float:
        return adapter_value(queries[second], items[second], params)

    return SearchSpace.parse(ADAPTER_SPACE), past, present


def search(
    engine: str,
    problem: tuple[SearchSpace, Objective],
    seed: int,
    evaluations: int,
    queue: Sequence[Params] = (),
    observations: Sequence[tuple[Params, float]] = (),
) -> list[tuple[Params, float]]:
    """Serial TPE: parameters and value of each trial."""
    space, objective = problem
    proposing = make_engine(engine, space, SearchSettings(seed=seed))
    if observations:
        proposing.observe(observations)
    trials = []
    for number in range(evaluations):
        params = proposing.ask(number, queue[number] if number < len(queue) else None)
        assert params is not None
        value = objective(params)
        proposing.tell(number, Outcome("done", (value,)))
        trials.append((params, value))
    return trials


def best_so_far(engine: str, problem: Problem, seed: int) -> Iterator[tuple[str, np.ndarray]]:
    """float[BUDGET] best value after each evaluation above the target, of each way to search the present."""
    space, past_objective, objective = problem
    past = search(engine, (space, past_objective), 1000 + seed, PAST_TRIALS)
    best = [params for params, _ in sorted(past, key=lambda trial: trial[1])[:ENQUEUED]]
    gains = [(params, -value) for params, value in past]
    target = min(value for _, value in search(engine, (space, objective), 5000 + seed, TARGET_AFTER))
    for name, queue, observations in (("cold", [], []), ("enqueued", best, []), ("warm", best, gains)):
        trials = search(engine, (space, objective), seed, BUDGET, queue, observations)
        yield name, np.minimum.accumulate([value - target for _, value in trials])


def evaluations_to_target(best: np.ndarray) -> int:
    """Evaluations until the best is at the target; one more than the budget if it never is."""
    return int(np.argmax(best <= 0.0)) + 1 if best[-1] <= 0.0 else len(best) + 1


def interval_of_median(values: Sequence[int]) -> tuple[float, float]:
    """95% percentile bootstrap."""
    draws = np.random.default_rng(0).choice(values, size=(10_000, len(values)))
    low, high = np.percentile(np.median(draws, axis=1), [2.5, 97.5])
    return float(low), float(high)


def compare(case: str, problems: Sequence[Problem]) -> None:
    """Prints the rows of one case."""
    for engine in ("hyperopt", "optuna"):
        curves: dict[str, list[np.ndarray]] = {}
        for seed, problem in enumerate(problems):
            for name, best in best_so_far(engine, problem, seed):
                curves.setdefault(name, []).append(best)
        for name, all_best in curves.items():
            needed = [evaluations_to_target(best) for best in all_best]
            low, high = interval_of_median(needed)
            reached = sum(count <= BUDGET for count in needed)
            after = np.median([best[24] for best in all_best]), np.median([best[-1] for best in all_best])
            print(
                f"{case:10} {engine:9} {name:9} {np.median(needed):6.1f} [{low:5.1f}, {high:5.1f}] "
                f"{reached:3}/{len(needed)}  {after[0]:+9.4f}  {after[1]:+9.4f}",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--cases", nargs="+", default=["branin", "hartmann6", "adapter"])
    arguments = parser.parse_args()
    seeds = range(arguments.seeds)
    print("case       engine    search    median  95% interval  reached   after 25  after 100")
    if "branin" in arguments.cases:
        compare("branin", [moved_function(branin, 2, seed) for seed in seeds])
    if "hartmann6" in arguments.cases:
        compare("hartmann6", [moved_function(hartmann6, 6, seed) for seed in seeds])
    if "adapter" in arguments.cases:
        vectors = docstring_vectors()
        compare("adapter", [adapter(vectors, seed) for seed in seeds])


if __name__ == "__main__":
    main()
