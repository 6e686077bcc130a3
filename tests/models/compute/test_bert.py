"""hft's own layers give what transformers' layers give, and their gradients."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel, ModernBertConfig, ModernBertModel, RobertaConfig, RobertaModel

from hft.errors import ConfigError
from hft.models.compute import ReferenceCompute, choose_compute
from hft.models.compute.bert import BertCompute

SIZES = {
    "vocab_size": 90,
    "hidden_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "intermediate_size": 96,
    "max_position_embeddings": 40,
    "initializer_range": 0.2,
}


def bert(dropout: float = 0.0, **more: Any) -> BertModel:
    torch.manual_seed(3)
    sizes = {**SIZES, **more}
    config = BertConfig(**sizes, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout)
    return BertModel(config, add_pooling_layer=False).train()


def roberta() -> RobertaModel:
    torch.manual_seed(4)
    config = RobertaConfig(**SIZES, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    return RobertaModel(config, add_pooling_layer=False).train()


def modernbert() -> ModernBertModel:
    torch.manual_seed(0)
    names = ("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id")
    sizes = {"vocab_size": 90, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2}
    return ModernBertModel(ModernBertConfig(**sizes, intermediate_size=32, **dict.fromkeys(names, 1)))


def texts(count: int = 6, length: int = 24) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, 90, (count, length), generator=generator)
    mask = torch.arange(length) < torch.tensor([length, 7, 20, 1, length - 1, 13])[:count, None]
    ids[~mask] = 1  # RoBERTa's padding; BERT's does not matter behind the mask
    return ids, mask


def pass_through(compute: Any, encoder: nn.Module, precision: torch.dtype, words: bool = False) -> dict[str, Tensor]:
    """What the tokens' last vectors are, and the gradient of a sum over them, by name."""
    ids, mask = texts()
    encoder.zero_grad(set_to_none=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision is torch.bfloat16):
        table = compute.begin(ids[mask].numpy().astype("int32"), 1) if words else None
        hidden = compute.hidden(ids, mask, table)[mask].float()
    weights = torch.randn(hidden.shape, generator=torch.Generator().manual_seed(1))
    (hidden * weights).sum().backward()
    gradients = {name: one.grad.clone() for name, one in encoder.named_parameters() if one.grad is not None}
    return {"hidden": hidden.detach(), **gradients}


def off(one: Tensor, other: Tensor) -> float:
    return float((one - other).norm() / other.norm())


LATER_LAYERS = ("encoder.layer.1", "encoder.layer.2")

# The bias of the keys moves all of a query's scores alike: its gradient is nothing but rounding.
WITHOUT_A_GRADIENT = "key.bias"


@pytest.mark.parametrize("make", [bert, roberta])
@pytest.mark.parametrize("words", [False, True])
def test_vectors_and_gradients_are_those_of_transformers(make: Any, words: bool) -> None:
    encoder = make()
    ours = pass_through(BertCompute(encoder), encoder, torch.float32, words)
    theirs = pass_through(ReferenceCompute(encoder), encoder, torch.float32)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        if not name.endswith(WITHOUT_A_GRADIENT):
            assert off(value, theirs[name]) < 1e-5, name


def test_padding_that_stands_in_a_text_is_placed_as_without_a_gradient() -> None:
    encoder = roberta()
    ids, mask = texts()
    ids[0, 3] = encoder.config.pad_token_id
    compute = BertCompute(encoder)
    with torch.no_grad():
        expected = compute.hidden(ids, mask)
    table = compute.begin(ids[mask].numpy().astype("int32"), encoder.config.pad_token_id)
    assert off(compute.hidden(ids, mask, table)[mask], expected[mask]) < 1e-5


