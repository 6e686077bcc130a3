"""What fixed layers give, computed once for each text and kept: stores of it, and whether that pays."""

from hft.training.activations.building import TextRows, kept_dtype, publish
from hft.training.activations.cut import Cut, cut_of, why_not_kept
from hft.training.activations.keys import LayerHashes, entry_key, layer_hashes
from hft.training.activations.plan import Decision, Work, decide
from hft.training.activations.segment import segment_bytes
from hft.training.activations.store import ActivationStore
from hft.training.activations.uses import TextUse

__all__ = [
    "ActivationStore",
    "Cut",
    "Decision",
    "LayerHashes",
    "TextRows",
    "TextUse",
    "Work",
    "cut_of",
    "decide",
    "entry_key",
    "kept_dtype",
    "layer_hashes",
    "publish",
    "segment_bytes",
    "why_not_kept",
]
