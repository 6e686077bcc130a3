"""A tokenizer learnt from a project's own texts: its frequent words whole, all others in pieces. No hub."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

__all__ = ["BEGIN", "END", "PAD", "SPECIAL", "UNKNOWN", "caption_tokenizer"]

# The end is not token 2, which CLIPTextModel takes for a mistake of its first release and then pools elsewhere.
SPECIAL = ("[PAD]", "[BOS]", "[UNK]", "[EOS]")
PAD, BEGIN, UNKNOWN, END = range(4)
_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,:;?!-_()'\"/&"
# A word of one text only is spelt in pieces, so that pieces are learnt too.
_FREQUENT = 2


def caption_tokenizer(texts: Sequence[str], vocabulary_size: int, max_length: int) -> Any:
    """A fast tokenizer of transformers: lower-cased WordPiece between [BOS] and [EOS].

    The vocabulary is the four special tokens, the characters, and the most frequent words that stand in two texts at
    least, as they begin a word and as they end one ("fire", "##fighter"). The same texts give the same tokenizer.

    Args:
        texts: to learn the words from; training texts, and no others.
        vocabulary_size: tokens at most.
        max_length: tokens of a text at most.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    # Accents stay: in many scripts the marks are letters of their own.
    normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    splitter = pre_tokenizers.BertPreTokenizer()
    in_texts: Counter[str] = Counter()
    for text in texts:
        in_texts.update({word for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text))})
    letters = sorted({letter for word in in_texts for letter in word} | set(_CHARACTERS))
    words = sorted(in_texts, key=lambda word: (-in_texts[word], word))
    frequent = [word for word in words if in_texts[word] >= _FREQUENT and len(word) > 1]
    wanted = [*SPECIAL, *letters, *(f"##{letter}" for letter in letters), *frequent]
    wanted += [f"##{word}" for word in frequent if len(word) > 2]
    tokens = list(dict.fromkeys(wanted))[:vocabulary_size]
    core = Tokenizer(models.WordPiece({token: place for place, token in enumerate(tokens)}, unk_token="[UNK]"))
    core.normalizer = normalizer
    core.pre_tokenizer = splitter
    core.decoder = decoders.WordPiece()
    core.post_processor = processors.TemplateProcessing(
        single="[BOS] $A [EOS]", special_tokens=[("[BOS]", BEGIN), ("[EOS]", END)]
    )
    names = dict(zip(("pad_token", "bos_token", "unk_token", "eos_token"), SPECIAL, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=core, model_max_length=max_length, **names)
