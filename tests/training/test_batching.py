"""Each session comes once an epoch, in an order that seed and epoch decide; each text of a batch comes once."""

from __future__ import annotations

import numpy as np
import torch

from hft.methods.tokenized import TokenizedData
from hft.training import EpochSampler, PairPlanner, TokenStore, session_loader
from small_training import all_confident, small_data


class Characters:
    """Tokenises a text as its characters, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def tokenize(self, texts: list[str], side: str = "items") -> list[np.ndarray]:
        self.asked += texts
        return [np.frombuffer(text.encode(), dtype=np.uint8).astype(np.int32) for text in texts]


def order_of(sampler: EpochSampler, epoch: int) -> list[int]:
    sampler.set_epoch(epoch)
    return [int(row) for _, _, rows in sampler for row in rows]


def test_each_session_comes_once_an_epoch() -> None:
    rows = np.array([3, 5, 8, 9, 11, 12, 20])
    sampler = EpochSampler(rows, batch_size=3, seed=0)
    assert sorted(order_of(sampler, 0)) == rows.tolist()
    assert len(sampler) == 3
    assert [len(batch) for _, _, batch in sampler] == [3, 3, 1]


def test_the_order_depends_on_the_seed_and_the_epoch_alone() -> None:
    first, same, other = (EpochSampler(np.arange(50), batch_size=7, seed=seed) for seed in (1, 1, 2))
    order = order_of(first, 4)
    order_of(same, 2)
    np.random.seed(9)
    assert order_of(same, 4) == order
    assert order_of(first, 5) != order
    assert order_of(other, 4) != order


def test_an_epoch_can_start_at_any_batch_and_the_next_one_starts_at_its_first() -> None:
    sampler = EpochSampler(np.arange(10), batch_size=3, seed=0)
    whole = [(number, rows.tolist()) for _, number, rows in sampler]
    sampler.start_at = (sampler.epoch, 2)
    for _ in range(2):  # Lightning may ask for an epoch's batches more than once
        assert [(number, rows.tolist()) for _, number, rows in sampler] == whole[2:]
    sampler.set_epoch(1)
    assert [number for _, number, _ in sampler] == [0, 1, 2, 3]
    assert len(sampler) == 4


def test_a_batch_holds_each_of_its_texts_once() -> None:
    tokens = TokenizedData.of(small_data(), Characters())
    sessions = tokens.sessions(tokens.data.train, all_confident)
    planner = PairPlanner(sessions, negatives="both")
    loader = session_loader(planner, tokens.queries, tokens.items, batch_size=5, seed=0)
    batches = list(loader)
    assert sum(batch.num_sessions for batch in batches) == len(tokens.data.train)
    for batch in batches:
        texts = [text.tobytes() for text in batch.items]
        assert len(set(texts)) == len(texts)
        assert len(batch.queries) == batch.num_sessions


def test_to_read_an_epoch_draws_nothing_from_the_generator_that_dropout_uses() -> None:
    tokens = TokenizedData.of(small_data(), Characters())
    planner = PairPlanner(tokens.sessions(tokens.data.train, all_confident), negatives="shown")
    state = torch.get_rng_state()
    list(session_loader(planner, tokens.queries, tokens.items, batch_size=5, seed=0))
    assert torch.equal(torch.get_rng_state(), state)


def test_equal_texts_are_tokenised_once() -> None:
    tokenizer = Characters()
    store = TokenStore.build(["ab", "c", "ab", ""], tokenizer.tokenize)
    assert tokenizer.asked == ["ab", "c", ""]
    assert [row.tolist() for row in store.rows(np.array([2, 1, 0, 3]))] == [[97, 98], [99], [97, 98], []]
    assert store.lengths.tolist() == [2, 1, 2, 0]
    assert len(store) == 4


def test_no_texts_are_an_empty_store() -> None:
    assert len(TokenStore.build([], Characters().tokenize)) == 0
