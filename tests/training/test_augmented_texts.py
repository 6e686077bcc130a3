"""Training sees variants of texts, evaluation does not unless asked; whatever the batch, the workers, the stores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from torch.utils.data import DataLoader

from hft.data.augmentation import Augmentation, Misspellings, WordDrop
from hft.data.parts import SentenceSplitter
from hft.methods import EmbeddingsMethod
from hft.methods.tokenized import TokenizedData
from hft.stores import text_keys
from hft.training import AugmentedTexts, TokenStore
from small_training import build_small, params_with, same, settings_with, small_data, small_model, train_small

BOTH = Augmentation(Misspellings(), WordDrop(0.3), share=0.7)


def texts_of(data: TokenizedData, side: str, epoch: int, seed: int = 0) -> list[str]:
    return [data.data.augmentation.variant(t, side, seed, epoch) for t in data.texts(side).to_pylist()]  # type: ignore


@pytest.mark.parametrize("side", ["query", "items"])
def test_the_tokens_of_an_epoch_are_those_of_its_variants(tiny_bert: Path, side: str) -> None:
    model = small_model(tiny_bert, query_prompt="find: ")
    data = TokenizedData.of(small_data().with_texts(None, BOTH), model)
    seen = data.in_training(side, model, seed=4)  # type: ignore[arg-type]
    assert isinstance(seen, AugmentedTexts)
    rows = np.array([5, 0, 5, 11, 3, 7, 2])
    for epoch in (0, 3):
        expected = [texts_of(data, side, epoch, 4)[row] for row in rows]
        found = seen.of_epoch(epoch, rows)
        wanted = model.tokenize(expected, side)  # type: ignore[arg-type]
        assert [tokens.tolist() for tokens in found] == [tokens.tolist() for tokens in wanted]
        prompt = model.prompt(side)  # type: ignore[arg-type]
        assert np.array_equal(found.keys, text_keys(expected, prompt))
    assert texts_of(data, side, 0) != texts_of(data, side, 3) != data.texts(side).to_pylist()  # type: ignore[arg-type]


def test_an_epoch_without_a_change_reads_the_store(tiny_bert: Path) -> None:
    model = small_model(tiny_bert)
    store = TokenizedData.of(small_data(), model).queries
    still = AugmentedTexts(store, lambda rows: ["same"] * len(rows), lambda text, epoch: text, lambda texts: 1 / 0)  # type: ignore
    rows = np.array([3, 1])
    assert np.array_equal(still.of_epoch(0, rows).flat, store.rows(rows).flat)


def test_without_augmentation_training_reads_the_store_itself(tiny_bert: Path) -> None:
    model = small_model(tiny_bert)
    data = TokenizedData.of(small_data(), model)
    assert data.in_training("query", model, 0) is data.queries
    only = TokenizedData.of(small_data().with_texts(None, Augmentation(queries=Misspellings())), model)
    assert only.in_training("items", model, 0) is only.items
    assert only.evaluated_queries is only.queries


def test_batches_are_the_same_whatever_the_number_of_workers(tiny_bert: Path) -> None:
    loader = build_small(tiny_bert, data=small_data().with_texts(None, BOTH)).train_dataloader()
    again = DataLoader(
        loader.dataset, sampler=loader.sampler, batch_size=None, collate_fn=loader.collate_fn, num_workers=2
    )
    for one, other in zip(loader, again, strict=True):
        assert np.array_equal(one.queries.flat, other.queries.flat)
        assert np.array_equal(one.items.flat, other.items.flat)


def test_variants_are_trained_on_and_each_epoch_has_its_own(tiny_bert: Path, tmp_path: Path) -> None:
    plain = train_small(tiny_bert, tmp_path / "plain")
    augmented = [
        train_small(tiny_bert, tmp_path / str(n), data=small_data().with_texts(None, BOTH), seed=n) for n in (0, 0, 1)
    ]
    assert same(augmented[0].last, augmented[1].last)
    assert not same(augmented[0].last, plain.last)
    assert augmented[0].run.rows[0] == plain.run.rows[0]  # the start is validated on texts as they are
    sampler = build_small(tiny_bert, data=small_data().with_texts(None, BOTH)).train_dataloader()
    first = {batch.queries.flat.tobytes() for batch in sampler}
    sampler.sampler.set_epoch(1)  # type: ignore[union-attr]
    assert first.isdisjoint({batch.queries.flat.tobytes() for batch in sampler})


def test_what_is_measured_changes_only_where_it_is_asked_for(tiny_bert: Path) -> None:
    model = small_model(tiny_bert)
    asked = Augmentation(Misspellings(), None, share=1.0, do_augment_test=True)
    data = TokenizedData.of(small_data().with_texts(None, asked), model)
    wanted = model.tokenize(texts_of(data, "query", 0), "query")
    assert [tokens.tolist() for tokens in data.evaluated_queries.rows(np.arange(len(wanted)))] == [
        tokens.tolist() for tokens in wanted
    ]
    assert np.array_equal(data.evaluated_items.keys, data.items.keys)
    start = build_small(tiny_bert, data=small_data().with_texts(None, asked)).validator
    plain = build_small(tiny_bert).validator
    assert start is not None
    assert plain is not None
    assert start(model) != plain(model)


def test_what_fixed_layers_give_is_asked_for_texts_that_are_known(tiny_bert: Path) -> None:
    model = small_model(tiny_bert)
    method = EmbeddingsMethod({"name": "small"})
    known = {}
    for name, augmentation in (
        ("none", None),
        ("queries", Augmentation(Misspellings())),
        ("tests too", Augmentation(Misspellings(), do_augment_test=True)),
    ):
        data = method.tokenize(model, small_data().with_texts(SentenceSplitter(1), augmentation))
        known[name] = method.text_uses(data, settings_with(), params_with(), test=True)
    assert [len(uses) for uses in known.values()] == [2, 2, 4]
    trained = {name: [len(use.trained) for use in uses] for name, uses in known.items()}
    assert trained["none"][0] > 0
    assert trained["queries"] == [0, trained["none"][1]]
    for uses in known.values():
        assert sum(len(use.validated) for use in uses) == sum(len(use.validated) for use in known["none"])


def test_token_stores_hold_texts_as_they_are(tiny_bert: Path) -> None:
    model = small_model(tiny_bert)
    plain = TokenizedData.of(small_data(), model)
    other = TokenizedData.of(small_data().with_texts(None, BOTH), model)
    assert isinstance(other.queries, TokenStore)
    assert np.array_equal(plain.queries.keys, other.queries.keys)
    assert np.array_equal(plain.items.keys, other.items.keys)