def test_in_bf16_they_are_as_near_to_float32_as_those_of_transformers_under_autocast() -> None:
    encoder = bert()
    exact = pass_through(ReferenceCompute(encoder), encoder, torch.float32)
    ours = pass_through(BertCompute(encoder), encoder, torch.bfloat16)
    theirs = pass_through(ReferenceCompute(encoder), encoder, torch.bfloat16)
    for name, value in exact.items():
        if not name.endswith(WITHOUT_A_GRADIENT):
            assert off(ours[name], value) < max(0.02, 2.5 * off(theirs[name], value)), name


def test_without_a_gradient_the_layers_give_the_same() -> None:
    encoder = bert().eval()
    ids, mask = texts()
    with torch.no_grad():
        ours, theirs = (compute(encoder).hidden(ids, mask) for compute in (BertCompute, ReferenceCompute))
    assert off(ours[mask], theirs[mask]) < 1e-5


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_a_text_is_the_same_to_the_last_bit_whatever_stands_beside_it(precision: torch.dtype) -> None:
    compute = BertCompute(bert().eval())
    ids, mask = texts()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=precision is torch.bfloat16):
        together = compute.hidden(ids, mask)
        for row in range(len(ids)):
            alone = compute.hidden(ids[row : row + 1], mask[row : row + 1])
            assert torch.equal(alone[0], together[row])


def test_dropout_repeats_with_torchs_random_state_and_moves_it() -> None:
    encoder = bert(dropout=0.3)
    runs = []
    for seed in (5, 5, 6):
        torch.manual_seed(seed)
        runs.append(pass_through(BertCompute(encoder), encoder, torch.float32))
    assert all(torch.equal(runs[0][name], runs[1][name]) for name in runs[0])
    assert not torch.equal(runs[0]["hidden"], runs[2]["hidden"])
    torch.manual_seed(5)
    first, second = (pass_through(BertCompute(encoder), encoder, torch.float32)["hidden"] for _ in range(2))
    assert not torch.equal(first, second)


def test_the_gradient_under_dropout_is_that_of_the_pass_that_drew_it() -> None:
    """Against differences: the same masks with one weight moved a little."""
    encoder = bert(dropout=0.2).double().float()
    compute = BertCompute(encoder)
    ids, mask = texts()
    generator = torch.Generator().manual_seed(2)
    direction, readout = torch.randn(48, 48, generator=generator), torch.randn(48, generator=generator)

    def value() -> Tensor:
        torch.manual_seed(9)
        return (compute.hidden(ids, mask)[mask] * readout).double().sum()

    for name in ("attention.self.value", "attention.self.query", "attention.output.dense"):
        weight = encoder.encoder.layer[1].get_submodule(name).weight
        encoder.zero_grad()
        value().backward()
        expected = float((weight.grad * direction).sum())
        step, values = 1e-3, []
        for sign in (1, -1):
            with torch.no_grad():
                weight.add_(sign * step * direction)
                values.append(float(value()))
                weight.sub_(sign * step * direction)
        assert (values[0] - values[1]) / (2 * step) == pytest.approx(expected, rel=0.02), name


def test_dropout_keeps_the_mean_and_drops_its_share() -> None:
    from hft.models.compute.dropout import dropout

    torch.manual_seed(0)
    values = torch.ones(400, 500)
    kept = dropout(values, 0.1)
    share = float((kept == 0).float().mean())
    assert abs(share - 0.1) < 4 * (0.1 * 0.9 / values.numel()) ** 0.5
    assert torch.allclose(kept[kept != 0], torch.tensor(1 / 0.9))


