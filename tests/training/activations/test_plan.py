"""Keeping what fixed layers give is decided by counts alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hft.training.activations import Work, decide

# W1 with 5 of 6 layers fixed: 2,541 texts of 78 tokens, four epochs, two validations, two looks at test.
WORK = Work(
    layers=6,
    cut=5,
    texts=2541,
    missing_texts=2541,
    missing_tokens=200_000,
    held_cut=0,
    trained=180_000,
    validated=10_000,
    tested=20_000,
    epochs=4,
    validations=2,
    tests=2,
    uses=1,
    nbytes=155_000_000,
)


def test_several_epochs_pay_and_the_line_says_how_much():
    decision = decide(WORK, "auto")
    assert decision.keeps
    assert decision.line.format(folder="outputs/stores") == (
        "Layers 0-4 are fixed: what they give is computed once for 2,541 texts (155 MB in outputs/stores), about "
        "1.6x faster over 4 epochs."
    )


def test_one_epoch_alone_does_not_pay_and_the_line_says_so():
    decision = decide(replace(WORK, epochs=1, validations=1, tests=0), "auto")
    assert not decision.keeps
    assert decision.line == "Layers 0-4 are fixed; what they give is not kept: one epoch would not pay."


def test_one_epoch_pays_where_more_trials_come():
    decision = decide(replace(WORK, epochs=1, validations=1, tests=0, uses=4), "auto")
    assert decision.keeps
    assert "later trials" in decision.line


def test_what_is_there_is_read_whatever_it_saves():
    decision = decide(replace(WORK, missing_texts=0, missing_tokens=0), "auto")
    assert not decision.keeps
    assert decision.line == "Layers 0-4 are fixed: what they give is kept already for 2,541 texts."


def test_whoever_asks_gets_it_kept_though_it_does_not_pay():
    decision = decide(replace(WORK, epochs=1, validations=0, tests=0), True)
    assert decision.keeps
    assert "stores.activations=true" in decision.line


def test_to_go_on_from_fewer_layers_costs_what_is_between():
    further = replace(WORK, held_cut=4)
    assert further.to_keep < WORK.to_keep / 3
    assert further.warm == WORK.warm
    assert further.without < WORK.without


def test_one_layer_is_told_as_one():
    assert decide(replace(WORK, cut=1), "auto").line.startswith("Layer 0 is fixed")


@pytest.mark.parametrize("epochs", [1, 2, 4, 8])
def test_with_everything_fixed_the_gain_grows_with_the_epochs(epochs: int):
    work = replace(WORK, cut=6, epochs=epochs)
    assert work.without / (work.to_keep + work.warm) > 0.7 * epochs
