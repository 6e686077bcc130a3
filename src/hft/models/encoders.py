"""Encoders and tokenizers through transformers, from a local folder, quietly and with safetensors only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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

# Of an encoder-decoder, the class of its encoder alone.
_ENCODERS_OF = {"t5": "T5EncoderModel", "mt5": "MT5EncoderModel", "umt5": "UMT5EncoderModel"}
# Learned positions, by the last part of their names; each token has one, and they end.
_POSITIONS = ("position_embeddings", "position_embedding", "embed_positions", "wpe")

__all__ = [
    "check_weights",
    "load_encoder",
    "load_tokenizer",
    "loading_errors",
    "position_capacity",
    "quiet_transformers",
    "stated_positions",
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


def load_encoder(folder: Path, dropout: float | None, arguments: Mapping[str, Any] | None = None) -> nn.Module:
    """The encoder of a folder in float32 and in eval mode, with SDPA attention where the architecture has it.

    A pooler of the encoder whose weights are missing is taken off; one that is there stays, fixed.

    Args:
        folder: config.json and safetensors weights.
        dropout: for every dropout of the encoder; None leaves the config's.
        arguments: keys of config.json and what they are to be instead.

    Raises:
        ModelError: not an encoder, unknown architecture, missing or damaged files or weights.
    """
    import transformers
    from transformers import AutoConfig

    require_safetensors(folder)
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder / 'config.json'}: the file is missing; this is not a transformers model folder.")
    with quiet_transformers(), loading_errors(folder, "model"):
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        _require_encoder(folder, config)
        for name, value in (arguments or {}).items():
            if name not in config.to_dict():
                raise ModelError(f"{folder}: config_kwargs.{name} is no key of its config.json. Correct the file.")
            setattr(config, name, value)
        if dropout is not None:
            set_config_dropout(config, dropout)
        kind = getattr(transformers, _ENCODERS_OF.get(config.model_type, "AutoModel"))
        encoder, report = kind.from_pretrained(
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


def _require_encoder(folder: Path, config: Any) -> None:
    if getattr(config, "quantization_config", None) is not None:
        raise ModelError(
            f"{folder / 'config.json'}: quantization_config is not supported; hft trains weights in float32. Give the "
            "model as it was before it was quantised."
        )
    whole = getattr(config, "is_encoder_decoder", False) and config.model_type not in _ENCODERS_OF
    if whole or (getattr(config, "is_decoder", False) and config.model_type not in _ENCODERS_OF):
        raise ModelError(f"{folder}: {config.model_type} is not an encoder; choose an encoder (BERT and its kin).")


def load_tokenizer(folder: Path, lower_case: bool, arguments: Mapping[str, Any] | None = None) -> Any:
    """The tokenizer of a folder, which cuts long texts on the side that the folder says.

    Args:
        folder: of its files.
        lower_case: texts are lower-cased before all else.
        arguments: for its `from_pretrained`.

    Raises:
        ModelError: missing or damaged files, or a tokenizer that hft cannot use as the folder says.
    """
    from transformers import AutoTokenizer

    if not any((folder / name).is_file() for name in _TOKENIZER_FILES):
        raise ModelError(
            f"{folder}: no tokenizer here (tokenizer.json is expected). Save the model's tokenizer there "
            "(save_pretrained)."
        )
    with quiet_transformers(), loading_errors(folder, "tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, **(arguments or {})
        )
    if "attention_mask" not in tokenizer.model_input_names:
        raise ModelError(
            f"{folder / 'tokenizer_config.json'}: model_input_names={tokenizer.model_input_names} leaves "
            "attention_mask out, so that padding would count. Add it."
        )
    if lower_case:
        _lower_case(folder, tokenizer)
    return tokenizer


def position_capacity(encoder: nn.Module) -> int | None:
    """Tokens that the encoder's positions can take, or None where they have no end.

    Learned positions of the RoBERTa kind begin after the padding index, which costs `padding_idx + 1` places. Relative
    and rotary positions have no end, whatever `max_position_embeddings` says.
    """
    for name, module in encoder.named_modules():
        if name.rpartition(".")[2] in _POSITIONS and isinstance(module, nn.Embedding):
            offset = 0 if module.padding_idx is None else module.padding_idx + 1
            return module.num_embeddings - offset
    return None


def stated_positions(encoder: nn.Module) -> int | None:
    """What config.json says of positions, which cuts texts where nobody says how long they may be; None: nothing."""
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
            f"({', '.join(lost[:3])}{', ...' if len(lost) > 3 else ''}). Give the config.json that was saved with them."
        )
    if getattr(encoder, "pooler", None) is not None:
        encoder.pooler.requires_grad_(False)


def _lower_case(folder: Path, tokenizer: Any) -> None:
    from tokenizers import normalizers

    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise ModelError(
            f"{folder}: do_lower_case=true is not supported with {type(tokenizer).__name__}, which has no "
            "tokenizer.json. Set it to false, and give lower-cased texts."
        )
    own: list[Any] = [] if backend.normalizer is None else [backend.normalizer]
    if own and isinstance(own[0], normalizers.Sequence):
        own = list(own[0])  # type: ignore[call-overload]
    if not any(isinstance(step, normalizers.Lowercase) for step in own):
        backend.normalizer = normalizers.Sequence([normalizers.Lowercase(), *own])


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
