"""A bound of a mean, and a p, that hold their level for few, skewed and mostly zero values.

Differences of ranking metrics are 0 for most queries and skewed for the rest: a candidate may gain a little in many
places and lose everything in a few that the sample happens to lack. Student's t then promises too much, the more so at
the small levels of later looks: with 275 queries and a level of 0.0003 a truly equal candidate passed 60 to 200 times
as often as promised (simulated; tests/metrics/test_mean_bound.py repeats it). `lower_bound` is Gaffke's: the Bayesian
bootstrap of the sample *and one query more, which lost as much as a query can lose*. It needs no minimum of queries,
because the one more weighs as much as each of them; for values of 0 and 1 it is Clopper and Pearson's exact bound; no
case is known in which it does not hold its level. Its price against t is a bound some 50% further from the mean with
275 queries, and 10% with 4,000.

Sources: Gaffke, "Three test statistics for a nonparametric one-sided hypothesis on the mean of a nonnegative variable",
Mathematical Methods of Statistics 14, 2005; Learned-Miller and Thomas, "A new confidence interval for the mean of a
bounded random variable", 2019 (arXiv 1905.06208). Rubin, "The Bayesian bootstrap", Annals of Statistics 9, 1981. The
quantile is computed, not drawn: at a level of 1e-4 draws would take a million. The tail of a weighted sum of
exponential variables is Lugannani and Rice's, "Saddle point approximation for the distribution of the sum of
independent random variables", Advances in Applied Probability 12, 1980; Butler, "Saddlepoint Approximations with
Applications", 2007, section 1.2.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

# Below this the two terms of the saddlepoint formula cancel to noise, and its limit is taken.
_NEAR_THE_MEAN = 1e-2
# How close to the ends of its range the saddlepoint is looked for, as a share.
_EDGE = 1e-12


def lower_bound(values: npt.ArrayLike, level: float, lowest: float = -1.0, *, copies: float = 1.0) -> float:
    """One-sided lower bound of the mean that values come from: above it with a chance of at most `level`.

    The `level` quantile of sum_i d_i x_i, where x are the values and `lowest`, and d is uniform over all shares that
    add up to 1. The module says why, and from where.

    Args:
        values: float[queries], at least one.
        level: between 0 and 0.5.
        lowest: no value can be below it.
        copies: counts each value so many times: the bound that as many queries of the same kind would give.

    Raises:
        ValueError: no value, or a level outside of 0 to 0.5.
    """
    from scipy.optimize import brentq

    sample = np.asarray(values, dtype=np.float64)
    if len(sample) == 0 or not 0.0 < level < 0.5:
        raise ValueError("a bound needs values and a level between 0 and 0.5")
    lowest = min(lowest, float(sample.min()))
    points, weights = _with_one_more(sample, lowest, copies)
    if points.max() <= lowest:
        return lowest
    middle = float((weights * points).sum() / weights.sum())
    points = points - middle

    def beyond(tilt: float) -> float:
        return _mean_and_chance(points, weights, tilt)[1] - level

    # Without a tilt it is the middle, which about half of the sums are below; the further the tilt, the lower the mean.
    least = (1.0 - _EDGE) / float(points.min())
    tilt = float(brentq(beyond, least, 0.0, xtol=1e-300, rtol=1e-10)) if beyond(0.0) > 0.0 else 0.0
    return max(lowest, middle + _mean_and_chance(points, weights, tilt)[0])


def spread_of(*values: Values) -> float:
    """The largest difference between two values of a metric: 1 if all lie between 0 and 1, as the shipped ones do.

    Of another metric it is the distance between the largest and the smallest value that was seen, and at least 1.

    Args:
        values: float[queries] each, of some models.
    """
    low, high = min(float(of.min()) for of in values), max(float(of.max()) for of in values)
    return 1.0 if low >= 0.0 and high <= 1.0 else max(1.0, high - low)


def two_sided_p(values: npt.ArrayLike, spread: float = 1.0) -> float:
    """Two-sided p of a mean of 0: twice the smallest level whose bound, from below or from above, leaves 0 out.

    Args:
        values: float[queries], differences, at least one.
        spread: no difference can be larger.
    """
    sample = np.asarray(values, dtype=np.float64)
    return min(1.0, 2.0 * min(one_sided_p(sample, spread), one_sided_p(-sample, spread)))


def one_sided_p(values: npt.ArrayLike, spread: float = 1.0) -> float:
    """The smallest level at which the lower bound of a mean is above 0: see `two_sided_p`."""
    return _chance_of_zero(*_with_one_more(np.asarray(values, dtype=np.float64), -spread))


def _with_one_more(sample: Values, lowest: float, copies: float = 1.0) -> tuple[Values, Values]:
    """(float64[points], float64[points] how often): many queries share a value, 0 above all; and the one more."""
    distinct, counts = np.unique(sample, return_counts=True)
    return np.append(distinct, lowest), np.append(counts * copies, 1.0)


def _chance_of_zero(points: Values, weights: Values) -> float:
    """P(sum_i g_i a_i <= 0): see `_mean_and_chance`."""
    from scipy.optimize import brentq

    lowest, highest = float(points.min()), float(points.max())
    if lowest >= 0.0 or highest <= 0.0:
        return float(highest <= 0.0)

    def mean(tilt: float) -> float:
        return _mean_and_chance(points, weights, tilt)[0]

    tilt = brentq(mean, (1.0 - _EDGE) / lowest, (1.0 - _EDGE) / highest, xtol=1e-300, rtol=1e-12)
    return _mean_and_chance(points, weights, float(tilt))[1]


def _mean_and_chance(points: Values, weights: Values, tilt: float) -> tuple[float, float]:
    """A mean m, and P(sum_i g_i (a_i - m) <= 0) of points a and independent Gamma variables g of shapes `weights`.

    With g_i exponential, g over its sum is uniform over all shares, and the sign of a sum does not change by what it
    is divided by. The saddlepoint s of the sum solves sum_i w_i (a_i - m) / (1 - s (a_i - m)) = 0. With t =
    s / (1 + s m) that is an equation for m: the mean of the points, each weighing w_i / (1 - t a_i).

    Args:
        points: float64[points], some below 0 and some above.
        weights: float64[points].
        tilt: t, between the inverses of the lowest and the highest point.
    """
    from scipy.special import ndtr

    shares = weights / (1.0 - tilt * points)
    mean = float((shares * points).sum() / shares.sum())
    s, centred = tilt / (1.0 - tilt * mean), points - mean
    height = float((weights * np.log1p(-s * centred)).sum())
    root = math.copysign(math.sqrt(max(2.0 * height, 0.0)), s)
    if abs(root) < _NEAR_THE_MEAN:
        second, third = float((weights * centred**2).sum()), float(2.0 * (weights * centred**3).sum())
        return mean, 0.5 + third / (6.0 * math.sqrt(2.0 * math.pi) * second * math.sqrt(second))
    width = s * math.sqrt(float((weights * (centred / (1.0 - s * centred)) ** 2).sum()))
    density = math.exp(-0.5 * root * root) / math.sqrt(2.0 * math.pi)
    return mean, float(ndtr(root)) + density * (1.0 / root - 1.0 / width)
