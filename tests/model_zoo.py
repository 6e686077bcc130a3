"""A zoo of model folders: small encoders of many architectures, and every word that their module files may say."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tiny_models import build_tiny_bert

WIDTH = 32
_BERT_LIKE = {
    "hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
    "max_position_embeddings": 64, "initializer_range": 0.2, "pad_token_id": 0,
}  # fmt: skip
# Of each architecture a config; they share the tokenizer of build_tiny_bert.
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "bert": _BERT_LIKE,
    "roberta": _BERT_LIKE | {"type_vocab_size": 1, "max_position_embeddings": 65},
    "xlm-roberta": _BERT_LIKE | {"type_vocab_size": 1, "max_position_embeddings": 65},
    "camembert": _BERT_LIKE | {"type_vocab_size": 1, "max_position_embeddings": 65},
    "distilbert": {
        "dim": WIDTH, "n_layers": 2, "n_heads": 4, "hidden_dim": 64, "max_position_embeddings": 64,
        "initializer_range": 0.2, "pad_token_id": 0,
    },
    "mpnet": _BERT_LIKE | {"max_position_embeddings": 66},
    "electra": _BERT_LIKE | {"embedding_size": 16},
    "albert": _BERT_LIKE | {"embedding_size": 16},
    "deberta-v2": _BERT_LIKE | {
        "relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_biased_input": False,
        "position_buckets": 8, "type_vocab_size": 0,
    },
    "modernbert": _BERT_LIKE | {"bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3},
    "nomic_bert": _BERT_LIKE,
    "convbert": _BERT_LIKE | {"embedding_size": WIDTH},
    "roformer": _BERT_LIKE | {"embedding_size": WIDTH},
    "mobilebert": _BERT_LIKE | {"embedding_size": WIDTH, "intra_bottleneck_size": WIDTH},
    "t5": {
        "d_model": WIDTH, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "is_encoder_decoder": True,
        "pad_token_id": 0, "eos_token_id": 3, "decoder_start_token_id": 0,
    },
}  # fmt: skip


def build_encoder(folder: Path, architecture: str, **changes: Any) -> Path:
    """Writes an encoder of two layers with the tokenizer of `build_tiny_bert`, as transformers saves it."""
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    build_tiny_bert(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    (folder / "config.json").unlink()
    settings = ARCHITECTURES[architecture] | {"vocab_size": len(tokenizer)} | changes
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        AutoModel.from_config(AutoConfig.for_model(architecture, **settings)).save_pretrained(folder)
    return folder


def sentence_folder(
    folder: Path, encoder: Path, pooling: Any = "mean", *head: nn.Module, include_prompt: bool = True, **model: Any
) -> Path:
    """Writes a folder as sentence-transformers saves it: an encoder, a pooling, and modules of that package."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        for module in head:
            for parameter in module.parameters():
                nn.init.normal_(parameter, std=0.5)
    modes = pooling if isinstance(pooling, str) else list(pooling)
    modules = [Transformer(str(encoder)), Pooling(WIDTH, modes, include_prompt=include_prompt), *head]
    SentenceTransformer(modules=modules, device="cpu", **model).save(str(folder), create_model_card=False)
    return folder


def change(file: Path, **changes: Any) -> None:
    """Keys of a JSON file; one that is Ellipsis goes away."""
    content = (json.loads(file.read_text()) if file.is_file() else {}) | changes
    file.write_text(json.dumps({key: value for key, value in content.items() if value is not ...}))


def spoken(folder: Path, source: Path, said: Callable[[Path], object]) -> Path:
    """A copy of a folder in which a file says something else."""
    shutil.copytree(source, folder)
    said(folder)
    return folder
