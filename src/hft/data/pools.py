"""The items that evaluation ranks for each query where it ranks a corpus."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hft.data.splitters import TEST

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hft.data.inputs import FineTuningInputs


def evaluation_pools(
    validation: FineTuningInputs,
    test: FineTuningInputs,
    needed: NDArray[np.bool_],
    validation_pool: int,
    limit_items: int | None,
    seed: int,
) -> dict[str, NDArray[np.int32]]:
    """Rows of the items that validation and test rank, sorted: `int32[items]` each.

    The test ranks the whole corpus unless limited. Validation ranks fewer, drawn among items that test does
    not need: selection sees nothing of the test. What is relevant to a query is always in its pool.

    Args:
        validation: its sessions.
        test: its sessions.
        needed: `bool[splits, items]` as hft.data.held_out.relevant_items gives it.
        validation_pool: size of the validation pool.
        limit_items: largest size of either pool; None does not limit.
        seed: of the draws.
    """
    everything = np.arange(needed.shape[1], dtype=np.int32)
    limit = len(everything) if limit_items is None else limit_items
    rng = np.random.default_rng([seed, 0x706F6F6C])
    return {
        "validation": _pool(validation, everything[~needed[TEST]], min(validation_pool, limit), rng),
        "test": _pool(test, everything, limit, rng),
    }


def _pool(
    inputs: FineTuningInputs, choices: NDArray[np.int32], size: int, rng: np.random.Generator
) -> NDArray[np.int32]:
    labels = inputs.labels()
    relevant = np.unique(labels.rows[labels.grades > 0])
    others = np.setdiff1d(choices, relevant)
    room = min(max(size - len(relevant), 0), len(others))
    drawn = others if room == len(others) else rng.choice(others, size=room, replace=False)
    return np.sort(np.concatenate([relevant, drawn])).astype(np.int32)
