"""What a Transformer module says of its encoder and its tokenizer: `sentence_bert_config.json` and its older names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hft.errors import ModelError
from hft.models.sentence.keys import read_object, refusal, require_known, value_of

__all__ = ["TransformerLayout", "read_transformer"]

# The first that says something counts; the older releases named the file after the architecture.
_FILES = tuple(
    f"sentence_{name}_config.json"
    for name in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
_ARGUMENTS = {
    "model": ("model_kwargs", "model_args"),
    "tokenizer": ("processor_kwargs", "tokenizer_args"),
    "config": ("config_kwargs", "config_args"),
}
_KNOWN = frozenset({
    "max_seq_length", "do_lower_case", "transformer_task", "modality_config", "module_output_name",
    "processing_kwargs", "unpad_inputs", "query_length", "document_length", "query_expansion",
    "tokenizer_name_or_path", "backend", "cache_dir", *(name for names in _ARGUMENTS.values() for name in names),
})  # fmt: skip

# Where the caller of sentence-transformers says it anyway, or forbids it.
_THE_CALLERS = frozenset({"trust_remote_code", "subfolder", "token", "cache_dir", "revision", "local_files_only"})
# How an encoder is loaded and computed, which the run says (`compute`, `trainer.precision`); the numbers are its own.
_OF_COMPUTING = frozenset({
    "attn_implementation", "dtype", "torch_dtype", "low_cpu_mem_usage", "device_map", "use_safetensors",
    "add_pooling_layer",
})  # fmt: skip
# What a tokenizer may be told: no names of files among them.
_OF_TOKENIZERS = frozenset({
    "model_max_length", "truncation_side", "padding_side", "do_lower_case", "strip_accents", "tokenize_chinese_chars",
    "keep_accents", "add_prefix_space", "trim_offsets", "use_fast", "clean_up_tokenization_spaces", "add_bos_token",
    "add_eos_token", "split_special_tokens", "model_input_names", "pad_token", "unk_token", "cls_token", "sep_token",
    "mask_token", "bos_token", "eos_token",
})  # fmt: skip
# Of a call of the tokenizer: what hft does itself for each text, and so changes no vector.
_OF_PADDING = frozenset({"padding", "pad_to_multiple_of", "return_tensors", "return_attention_mask"})
_CHOOSE = "Choose another model."


@dataclass(frozen=True)
class TransformerLayout:
    """An encoder and its tokenizer as their folder describes them.

    Args:
        folder: of both.
        max_length: tokens of a text; None: as tokenizer and positions say.
        lower_case: whether texts are lower-cased before all else.
        gives_pooler: whether the encoder's pooler gives the text's vector; no Pooling follows then.
        tokenizer_arguments, config_arguments: for their `from_pretrained`.
    """

    folder: Path
    max_length: int | None = None
    lower_case: bool = False
    gives_pooler: bool = False
    tokenizer_arguments: Mapping[str, Any] = field(default_factory=dict)
    config_arguments: Mapping[str, Any] = field(default_factory=dict)


def read_transformer(folder: Path) -> TransformerLayout:
    """The words of a Transformer module.

    Raises:
        ModelError: a key or a value that hft does not honour.
    """
    file, config = _first_file(folder)
    require_known(file, config, _KNOWN)
    for key, honoured in (("transformer_task", "feature-extraction"), ("tokenizer_name_or_path", None)):
        if config.get(key) not in (None, honoured):
            raise refusal(file, key, config[key], f"hft reads an encoder and its tokenizer in one folder. {_CHOOSE}")
    for key in ("query_length", "document_length", "query_expansion"):
        if config.get(key) is not None:
            advice = "hft cuts queries and items alike, and expands none: set it to null, or choose another model."
            raise refusal(file, key, config[key], advice)
    _require_plain_loading(file, _arguments(file, config, "model"))
    tokenizer = _arguments(file, config, "tokenizer")
    require_known(file, tokenizer, _OF_TOKENIZERS, prefix="processor_kwargs.")
    length = _length(file, "model_max_length", tokenizer.pop("model_max_length", None))
    length = _length(file, "max_seq_length", config.get("max_seq_length")) if length is None else length
    called = _length_of_a_call(file, value_of(file, config, "processing_kwargs", dict, {}))
    return TransformerLayout(
        folder,
        max_length=length if called is None else called,
        lower_case=value_of(file, config, "do_lower_case", bool, False),
        gives_pooler=_gives_pooler(file, config),
        tokenizer_arguments=tokenizer,
        config_arguments=_arguments(file, config, "config"),
    )


def _first_file(folder: Path) -> tuple[Path, dict[str, Any]]:
    for name in _FILES:
        file = folder / name
        if file.is_file() and (config := read_object(file)):
            return file, config
    return folder / _FILES[0], {}


def _arguments(file: Path, config: dict[str, Any], kind: str) -> dict[str, Any]:
    """The last spelling that the file has, without what only the caller may say."""
    found: dict[str, Any] = {}
    for name in _ARGUMENTS[kind]:
        found = value_of(file, config, name, dict, found)
    return {key: value for key, value in found.items() if key not in _THE_CALLERS}


def _require_plain_loading(file: Path, arguments: dict[str, Any]) -> None:
    for key, value in arguments.items():
        if key not in _OF_COMPUTING:
            advice = (
                f"hft loads an encoder as its config.json and its weights say. Remove the key, or {_CHOOSE.lower()}"
            )
            raise refusal(file, f"model_kwargs.{key}", value, advice)


def _length(file: Path, key: str, value: Any) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise refusal(file, key, value, "A number of tokens, 1 or more, is expected. Correct the file.")
    return value


def _length_of_a_call(file: Path, processing: dict[str, Any]) -> int | None:
    """Tokens at most, where the calls of the tokenizer are told so."""
    # Of pictures and sounds, and of chats, hft asks nothing; a name that nobody knows is left out there as well.
    call = {**(processing.get("text") or {}), **(processing.get("common") or {})}
    for key, value in call.items():
        name = f"processing_kwargs.text.{key}"
        if key == "truncation" and value not in (True, "longest_first", "only_first"):
            raise refusal(file, name, value, f"hft cuts long texts. {_CHOOSE}")
        if key == "add_special_tokens" and value is not True:
            raise refusal(file, name, value, f"hft gives every text its special tokens. {_CHOOSE}")
        if key not in ("truncation", "add_special_tokens", "max_length", *_OF_PADDING):
            raise refusal(file, name, value, f"hft calls tokenizers with max_length alone. {_CHOOSE}")
        if key == "return_attention_mask" and value is not True:
            raise refusal(file, name, value, f"hft leaves padding out. {_CHOOSE}")
    return _length(file, "processing_kwargs.text.max_length", call.get("max_length"))


def _gives_pooler(file: Path, config: dict[str, Any]) -> bool:
    modalities = value_of(file, config, "modality_config", dict)
    output = config.get("module_output_name")
    if modalities is None:
        return False
    text = modalities.get("text")
    if set(modalities) != {"text"} or not isinstance(text, dict) or text.get("method") != "forward":
        advice = f"hft embeds plain texts by the encoder's forward. {_CHOOSE}"
        raise refusal(file, "modality_config", modalities, advice)
    wanted = text.get("method_output_name")
    wanted = wanted[0] if isinstance(wanted, list) and len(wanted) == 1 else wanted
    if (wanted, output) == ("last_hidden_state", "token_embeddings"):
        return False
    if (wanted, output) == ("pooler_output", "sentence_embedding"):
        return True
    if output is None:
        raise ModelError(f"{file}: module_output_name is missing beside modality_config. Save the model again.")
    advice = (
        "hft knows last_hidden_state as token_embeddings and pooler_output as sentence_embedding; the file says "
        f"module_output_name={output!r}. {_CHOOSE}"
    )
    raise refusal(file, "modality_config.text.method_output_name", wanted, advice)
