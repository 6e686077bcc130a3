"""What is said of a search's winner and its runner-up: how far apart they are, and whether the queries can tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hft.running.winner_lead import winner_lead
from hft.search import SweepState, Trial
from sweep_states import sweep_state

QUERIES = 300


def kept(folder: Path, values: np.ndarray, split: str = "validation") -> None:
    folder.mkdir(parents=True)
    hashes = np.array([f"{number:016x}" for number in range(len(values))])
    np.savez(folder / "per_query.npz", **{f"{split}/ndcg@10/tuned": values, f"{split}/query_hash": hashes})  # type: ignore[arg-type]  # keywords are arrays here


def state(folder: Path, values: list[float], metric: str = "ndcg@10") -> SweepState:
    trials = [Trial(number, {}, "done", values=(value,), folder=str(number)) for number, value in enumerate(values)]
    return sweep_state(folder, trials, metric=(metric,))


def values_of(gain: float) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0.0, 0.2, QUERIES)
    return (0.4 + gain + noise * bool(gain)).clip(0.0, 1.0)


@pytest.mark.parametrize(("gain", "answer"), [(0.1, "more than chance"), (0.005, "cannot tell the two apart")])
def test_the_lead_has_an_interval_over_the_queries_that_both_have(tmp_path: Path, gain: float, answer: str) -> None:
    kept(tmp_path / "0", values_of(0.0))
    kept(tmp_path / "1", values_of(gain))
    said = winner_lead(state(tmp_path, [0.4, 0.4 + gain, 0.1]))
    assert said is not None
    assert said.startswith(f"Lead over the runner-up, trial 0: {gain:.4f} ndcg@10; winner - runner-up over 300")
    assert said.endswith(f"{answer}.")


def test_of_folds_a_querys_value_is_that_of_its_fold(tmp_path: Path) -> None:
    for trial, gain in ((0, 0.0), (1, 0.1)):
        for seed in range(2):
            kept(tmp_path / str(trial) / f"seed_{seed}", values_of(gain))
    said = winner_lead(state(tmp_path, [0.4, 0.5]))
    assert said is not None
    assert "over 300 validation queries" in said


@pytest.mark.parametrize("metric", ["ndcg@10", "loss"])
def test_without_values_a_query_it_cannot_tell(tmp_path: Path, metric: str) -> None:
    said = winner_lead(state(tmp_path, [0.4, 0.4001], metric))
    assert said is not None
    assert "Cannot tell whether it is more than chance: the trials kept no values of the same queries" in said


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    kept(tmp_path / "0", values_of(0.0))
    (tmp_path / "0" / "per_query.npz").write_bytes(b"PK\x03\x04 torn")
    said = winner_lead(state(tmp_path, [0.4, 0.5]))
    assert said is not None
    assert "Cannot tell" in said
    assert "per_query.npz" in said


def test_one_trial_has_no_runner_up(tmp_path: Path) -> None:
    assert winner_lead(state(tmp_path, [0.4])) is None
