"""Builds tiny but real models: a BERT of a few layers with a real WordPiece tokenizer, as a folder with safetensors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

TEXTS = (
    "Returns the absolute path of a file.",
    "Sends a message to the server and waits for its answer.",
    "Which films were shown in the cinema last night?",
    "A list of numbers, sorted from the smallest to the largest one.",
)
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,:;?!-_()'\"/"


def build_tiny_bert(
    folder: Path,
    *,
    layers: int = 2,
    hidden: int = 32,
    heads: int = 4,
    intermediate: int | None = None,
    texts: Sequence[str] = TEXTS,
    max_positions: int = 64,
    dropout: float = 0.1,
    pooler: bool = True,
    seed: int = 0,
) -> Path:
    """Writes a BERT encoder (`layers` layers of width `hidden`) and its tokenizer; returns the folder.

    Args:
        intermediate: width inside a layer; twice that of the layer where none is given.
        folder: made where it is missing.
        texts: their words become whole tokens; all other words are cut into characters.
        max_positions: tokens that the model can take.
        dropout: of hidden states and attention.
        pooler: whether the pooler's weights are written.
        seed: of the weights; the caller's random state is left alone.
    """
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = _vocabulary(texts)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=intermediate or 2 * hidden,
        max_position_embeddings=max_positions,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        initializer_range=0.2,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        BertModel(config, add_pooling_layer=pooler).save_pretrained(folder)
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), _SPECIAL, strict=True))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=_word_piece(vocabulary), model_max_length=max_positions, **names
    )
    tokenizer.save_pretrained(folder)
    return folder


def _vocabulary(texts: Sequence[str]) -> dict[str, int]:
    splitter = pre_tokenizers.BertPreTokenizer()
    words = {word for text in texts for word, _ in splitter.pre_tokenize_str(text.lower())}
    characters = [*_CHARACTERS, *("##" + character for character in _CHARACTERS)]
    return {token: place for place, token in enumerate([*_SPECIAL, *characters, *sorted(words - set(_CHARACTERS))])}


def _word_piece(vocabulary: dict[str, int]) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")],
    )
    return tokenizer


def write_tiny_clip(folder: Path, *, image_size: int = 24, seed: int = 0) -> Path:
    """Writes a CLIP of one layer a tower with a tokenizer and an image processor, as transformers does."""
    from transformers import CLIPConfig, CLIPModel

    from hft.models.caption_words import caption_tokenizer

    text = {
        "vocab_size": 256,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 16,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 3,
    }
    vision = {
        "image_size": image_size,
        "patch_size": 8,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=16))
    model.save_pretrained(folder)
    caption_tokenizer(TEXTS, 256, 16).save_pretrained(folder)
    processor = {"size": {"shortest_edge": image_size}, "crop_size": {"height": image_size, "width": image_size}}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor), encoding="utf-8")
    return folder
