"""What can be said of a `_target_` from its source alone: where it is, what it takes. Nothing is imported or run."""

from hft.config.static.signatures import StaticSignature, class_constant, signature_of
from hft.config.static.sources import NotVerifiableError, Sources
from hft.config.static.symbols import NotFoundError, Symbol, Symbols

__all__ = [
    "NotFoundError",
    "NotVerifiableError",
    "Sources",
    "StaticSignature",
    "Symbol",
    "Symbols",
    "class_constant",
    "signature_of",
]
