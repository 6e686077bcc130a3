"""The short way to tokens gives what transformers gives; a tokenizer's key says all that decides its tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hft.models import load_text_model
from hft.models.tokenizing import token_lists, tokenizer_key

WORDS = ("file", "path", "The", "café", "[SEP]", "unknownword", "42", "", "\n", "film?!")


def many_texts(number: int = 600) -> list[str]:
    return [" ".join(WORDS[(row * step) % len(WORDS)] for step in range(row % 23)) for row in range(number)]


def by_transformers(tokenizer: Any, texts: list[str], max_length: int) -> list[list[int]]:
    found: list[list[int]] = tokenizer(texts, truncation=True, max_length=max_length)["input_ids"]
    return found


@pytest.fixture
def tokenizer(tiny_bert: Path) -> Any:
    return load_text_model(str(tiny_bert)).items_tower.tokenizer


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("max_length", [7, 64])
def test_many_texts_get_the_tokens_that_transformers_gives(tokenizer: Any, side: str, max_length: int) -> None:
    tokenizer.truncation_side = side
    texts = many_texts()
    assert token_lists(tokenizer, texts, max_length) == by_transformers(tokenizer, texts, max_length)
    assert token_lists(tokenizer, texts[:20], max_length) == by_transformers(tokenizer, texts[:20], max_length)


def test_a_tokenizer_with_code_of_its_own_is_asked_itself(tokenizer: Any) -> None:
    class Backwards:
        backend_tokenizer, truncation_side = tokenizer.backend_tokenizer, "right"

        def __call__(self, texts: list[str], **options: Any) -> dict[str, list[list[int]]]:
            return {"input_ids": [text[::-1] for text in tokenizer(texts, **options)["input_ids"]]}

    texts = many_texts()
    expected = [text[::-1] for text in by_transformers(tokenizer, texts, 16)]
    assert token_lists(Backwards(), texts, 16) == expected


def test_to_tokenise_does_not_change_the_key(tokenizer: Any) -> None:
    key = tokenizer_key(tokenizer, 32, 0)
    tokenizer(["a text", "another one"], padding=True, truncation=True, max_length=5)
    assert tokenizer_key(tokenizer, 32, 0) == key


def test_whatever_decides_tokens_decides_the_key(tokenizer: Any) -> None:
    keys = [tokenizer_key(tokenizer, 32, 0), tokenizer_key(tokenizer, 33, 0), tokenizer_key(tokenizer, 32, 1)]
    tokenizer.truncation_side = "left"
    keys.append(tokenizer_key(tokenizer, 32, 0))
    tokenizer.backend_tokenizer.normalizer = None
    keys.append(tokenizer_key(tokenizer, 32, 0))
    assert None not in keys
    assert len(set(keys)) == len(keys)


def test_the_same_files_have_the_same_key(tiny_bert: Path) -> None:
    first, second = (load_text_model(str(tiny_bert)).items_tower.tokenizer_key for _ in range(2))
    assert first == second


def test_a_tokenizer_without_a_serialisation_has_no_key() -> None:
    assert tokenizer_key(object(), 32, 0) is None
