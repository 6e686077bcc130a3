"""Claim: in the same time hft trains a model that is no worse than the sentence-transformers trainer's, at any budget.

    python benchmarks/quality.py [--budgets 15 30 60 120] [--collections python_docs] [--threads 2] [--quick]

Both train MiniLM-L6 on the same training split for the same wall time. hft trains by its defaults for the collection
(`hft train`, `hft train experiment=movie_search`). The other side is sentence-transformers as its documentation
advises: bf16, MultipleNegativesRankingLoss with in-batch negatives (on movie_search also results shown and not picked),
batches without duplicates, warm-up and linear decay over the budget, the same rate as hft unless told otherwise. The
clock runs from the start of the training loop to the end of its last step; reading the data and loading the model come
before.

Both tuned models are then loaded from their folders and measured by the same evaluation on the same held-out queries.
The table has NDCG@10 and the difference (hft - sentence-transformers) with its 95% bootstrap interval and p of a
paired randomisation test. The last line is the smallest difference. About 13 minutes a collection on two cores. Run
it on an idle machine. movie_search needs its folder (--movie-search).
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from apart import run_apart
from machine import print_machine

MOVIES = Path(__file__).resolve().parents[2] / "shared" / "data" / "movie_search"
MINILM = "packaged:all-MiniLM-L6-v2"

# What each side trains with beside its defaults. Nothing was tuned for this comparison: the rate is that of the
# collection's defaults in hft, 32 and 2 are usual choices; --rate, --batch-size and --negatives try others.
COLLECTIONS: dict[str, dict[str, Any]] = {
    "python_docs": {"overrides": [], "max_length": 256, "rate": 1e-4, "batch_size": 32, "negatives": 0},
    "movie_search": {
        "overrides": ["experiment=movie_search"],
        "max_length": 64,
        "rate": 5e-5,
        "batch_size": 32,
        "negatives": 2,
    },
}
CALIBRATION = 10.0  # seconds
MANY_STEPS = 100_000


def measure(collection: str, arguments: argparse.Namespace, folder: Path) -> list[float]:
    """Prints a line a budget; the differences."""
    from budgets import Trained, ndcg, train_hft, train_sentence_transformers

    from hft.models.sources import find_model
    from hft.training.hardware import cpu_has_bf16

    own = COLLECTIONS[collection]
    model = find_model(arguments.model)
    max_length = min(own["max_length"], arguments.max_length)
    base = [*own["overrides"], *(arguments.hft or [])]
    if collection == "movie_search":
        base.append(f"data.source.folder='{arguments.movie_search.resolve()}'")
    options = {
        "model": str(model),
        "max_length": max_length,
        "batch_size": arguments.batch_size or own["batch_size"],
        "rate": arguments.rate or own["rate"],
        "negatives": own["negatives"] if arguments.negatives is None else arguments.negatives,
        "bf16": cpu_has_bf16(),
    }
    hft_overrides = [*base, "model=local", f"model.source='{model}'", f"model.max_length={max_length}"]

    def ours(budget: float, steps: int, where: Path) -> Trained:
        request = {"overrides": hft_overrides, "budget": budget, "max_steps": steps, "folder": where}
        trained: Trained = run_apart(train_hft, folder / "hft.log", arguments.threads, **request)
        return trained

    def theirs(budget: float, steps: int, where: Path) -> Trained:
        request = {"overrides": base, "budget": budget, "max_steps": steps, "folder": where, **options}
        trained: Trained = run_apart(train_sentence_transformers, folder / "st.log", arguments.threads, **request)
        return trained

    sides = {"hft": ours, "st": theirs}

    def measured(model: Path, tuned: Path | None) -> dict[str, Any]:
        request = {"model": model, "tuned": tuned, "outputs": folder / "outputs", "max_length": max_length}
        found: dict[str, Any] = run_apart(ndcg, folder / "ndcg.log", arguments.threads, overrides=base, **request)
        return found

    start = measured(model, None)["start"]
    seconds = min(arguments.budgets[0], CALIBRATION)
    rates = {name: train(seconds, MANY_STEPS, folder / f"{name}_calibration").rate for name, train in sides.items()}
    differences = []
    for budget in arguments.budgets:
        places = {name: folder / f"{name}_{budget:g}" for name in sides}
        done = {name: train(budget, max(2, int(budget * rates[name])), places[name]) for name, train in sides.items()}
        test = measured(places["st"] / "model", places["hft"] / "model")
        low, high = test["interval"]
        told = "  ".join(f"{name} {did.steps} steps in {did.seconds:.1f} s" for name, did in done.items())
        print(
            f"{collection:12}  {budget:6g}  {start:5.3f}  {test['start']:5.3f}  {test['tuned']:5.3f}  "
            f"{test['difference']:+10.4f}  {low:+.4f} .. {high:+.4f}  {test['p']:7.4f}  {test['queries']:7}  {told}",
            flush=True,
        )
        differences.append(float(test["difference"]))
    return differences


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budgets", type=float, nargs="+", default=[15, 30, 60, 120], help="seconds of training")
    parser.add_argument("--collections", nargs="+", choices=list(COLLECTIONS), default=list(COLLECTIONS))
    parser.add_argument("--movie-search", type=Path, default=MOVIES, help="folder of the collection movie_search")
    parser.add_argument("--threads", type=int, default=None, help="CPU threads (default: as torch chooses)")
    parser.add_argument("--model", default=MINILM, help="packaged:NAME or a folder (default: MiniLM-L6)")
    parser.add_argument("--max-length", type=int, default=512, help="cut texts shorter than the collection's default")
    parser.add_argument("--rate", type=float, default=None, help="sentence-transformers' (default: as hft's)")
    parser.add_argument("--batch-size", type=int, default=None, help="sentence-transformers' (default: 32)")
    parser.add_argument("--negatives", type=int, default=None, help="sentence-transformers': shown ones a pair")
    parser.add_argument("--hft", nargs="+", default=None, metavar="KEY=VALUE", help="further overrides of hft")
    parser.add_argument("--quick", action="store_true", help="2 seconds of training: does it work?")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.budgets = [2.0]
    print_machine(arguments.threads)
    print(
        f"{'collection':12}  budget  start     st    hft  hft - st    95% interval        p        queries  trained",
        flush=True,
    )
    differences = []
    for collection in arguments.collections:
        if collection == "movie_search" and not arguments.movie_search.is_dir():
            print("movie_search is left out: name its folder with --movie-search")
            continue
        with tempfile.TemporaryDirectory() as folder:
            differences += measure(collection, arguments, Path(folder))
    print(f"{min(differences):.4f}")


if __name__ == "__main__":
    main()
