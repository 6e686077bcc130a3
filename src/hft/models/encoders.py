"""Encoders and tokenizers through transformers, from a local folder, quietly and with safetensors only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hft.errors import ModelError
from hft.models.dropout import set_config_dropout
from hft.models.sources import require_safetensors

# Without any of these transformers would make up a tokenizer that knows no word.
_TOKENIZER_FILES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
)

__all__ = [
    "check_weights",
    "load_encoder",
    "load_tokenizer",
    "loading_errors",
    "position_capacity",
    "quiet_transformers",
]


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silences transformers' progress bars and warnings inside the block, and gives them back after it."""
    from transformers.utils import logging as transformers_logging

    logging: Any = transformers_logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def load_encoder(folder: Path, dropout: float | None) -> nn.Module:
    """The encoder of a folder in float32 and in eval mode, with SDPA attention where the architecture has it.

    A pooler of the encoder whose weights are missing is taken off; one that is there stays, fixed.

    Args:
        folder: config.json and safetensors weights.
        dropout: for every dropout of the encoder; None leaves the config's.

    Raises:
        ModelError: not an encoder, unknown architecture, missing or damaged files or weights.
    """
    from transformers import AutoConfig, AutoModel

    require_safetensors(folder)
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder / 'config.json'}: the file is missing; this is not a transformers model folder.")
    with quiet_transformers(), loading_errors(folder, "model"):
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        if config.is_encoder_decoder or getattr(config, "is_decoder", False):
            raise ModelError(f"{folder}: {config.model_type} is not an encoder; choose an encoder (BERT and its kin).")
        if dropout is not None:
            set_config_dropout(config, dropout)
        encoder, report = AutoModel.from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    check_weights(folder, encoder, set(report["missing_keys"]), report.get("mismatched_keys") or ())
    return _as_module(encoder.eval())


def load_tokenizer(folder: Path, lower_case: bool) -> Any:
    """The tokenizer of a folder, padding and truncating on the right.

    Raises:
        ModelError: missing or damaged files.
    """
    from transformers import AutoTokenizer

    if not any((folder / name).is_file() for name in _TOKENIZER_FILES):
        raise ModelError(f"{folder}: no tokenizer here (tokenizer.json is expected). Copy the model again, whole.")
    with quiet_transformers(), loading_errors(folder, "tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    tokenizer.truncation_side = "right"
    tokenizer.padding_side = "right"
    if lower_case:
        _lower_case(tokenizer)
    return tokenizer


def position_capacity(encoder: nn.Module) -> int | None:
    """Tokens that the encoder's positions can take, or None where they have no end.

    Learned positions of the RoBERTa kind begin after the padding index, which costs `padding_idx + 1` places.
    """
    for name, module in encoder.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            offset = 0 if module.padding_idx is None else module.padding_idx + 1
            return module.num_embeddings - offset
    limit = getattr(encoder.config, "max_position_embeddings", None)
    return int(limit) if isinstance(limit, int) and limit > 0 else None


def _as_module(encoder: Any) -> nn.Module:
    module: nn.Module = encoder
    return module


def check_weights(folder: Path, encoder: Any, missing: set[str], mismatched: Any) -> None:
    """The weights must be those of config.json; a pooler without weights is taken off.

    Raises:
        ModelError: tensors are missing, or have another shape.
    """
    pooler = {name for name in missing if name.startswith("pooler.") or ".pooler." in name}
    if pooler:
        encoder.pooler = None
    lost = sorted(missing - pooler) + sorted(str(key) for key in mismatched)
    if lost:
        raise ModelError(
            f"{folder}: the weights do not fit config.json; {len(lost)} tensors are missing or have another shape "
            f"({', '.join(lost[:3])}{', ...' if len(lost) > 3 else ''}). Copy the model again."
        )
    if getattr(encoder, "pooler", None) is not None:
        encoder.pooler.requires_grad_(False)


def _lower_case(tokenizer: Any) -> None:
    from tokenizers import normalizers

    backend = tokenizer.backend_tokenizer
    steps = [normalizers.Lowercase()] + ([backend.normalizer] if backend.normalizer is not None else [])
    backend.normalizer = normalizers.Sequence(steps)


@contextmanager
def loading_errors(folder: Path, what: str) -> Iterator[None]:
    """Whatever the libraries say of a folder that cannot be loaded becomes one ModelError."""
    try:
        yield
    except (ModelError, KeyboardInterrupt, MemoryError):
        raise
    except Exception as error:
        first_line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"{folder}: the {what} cannot be loaded: {first_line} Check that the folder is complete (config.json, "
            "model.safetensors, tokenizer files) and that its architecture needs no code of its own (hft runs none)."
        ) from error