def test_a_fixed_layer_draws_no_random_numbers_and_gets_no_gradient() -> None:
    encoder = bert(dropout=0.1)
    for part in (encoder.embeddings, encoder.encoder.layer[0]):
        part.requires_grad_(False).eval()
    compute = BertCompute(encoder)
    ids, mask = texts()
    before = torch.random.get_rng_state()
    hidden = compute.up_to(ids, mask, 1)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not hidden.requires_grad
    compute.from_cut(hidden, ids, mask, 1).sum().backward()
    moved = {name for name, one in encoder.named_parameters() if one.grad is not None}
    assert moved == {
        f"encoder.layer.{n}.{name}" for n in (1, 2) for name, _ in encoder.encoder.layer[n].named_parameters()
    }


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_the_halves_at_a_cut_give_the_whole(dropout: float) -> None:
    compute = BertCompute(bert(dropout=dropout).eval())
    ids, mask = texts()
    with torch.no_grad():
        for cut in range(4):
            assert compute.supports_cut(cut)
            assert torch.equal(
                compute.from_cut(compute.up_to(ids, mask, cut), ids, mask, cut), compute.hidden(ids, mask)
            )


def test_layers_computed_again_in_the_backward_pass_give_the_same_gradient() -> None:
    encoder = bert(dropout=0.2)
    results = []
    for again in (False, True):
        compute = BertCompute(encoder)
        compute.checkpoint_layers = again
        torch.manual_seed(8)
        results.append(pass_through(compute, encoder, torch.float32))
    assert all(torch.equal(results[0][name], results[1][name]) for name in results[0])


def test_weights_that_an_optimizer_moved_are_seen() -> None:
    encoder = bert()
    compute = BertCompute(encoder)
    ids, mask = texts()
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=0.01, fused=True)
    readout = torch.randn(48, generator=torch.Generator().manual_seed(1))
    for _ in range(2):
        table = compute.begin(ids.numpy().ravel().astype("int32"), 1)
        (compute.hidden(ids, mask, table) * readout).sum().backward()
        optimizer.step()
        with torch.no_grad():
            compute.begin(ids.numpy().ravel().astype("int32"), 1)
            assert off(compute.hidden(ids, mask), ReferenceCompute(encoder).hidden(ids, mask)) < 1e-5


def test_a_copy_computes_with_weights_of_its_own() -> None:
    compute = BertCompute(bert())
    ids, mask = texts()
    before = compute.hidden(ids, mask)
    other = copy.deepcopy(compute)
    with torch.no_grad():
        for parameter in other.encoder.parameters():
            parameter.zero_()
    assert torch.equal(compute.hidden(ids, mask), before)
    assert not torch.equal(other.hidden(ids, mask), before)


def test_auto_takes_the_fast_kernels_for_berts_kind_alone() -> None:
    modern = modernbert()
    assert isinstance(choose_compute(bert()), BertCompute)
    assert isinstance(choose_compute(roberta()), BertCompute)
    assert isinstance(choose_compute(modern), ReferenceCompute)
    assert isinstance(choose_compute(bert(hidden_act="relu")), ReferenceCompute)
    assert isinstance(choose_compute(bert(), "reference"), ReferenceCompute)
    with pytest.raises(ConfigError, match=r"compute\.kernels=fast: hft has no layers of its own for ModernBertModel"):
        choose_compute(modern, "fast")


def test_a_layer_that_somebody_changed_is_computed_as_it_is_now() -> None:
    encoder = bert()
    compute = BertCompute(encoder)
    ids, mask = texts()

    class Doubled(nn.Linear):
        def forward(self, values: Tensor) -> Tensor:
            return 2 * super().forward(values)

    dense = Doubled(48, 48)
    dense.load_state_dict(encoder.encoder.layer[0].attention.output.dense.state_dict())
    encoder.encoder.layer[0].attention.output.dense = dense
    assert torch.equal(compute.hidden(ids, mask), ReferenceCompute(encoder).hidden(ids, mask))


def test_modernbert_is_cut_by_hooks() -> None:
    compute = ReferenceCompute(modernbert().eval())
    ids, mask = texts()
    with torch.no_grad():
        for cut in range(3):
            assert compute.supports_cut(cut)
            assert torch.equal(
                compute.from_cut(compute.up_to(ids, mask, cut), ids, mask, cut), compute.hidden(ids, mask)
            )
