"""What a hundred weekly looks at the gate promote, by how the error is shared out among them.

    python benchmarks/promotion_gate.py            # the tables of docs/statistics.md, some minutes
    python benchmarks/promotion_gate.py --quick    # whether it works

Each week a candidate is held against the champion over new test queries: most candidates are as good as the champion,
some are worse, some better. The p of a look is hft's: the level at which the lower bound of the gain is 0. All rules
see the same looks. Printed are, over 100 looks: the chance of any wrong promotion (of a candidate that is truly no
better) and the mean number of them; how many better ones are promoted; and the power at looks 1, 10 and 52.

LORD++: Ramdas, Yang, Wainwright and Jordan, "Online control of the false discovery rate with decaying memory", 2017.
SAFFRON: Ramdas, Zrnic, Wainwright and Jordan, "SAFFRON: an adaptive algorithm for online control of the FDR", 2018.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import numpy.typing as npt

from hft.metrics.mean_bound import one_sided_p
from hft.metrics.promotion import ALPHA

Values = npt.NDArray[np.float64]
# Levels of the looks so far and this one's p decide: from float64[looks] p, bool[looks] promoted.
Rule = Callable[[Values], npt.NDArray[np.bool_]]

LOOKS, HISTORIES = 100, 200
QUERIES = 500
SHARE_CHANGED, SCATTER = 0.4, 0.15
# True gains of the candidates of a world, and how often each comes.
WORLDS = {
    "none is better": ((0.0, 0.7), (-0.01, 0.3), (0.03, 0.0)),
    "one in ten is better by .03": ((0.0, 0.6), (-0.01, 0.3), (0.03, 0.1)),
    "one in three is better by .03": ((0.0, 0.4), (-0.01, 0.27), (0.03, 0.33)),
}
PROBED = (1, 10, 52)
PROBE = 0.03


def window_of(length: int) -> Rule:
    """hft's: each set of queries has alpha / window; its first candidate 6 / pi^2 of that."""

    def promoted(p: Values) -> npt.NDArray[np.bool_]:
        return p < ALPHA / length * 6.0 / np.pi**2

    return promoted


def for_ever(p: Values) -> npt.NDArray[np.bool_]:
    """alpha 6 / (pi^2 k^2) for the k-th look there ever was."""
    return np.asarray(p < ALPHA * 6.0 / (np.pi * np.arange(1, len(p) + 1)) ** 2)


def lord(p: Values) -> npt.NDArray[np.bool_]:
    """LORD++ with w0 = alpha / 10."""
    places = np.arange(1, len(p) + 1)
    gamma = 0.07720838 * np.log(np.maximum(places, 2)) / (places * np.exp(np.sqrt(np.log(places))))
    first, found = ALPHA / 10.0, np.zeros(len(p), dtype=bool)
    for look in range(len(p)):
        level = gamma[look] * first
        for number, past in enumerate(np.flatnonzero(found[:look])):
            level += gamma[look - past - 1] * (ALPHA - first if number == 0 else ALPHA)
        found[look] = p[look] < level
    return found


def saffron(p: Values) -> npt.NDArray[np.bool_]:
    """SAFFRON with lambda = 1/2 and w0 = alpha / 4."""
    candidate, share = p < 0.5, 0.5
    gamma = np.arange(1.0, len(p) + 2.0) ** -1.6
    gamma /= (np.arange(1.0, 1e6) ** -1.6).sum()
    first, found = ALPHA / 4.0, np.zeros(len(p), dtype=bool)
    for look in range(len(p)):
        level = first * gamma[look - int(candidate[:look].sum())]
        for number, past in enumerate(np.flatnonzero(found[:look])):
            place = look - past - 1 - int(candidate[past + 1 : look].sum())
            level += gamma[place] * (share * ALPHA - first if number == 0 else share * ALPHA)
        found[look] = p[look] < min(share, level)
    return found


RULES: dict[str, Rule] = {
    "for ever": for_ever,
    "window of 12": window_of(12),
    "window of 26": window_of(26),
    "window of 52": window_of(52),
    "LORD++": lord,
    "SAFFRON": saffron,
}


def look_p(random: np.random.Generator, gain: float) -> float:
    """The p of one look at differences of NDCG as they are: none for most queries, long tails for the rest."""
    tails = random.standard_t(5, QUERIES) * SCATTER / np.sqrt(SHARE_CHANGED * 5 / 3)
    changed = random.random(QUERIES) < SHARE_CHANGED
    gains = (np.where(changed, tails, 0.0) + gain).clip(-1.0, 1.0).round(4)
    errors = gains.mean() / (gains.std() / np.sqrt(QUERIES))
    if errors < 1.0:  # above every level; which side of 1/2 it is on is all that a rule asks
        return 0.3 if errors > 0.0 else 0.7
    return one_sided_p(gains)


def history(case: tuple[str, int, int]) -> dict[str, tuple[int, int, bool, bool, bool]]:
    """By rule: wrong promotions, right ones, and whether the better candidate at each probed look is promoted."""
    world, number, looks = case
    random = np.random.default_rng([number, list(WORLDS).index(world)])
    gains, shares = zip(*WORLDS[world], strict=True)
    true = random.choice(gains, size=looks, p=shares)
    p = np.array([look_p(random, gain) for gain in true])
    found = {}
    for name, rule in RULES.items():
        promoted = rule(p)
        power = []
        for probed in PROBED:
            with_probe = p[:probed].copy()
            with_probe[-1] = look_p(np.random.default_rng([number, probed]), PROBE)
            power.append(bool(rule(with_probe)[-1]))
        found[name] = (int((promoted & (true <= 0)).sum()), int((promoted & (true > 0)).sum()), *power)
    return found


def main() -> None:
    """Prints a table a world."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="10 histories instead of 200")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: 2)")
    args = parser.parse_args()
    with ProcessPoolExecutor(args.jobs) as pool:
        for world in WORLDS:
            cases = [(world, number, LOOKS) for number in range(10 if args.quick else HISTORIES)]
            histories = list(pool.map(history, cases, chunksize=5))
            heading = ("any wrong", "wrong", "right", *(f"power at {look}" for look in PROBED))
            print(f"\n| {world} | {' | '.join(heading)} |\n|---|{'---|' * len(heading)}")
            for name in RULES:
                counts = np.array([one[name] for one in histories], dtype=float)
                values = [f"{(counts[:, 0] > 0).mean():.3f}", *(f"{mean:.2f}" for mean in counts.mean(axis=0))]
                print(f"| {name} | {' | '.join(values)} |", flush=True)


if __name__ == "__main__":
    main()
