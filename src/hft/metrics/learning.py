"""A plain verdict on learning curves: did it learn, is it still learning, has it begun to overfit?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from hft.metrics.comparison import SIGNIFICANT_BELOW, Comparison

Curve = Sequence[tuple[int, float]]
Direction = Literal["maximize", "minimize"]

# Changes of the metric below this share of its first value are taken for noise. Validation sets of some
# hundred queries move by about as much between two neighbouring steps.
NOISE_SHARE = 0.01
# Still improving: at least this share of the whole gain came in the last third of the steps.
LATE_GAIN_SHARE = 0.2
# With fewer validations after step 0 nothing is said of whether it levelled off.
ENOUGH_VALIDATIONS = 3
# No ranking metric to be maximised goes higher.
MAXIMUM = 1.0


def learning_verdict(
    curves: Mapping[str, Curve],
    main_metric: str = "ndcg@10",
    direction: Direction = "maximize",
    *,
    gain: Comparison | None = None,
    fall: Comparison | None = None,
) -> str:
    """One sentence, its first words one of a few.

    With the validation metric's first, best and last value; a change is real if its interval leaves out 0, and counts
    from NOISE_SHARE of the first value on:

    | begins with | rule, the first that holds |
    |---|---|
    | `too few validations` | fewer than two values |
    | `overfitting since step N` | a real fall from the best to the last value, the training loss fell on, and |
    | | ENOUGH_VALIDATIONS values after step 0 |
    | `getting worse since step N` | a real fall |
    | `no change` | best is no better than first |
    | `no clear change` | the gain is not real |
    | `improving`, reached the maximum | best is MAXIMUM to three digits, of a metric to be maximised |
    | `improving`, cannot tell | last is worse than best, but the fall is not real |
    | `improving`, too few validations | fewer than ENOUGH_VALIDATIONS values after step 0 |
    | `underfitting, still improving` | best is the last one, and LATE_GAIN_SHARE of the gain came late |
    | `improving`, levelled off | all else |

    Args:
        curves: (step, value) by rising step, by name: `train_loss` and `validation_` + main_metric are read.
        main_metric: name of the metric, `ndcg@10`.
        direction: whether a higher or a lower value of it is better.
        gain: the starting model against the best weights, over the validation queries, at `level_of_curve`.
        fall: the best weights against the last ones, likewise. None: not known, and no change is called real.
    """
    values = list(curves.get(f"validation_{main_metric}", ()))
    if len(values) < 2:
        return f"too few validations to tell: {len(values)} of {main_metric}; lower settings.test_each_n_inputs"
    sign = 1.0 if direction == "maximize" else -1.0
    (_, first), (last_step, last) = values[0], values[-1]
    best_step, best = max(values, key=lambda point: sign * point[1])
    noise, is_enough = NOISE_SHARE * abs(first), sum(step > 0 for step, _ in values) >= ENOUGH_VALIDATIONS
    fell = sign * (best - last) > noise
    if fell and _is_real(fall, -sign):
        train_loss = curves.get("train_loss", ())
        return _after_the_best(train_loss, best_step, best, last, main_metric, fall, is_enough=is_enough)
    if sign * (best - first) <= noise:
        unclear = f"; cannot tell whether it got worse ({last:.3f} at the end{_uncertainty(fall)})" if fell else ""
        return f"no change: validation {main_metric} stayed within 1% of {first:.3f}{unclear}"
    moved = f"validation {main_metric} went from {first:.3f} to {best:.3f}"
    if not _is_real(gain, sign):
        return f"no clear change: {moved}, which can be chance{_uncertainty(gain)}"
    moved += _uncertainty(gain)
    if direction == "maximize" and round(best, 3) == MAXIMUM:
        return f"improving: {moved} and reached the maximum"
    if fell:
        return f"improving: {moved}; cannot tell whether it fell back to {last:.3f} since step {best_step}"
    if not is_enough:
        return f"improving: {moved}; too few validations to say whether it levelled off"
    if best_step == last_step and _late_gain(values, sign) >= LATE_GAIN_SHARE * sign * (best - first):
        return f"underfitting, still improving: {moved} at the last step; more epochs may gain more"
    return f"improving: {moved} and levelled off"


def level_of_curve(validations: int) -> float:
    """Level of an interval of the difference to the best of so many validations after step 0.

    The best is chosen among them, so that each may err 1/validations as often (Bonferroni).
    """
    return 1.0 - SIGNIFICANT_BELOW / max(1, validations)


def _is_real(change: Comparison | None, sign: float) -> bool:
    """Whether a change is above 0 times the sign, whatever the sample."""
    if change is None or change.interval is None:
        return False
    low, high = change.interval
    return low > 0.0 if sign > 0 else high < 0.0


def _uncertainty(change: Comparison | None) -> str:
    if change is None or change.interval is None or change.difference is None:
        return " (its uncertainty is not known)"
    low, high = change.interval
    return f" ({change.difference:+.3f}, {low:+.3f} to {high:+.3f} over {change.queries:,} queries)"


def _after_the_best(
    train_loss: Curve,
    best_step: int,
    best: float,
    last: float,
    main_metric: str,
    fall: Comparison | None,
    *,
    is_enough: bool,
) -> str:
    fell_back = f"validation {main_metric} was best there ({best:.3f}) and fell back to {last:.3f}{_uncertainty(fall)}"
    if not _kept_falling(train_loss, best_step):
        return (
            f"getting worse since step {best_step}: {fell_back}, and the training loss did not fall either; "
            "try a lower learning rate"
        )
    if not is_enough:
        return f"getting worse since step {best_step}: {fell_back}; too few validations to call it overfitting"
    return f"overfitting since step {best_step}: {fell_back} while the training loss went on falling"


def _kept_falling(train_loss: Curve, best_step: int) -> bool:
    """Whether the mean loss after the step is below that of as many values up to it."""
    after = [value for step, value in train_loss if step > best_step]
    before = [value for step, value in train_loss if step <= best_step][-len(after) :] if after else []
    if not before:
        # Best before the first step: compare the two halves of what follows.
        half = len(after) // 2
        before, after = after[:half], after[half:]
    if not before or not after:
        return False
    return sum(after) / len(after) < sum(before) / len(before)


def _late_gain(values: Curve, sign: float) -> float:
    """What the last third of the steps added to the best of the first two thirds."""
    first_step, last_step = values[0][0], values[-1][0]
    border = first_step + (last_step - first_step) * 2 / 3
    early = [value for step, value in values if step <= border]
    return sign * values[-1][1] - max(sign * value for value in early)
