"""Claim: a position-based model is fitted on 1,000,000 sessions of ten results in less than 60 s on two cores.

    python benchmarks/click_model_fit.py [--sessions 1000000] [--models position_based] [--quick]

Queries follow Zipf's law, as those of make_sessions.py: few make most of the sessions, many come once. The item looked
for stands somewhere in a list of others near it, and people click by position, 1/sqrt(position). The sessions are made
as arrays: reading files is data_scale.py's subject. Told are the seconds of the fit and of reading the clicks as
evidence, the peak of memory beyond the log itself, and how far the propensities are off. --models also takes
position_based_false_clicks, ubm, dbn and cascade; the first of these needs results that are shown several times for
their query, and gets a log of a twentieth of the queries. Where a log cannot tell a model, a line says why. The last
line is the seconds of the first model, fit and evidence together.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable

import numpy as np
from machine import print_machine

from hft.data import CascadeModel, ClickLog, ClickModel, DynamicBayesianModel, PositionBasedModel, UserBrowsingModel
from hft.errors import DataError

RESULTS, ITEMS, ETA = 10, 200_000, 0.5
CLICK, FALSE_CLICK = 0.85, 0.06
QUERIES_SHARE = 0.4
# Of models that need more impressions of a (query, item).
FEWER_QUERIES = {"position_based_false_clicks": 0.02}
MODELS: dict[str, Callable[[], ClickModel]] = {
    "position_based": PositionBasedModel,
    "position_based_false_clicks": lambda: PositionBasedModel(false_clicks=True),
    "ubm": UserBrowsingModel,
    "dbn": DynamicBayesianModel,
    "cascade": CascadeModel,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=1_000_000)
    parser.add_argument("--models", nargs="+", choices=tuple(MODELS), default=["position_based"])
    parser.add_argument("--quick", action="store_true", help="20,000 sessions: whether it works")
    arguments = parser.parse_args()
    print_machine()
    sessions = 20_000 if arguments.quick else arguments.sessions
    seconds, share, log, base = [], 0.0, None, 0.0
    for name in arguments.models:
        wanted = FEWER_QUERIES.get(name, QUERIES_SHARE)
        if log is None or wanted != share:
            share, log = wanted, made_log(sessions, wanted)
            base = peak_mib()
            clicks = int(log.clicks.sum())
            print(f"{len(log):,} sessions of {RESULTS} results, {clicks:,} clicks; peak so far {base:,.0f} MiB")
        started = time.perf_counter()
        try:
            fitted = MODELS[name]().fit(log)
        except DataError as error:
            raise SystemExit(f"{name}: {error}") from error
        fit = time.perf_counter() - started
        fitted.evidence(log)
        seconds.append(time.perf_counter() - started)
        print(f"{name}: fit {fit:.1f} s, evidence {seconds[-1] - fit:.1f} s, peak {peak_mib() - base:+,.0f} MiB")
        for note in fitted.notes:
            print(f"  {note}")
        by_position = fitted.examination(RESULTS)
        if by_position is not None:
            off = np.abs(by_position * np.arange(1, RESULTS + 1) ** ETA - 1).max()
            print(f"  propensities are off by {off:.1%} at most")
    print(f"{seconds[0]:.1f}")


def made_log(sessions: int, queries_share: float = QUERIES_SHARE, seed: int = 0) -> ClickLog:
    """Sessions as make_sessions.py draws them; the others of a query's list are drawn from a hundred of its own."""
    rng = np.random.default_rng(seed)
    queries = max(int(sessions * queries_share), 1)
    weights = np.cumsum((np.arange(queries) + 3.0) ** -0.8)
    asked = np.searchsorted(weights, rng.random(sessions) * weights[-1])
    wanted = rng.integers(ITEMS, size=queries)[asked]
    shown = np.empty((sessions, RESULTS), dtype=np.int32)
    shown[:, 0] = wanted
    # Distinct places of a hundred, of which the query's own item takes none.
    steps = np.cumsum(rng.integers(1, 11, (sessions, RESULTS - 1)), axis=1)
    shown[:, 1:] = (wanted[:, None] + steps) % ITEMS
    order = np.argsort(rng.random(shown.shape) * (np.arange(RESULTS) + 1.0) ** 0.5, axis=1)
    shown = np.take_along_axis(shown, order, axis=1)
    attraction = np.where(shown == wanted[:, None], CLICK, FALSE_CLICK)
    clicks = rng.random(shown.shape) < attraction / np.arange(1, RESULTS + 1) ** ETA
    offsets = np.arange(sessions + 1, dtype=np.int64) * RESULTS
    return ClickLog(clicks.ravel(), offsets, asked.astype(np.int32), shown.ravel(), ITEMS)


def peak_mib() -> float:
    """Most memory that this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
