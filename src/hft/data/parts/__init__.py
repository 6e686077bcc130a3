"""Long items in parts that an encoder takes whole: by sentences, separators, patterns, fields, tokens."""

from __future__ import annotations

from hft.data.parts.base import ItemSplitter, Parts, TokenCounter
from hft.data.parts.joined import JoinedParts
from hft.data.parts.json_fields import JsonFieldSplitter
from hft.data.parts.patterns import RegexSplitter, SeparatorSplitter
from hft.data.parts.sentences import SentenceSplitter, sentence_spans
from hft.data.parts.token_groups import TokenGroupTextSplitter

__all__ = [
    "ItemSplitter",
    "JoinedParts",
    "JsonFieldSplitter",
    "Parts",
    "RegexSplitter",
    "SentenceSplitter",
    "SeparatorSplitter",
    "TokenCounter",
    "TokenGroupTextSplitter",
    "sentence_spans",
]
