from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModel

from hft.errors import ConfigError, ModelError
from hft.models import load_text_model
from hft.models.dropout import set_config_dropout
from hft.models.encoders import position_capacity
from hft.models.layers import encoder_layers, fix_first_layers

SMALL = {
    "vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32,
    "max_position_embeddings": 40, "pad_token_id": 0,
}  # fmt: skip
KINDS = {
    "bert": SMALL,
    "roberta": SMALL | {"pad_token_id": 1},
    "mpnet": SMALL | {"pad_token_id": 1},
    "electra": SMALL | {"embedding_size": 8},
    "distilbert": {
        "vocab_size": 50, "dim": 16, "n_layers": 3, "n_heads": 2, "hidden_dim": 32, "max_position_embeddings": 40,
    },
    "modernbert": SMALL | {
        "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2, "embedding_dropout": 0.1,
        "attention_dropout": 0.1, "mlp_dropout": 0.1,
    },
}  # fmt: skip


def _encoder(kind: str, dropout: float | None = None) -> nn.Module:
    config = AutoConfig.for_model(kind, **KINDS[kind])
    if dropout is not None:
        set_config_dropout(config, dropout)
    return AutoModel.from_config(config)


def _output(encoder: nn.Module, upto: int) -> torch.Tensor:
    """Hidden states after `upto` layers of one fixed text."""
    ids = torch.arange(5, 17)[None]
    return encoder(input_ids=ids, output_hidden_states=True).hidden_states[upto]


@pytest.mark.parametrize("kind", KINDS)
def test_the_layers_of_every_kind_of_encoder_are_found(kind: str) -> None:
    assert len(encoder_layers(_encoder(kind))) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_fixed_is_exactly_what_feeds_the_first_moving_layer(kind: str) -> None:
    encoder = _encoder(kind).eval()
    fix_first_layers(encoder, 2)
    before = _output(encoder, 2).detach()
    with torch.no_grad():
        for parameter in encoder.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter))
    assert torch.equal(_output(encoder, 2), before)
    assert all(parameter.requires_grad for parameter in encoder_layers(encoder)[2].parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_no_fixed_layers_means_that_the_embeddings_move_too(kind: str) -> None:
    encoder = _encoder(kind)
    fix_first_layers(encoder, 2)
    fix_first_layers(encoder, 0)
    fixed = [name for name, parameter in encoder.named_parameters() if not parameter.requires_grad]
    assert all(name.startswith("pooler.") for name in fixed)


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_of_zero_makes_every_kind_of_encoder_exact_in_training(kind: str) -> None:
    exact, random = _encoder(kind, 0.0), _encoder(kind, 0.5)
    assert torch.equal(_output(exact.train(), 3), _output(exact.eval(), 3))
    assert not torch.equal(_output(random.train(), 3), _output(random.eval(), 3))


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_of_the_stated_capacity_can_be_embedded_and_a_longer_one_would_not_be_asked(kind: str) -> None:
    encoder = _encoder(kind)
    capacity = position_capacity(encoder) or 100  # rotary positions have no end
    assert capacity in ((100,) if kind == "modernbert" else (38, 40))
    assert encoder(input_ids=torch.full((1, capacity), 7)).last_hidden_state.shape[1] == capacity


def test_shared_layers_cannot_be_numbered() -> None:
    albert = AutoModel.from_config(AutoConfig.for_model("albert", **SMALL, embedding_size=8))
    with pytest.raises(ModelError, match="ALBERT's share their weights"):
        encoder_layers(albert)


def test_freezing_more_layers_than_there_are_names_the_key(tiny_bert: Path) -> None:
    with pytest.raises(ConfigError, match=r"params\.num_fixed_layers=3.*2 layers"):
        load_text_model(str(tiny_bert)).freeze(3)


def test_freezing_acts_on_both_towers_and_spares_the_dense_layer(tiny_bert: Path) -> None:
    model = load_text_model(str(tiny_bert), shared=False, dense_dim=4)
    model.freeze(2)
    moving = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert moving == {
        f"{tower}.projections.0.linear.{part}"
        for tower in ("items_tower", "own_query_tower")
        for part in ("weight", "bias")
    }
