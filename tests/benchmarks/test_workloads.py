"""W1 is what its docstring says, and both sides of a comparison learn the same from it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import turns
import workloads
from listed_negatives import ListedNegativesLoss
from sides import reference_side

import hft
from hft.losses import FineTuningFeatures, InfoNCELoss

WORDS = ("server", "film", "path", "number", "list", "cinema", "message", "file", "answer", "night", "tree", "lake")
DOCS = (
    [f"which {first} has a {second} {n}" for first in WORDS for n, second in enumerate(WORDS * 4)],
    [f"the {first} {'of the ' * (n % 30)}{second} {n}" for first in WORDS for n, second in enumerate(WORDS * 4)],
)


def _workload(folder, tiny_bert, *more):
    asked = ["--model", str(tiny_bert), "--sessions", "32", "--max-length", "64", *more]
    return workloads.build(folder, workloads.parser_of(None).parse_args(asked), DOCS)


def test_no_item_is_dealt_twice_and_every_session_has_one_of_each_layer_of_lengths():
    lengths = np.random.default_rng(0).permutation(np.arange(1000))
    dealt = workloads.deal(lengths, 100, np.random.default_rng(1))
    assert dealt.shape == (100, workloads.RESULTS)
    assert len(np.unique(dealt)) == dealt.size
    assert (np.sort(lengths[dealt], axis=1) // 100 == np.arange(workloads.RESULTS)).all()
    assert len(set(lengths[dealt[:, 0]] // 100)) == workloads.RESULTS  # any length may be the picked one


def test_the_files_hold_a_picked_text_and_nine_others_a_query(tmp_path, tiny_bert):
    workload = _workload(tmp_path, tiny_bert)
    rows = workload.texts()
    text_of = dict(zip(*DOCS, strict=True))
    assert len(rows) == workload.sessions == 32
    assert all(text_of[query] == picked for query, picked, *_ in rows)
    assert all(len(set(row[1:])) == workloads.RESULTS for row in rows)
    assert len({text for row in rows for text in row[1:]}) == 32 * workloads.RESULTS
    assert workload.duplicates == 0.0


def test_independently_drawn_negatives_repeat_within_a_batch(tmp_path, tiny_bert):
    workload = _workload(tmp_path, tiny_bert, "--listed", "independent")
    rows = workload.texts()
    assert all(len(set(row[1:])) == workloads.RESULTS for row in rows)
    texts = [text for row in rows for text in row[1:]]
    assert 0.0 < workload.duplicates == pytest.approx(1.0 - len(set(texts)) / len(texts))


def test_hft_trains_on_exactly_the_listed_pairs(tmp_path, tiny_bert):
    workload = _workload(tmp_path, tiny_bert)
    overrides = workload.overrides("settings.num_epochs=1", "trainer.accelerator=cpu", "threads=1")
    hft.train(hft.compose(overrides), folder=tmp_path / "run")
    steps = [json.loads(line) for line in (tmp_path / "run" / "steps.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["train_pairs"] for row in steps if "train_pairs" in row] == [32 * (workloads.RESULTS - 1)]


def test_both_sides_take_the_same_loss():
    torch.manual_seed(0)
    rows, candidates = 4, workloads.RESULTS
    vectors = torch.nn.functional.normalize(torch.randn(1 + candidates, rows, 8), dim=-1)
    theirs = ListedNegativesLoss(None, scale=20.0).compute_loss_from_embeddings(list(vectors), None)
    ranks = torch.einsum("rd,crd->rc", vectors[0], vectors[1:])
    pairs = (rows, candidates - 1)
    ones = torch.ones(pairs).flatten()
    ours = InfoNCELoss(temperature=0.05)(
        FineTuningFeatures(
            positive_ranks=ranks[:, :1].expand(pairs).flatten(),
            negative_ranks=ranks[:, 1:].flatten(),
            positive_confidences=ones,
            negative_confidences=ones,
            positive_index=torch.arange(rows)[:, None].expand(pairs).flatten(),
            target=ones,
            num_positives=rows,
            margin=0.0,
            is_irrelevant=torch.zeros(len(ones), dtype=torch.bool),
        )
    )
    torch.testing.assert_close(ours, theirs)


class _Connection:
    """A pipe whose other end asks for turns, and then for the end."""

    def __init__(self, *asked):
        self.asked = [*asked, None]
        self.sent = []

    def recv(self):
        return self.asked.pop(0)

    def send(self, turn):
        self.sent.append(turn)


def test_a_turn_ends_with_the_step_that_reaches_its_sessions():
    connection = _Connection(4, 6)
    baton = turns.Baton(connection)
    for loss in range(3):
        baton.step_done(3, loss=float(loss))
    with pytest.raises(SystemExit):
        baton.step_done(3, loss=3.0)
    assert [turn.sessions for turn in connection.sent] == [6, 6]
    assert [[step["loss"] for step in turn.steps] for turn in connection.sent] == [[0.0, 1.0], [2.0, 3.0]]


def test_the_reference_trains_a_session_a_step(tmp_path, tiny_bert):
    connection = _Connection(2)
    with pytest.raises(SystemExit):
        reference_side(turns.Baton(connection), _workload(tmp_path, tiny_bert), padded_to=64)
    assert [(turn.sessions, len(turn.steps)) for turn in connection.sent] == [(2, 2)]


def test_the_ratio_is_the_median_over_pairs():
    ours = [turns.Turn(1.0, 30), turns.Turn(1.0, 10), turns.Turn(1.0, 20)]
    theirs = [turns.Turn(2.0, 2), turns.Turn(2.0, 2), turns.Turn(2.0, 20)]
    assert turns.median_ratio(ours, theirs) == 10.0
