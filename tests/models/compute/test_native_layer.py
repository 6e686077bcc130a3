"""The kernels in C: each against what it stands for, and a whole layer, with the masks that they draw."""

from __future__ import annotations

import copy
import ctypes
import platform
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from hft.models.compute.bert import BertCompute
from hft.models.compute.layer_weights import LayerShape, LayerWeights
from hft.models.compute.layout import Layout
from hft.models.compute.native_layer import train_native_layer
from hft.native import LEVELS, Kernels, NativeUnavailableError, kernels_here, library
from models.compute.test_bert import bert, off, pass_through
from tolerances import rounding

BF16_STEP = 2.0**-8  # half a unit in the last place, relative


# The forms of the kernels: the instructions that one needs, and how its compiler is kept from more.
FORMS: dict[str, tuple[frozenset[str], str]] = {
    "AMX": (frozenset({"amx_tile", "amx_bf16", "avx512bw"}), ""),
    "AVX-512 without AMX": (frozenset({"avx512bw"}), "-mno-amx-tile -mno-amx-bf16"),
    "no AVX-512": (frozenset({"avx2", "fma"}), "-march=haswell"),
    "what this processor has": (frozenset(), ""),
}


@pytest.fixture(scope="module", params=FORMS)
def kernels(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Kernels:
    """Every form that this processor can be made to take; it says which instructions it lacks for another."""
    needed, lesser = FORMS[request.param]
    try:
        if not needed:
            return kernels_here()
        if platform.machine() != "x86_64":
            pytest.skip(f"a form of x86_64, and this is {platform.machine()}")
        if lacking := needed - set(library._instructions().split()):
            pytest.skip(f"this processor lacks {', '.join(sorted(lacking))}")
        flags = (*library._FLAGS, *library._FLAGS_OF["x86_64"], *lesser.split())
        path: Path = library._compiled(flags, tmp_path_factory.mktemp("kernels") / "form.so")
        found = Kernels(ctypes.CDLL(str(path)), request.param)
    except NativeUnavailableError as reason:
        pytest.skip(str(reason))
    if "amx_tile" in needed and not found.tiles:
        pytest.skip("the compiler or the operating system gives no tile registers")
    assert (found.tiles, found.wide) == ("amx_tile" in needed, "avx512bw" in needed)
    return found


def drawn_for_attention(kernels: Kernels, seed: int, heads: int, tokens: int) -> Tensor:
    result = torch.empty(heads, tokens, tokens, dtype=torch.int16)
    kernels.call("draw_attention", seed, heads, tokens, result)
    return result.int() & 0xFFFF


def drawn(kernels: Kernels, seed: int, rows: int, width: int) -> Tensor:
    result = torch.empty(rows, width, dtype=torch.int16)
    kernels.call("draw", seed, rows, width, result)
    return result.int() & 0xFFFF


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def philox(seed: int, counter: int) -> list[int]:
    """Philox4x32 with 7 rounds, as its paper has it, for a counter of 64 bits."""
    words = [counter & 0xFFFFFFFF, counter >> 32, 0, 0]
    keys = [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(7):
        left, right = 0xD2511F53 * words[0], 0xCD9E8D57 * words[2]
        words = [
            (right >> 32) ^ words[1] ^ keys[0],
            right & 0xFFFFFFFF,
            (left >> 32) ^ words[3] ^ keys[1],
            left & 0xFFFFFFFF,
        ]
        keys = [(keys[0] + 0x9E3779B9) & 0xFFFFFFFF, (keys[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return words


@pytest.mark.parametrize("seed", [0, 7, 2**63 - 1])
def test_random_numbers_are_those_of_philox(kernels: Kernels, seed: int) -> None:
    found = drawn(kernels, seed, 16, 24).flatten().tolist()  # 384 numbers: three blocks of 16 counters
    for block in range(3):
        words = [philox(seed, block * 16 + lane) for lane in range(16)]
        halves = [(word[place] >> shift) & 0xFFFF for shift in (0, 16) for place in range(4) for word in words]
        assert found[block * 128 : (block + 1) * 128] == halves


def test_rows_draw_the_same_however_many_there_are_and_in_the_share_that_is_asked_for(kernels: Kernels) -> None:
    many = drawn(kernels, 5, 4000, 40)
    assert torch.equal(drawn(kernels, 5, 37, 40), many[:37])
    assert not torch.equal(drawn(kernels, 6, 37, 40), many[:37])
    # 160,000 numbers: three standard deviations of the share that drops are .0023.
    assert float((many < round(0.1 * LEVELS)).float().mean()) == pytest.approx(0.1, abs=0.0023)


@pytest.mark.parametrize("width", [48, 100])
@pytest.mark.parametrize("dropped", [0, 6554, 40_000])
def test_residual_and_norm_and_their_gradients(kernels: Kernels, width: int, dropped: int) -> None:
    rows, seed, eps = 37, 11, 1e-5
    branch, residual, given, more = (random(rows, width, seed=one).bfloat16() for one in range(4))
    branch_bias, weight, bias = (random(width, seed=10 + one) for one in range(3))
    leaves = [one.double().requires_grad_() for one in (branch, branch_bias, residual, weight, bias)]
    kept = (drawn(kernels, seed, rows, width) >= dropped).double() * LEVELS / (LEVELS - dropped)
    total = leaves[2] + (leaves[0] + leaves[1]) * kept
    expected = functional.layer_norm(total, (width,), leaves[3], leaves[4], eps)
    expected.backward(given.double() + more.double())

    result, normed, to_residual, to_branch = (torch.empty_like(branch) for _ in range(4))
    scales, sums = torch.empty(rows), torch.empty(3, width)
    how = (seed, dropped)
    kernels.call(
        "residual_norm", branch, branch_bias, residual, weight, bias, eps, *how, result, normed, scales, rows, width
    )
    assert off(result, expected.detach()) < BF16_STEP
    kernels.call(
        "residual_norm_backward", given, more, normed, scales, weight, *how, to_residual, to_branch, sums, rows, width
    )
    of_branch, of_branch_bias, of_residual, of_weight, of_bias = (one.grad for one in leaves)
    assert off(to_residual, of_residual) < BF16_STEP
    assert off(to_branch, of_branch) < BF16_STEP
    assert off(sums[0], of_weight) < BF16_STEP
    assert off(sums[1], of_bias) < 1e-5
    assert off(sums[2], of_branch_bias) < BF16_STEP


def test_gelu_and_its_derivative(kernels: Kernels) -> None:
    values = torch.linspace(-12, 12, 37 * 80).view(37, 80).bfloat16()
    bias = random(80)
    exact = (values.double() + bias.double()).requires_grad_()
    expected = functional.gelu(exact)
    expected.sum().backward()
    result = torch.empty_like(values)
    kernels.call("gelu", values, bias, result, *values.shape)
    assert torch.allclose(result.double(), expected.detach(), rtol=2 * BF16_STEP, atol=1e-6)
    assert torch.allclose(values.double(), exact.grad, rtol=2 * BF16_STEP, atol=1e-6)


def test_multiply_and_its_sums(kernels: Kernels) -> None:
    values, by = random(37, 100).bfloat16(), random(37, 100, seed=1).bfloat16()
    expected, sums = values.double() * by.double(), torch.empty(100)
    kernels.call("multiply", values, by, sums, 37, 100)
    assert off(values, expected) < BF16_STEP
    assert off(sums, expected.sum(0)) < 1e-5


@pytest.mark.parametrize(("tokens", "heads", "width"), [(8, 2, 32), (37, 3, 12), (64, 2, 48), (100, 1, 64)])
@pytest.mark.parametrize("dropped", [0, 20_000])
def test_attention_and_its_gradient(kernels: Kernels, tokens: int, heads: int, width: int, dropped: int) -> None:
    lengths, seed = torch.tensor([tokens, 5, 1]), 3
    projected = random(3, tokens, 3, heads, width).mul(1.5).bfloat16()
    bias, given = random(3, heads, width, seed=1), random(3, tokens, heads, width, seed=2).bfloat16()
    exact = (projected + bias).bfloat16().double().requires_grad_()
    query, key, value = exact.permute(2, 0, 3, 1, 4)
    real = torch.arange(tokens) < lengths[:, None]
    scores = (query @ key.transpose(-1, -2)).masked_fill(~real[:, None, None, :], -torch.inf)
    keeps = drawn_for_attention(kernels, seed, 3 * heads, tokens).view(3, heads, tokens, tokens) >= dropped
    expected = ((torch.softmax(scores, dim=-1) * keeps) @ value).transpose(1, 2) * real[:, :, None, None]
    expected.backward(given.double())

    starts = torch.cat((torch.zeros(1, dtype=torch.long), lengths.cumsum(0)))
    projected, given = projected[real], given[real]
    result, logs = torch.full_like(given, torch.nan), torch.empty(len(given) * heads)
    shape = (3, heads, width, seed, dropped)
    kernels.call("attention", projected, bias, starts, result, logs, *shape)
    assert off(result, expected.detach()[real]) < BF16_STEP
    gradient, sums = torch.full_like(projected, torch.nan), torch.full((3, heads, width), torch.nan)
    kernels.call("attention_backward", given, projected, starts, logs, gradient, sums, *shape)
    assert off(gradient, exact.grad[real]) < BF16_STEP
    assert off(sums[0], exact.grad.sum((0, 1))[0]) < BF16_STEP
    assert off(sums[2], exact.grad.sum((0, 1))[2]) < BF16_STEP


def test_numbers_of_attention_are_each_drawn_once_and_in_the_share_that_is_asked_for(kernels: Kernels) -> None:
    numbers = drawn_for_attention(kernels, 5, 6, 100)
    assert float((numbers < round(0.1 * LEVELS)).float().mean()) == pytest.approx(0.1, abs=0.0037)  # 60,000 of them
    rows = {tuple(row) for head in numbers.tolist() for row in head}
    columns = {tuple(row) for head in numbers.transpose(1, 2).tolist() for row in head}
    assert len(rows) == len(columns) == 600


@pytest.mark.parametrize(("rows", "depth", "columns"), [(1, 32, 32), (333, 384, 160), (129, 800, 64)])
def test_products_with_weights(kernels: Kernels, rows: int, depth: int, columns: int) -> None:
    values, weight = random(rows, depth).bfloat16(), random(columns, depth, seed=1).bfloat16()
    added, result = random(rows, columns, seed=2).bfloat16(), torch.empty(rows, columns).bfloat16()
    expected = values.double() @ weight.double().t()
    kernels.call("linear", values, weight, None, result, rows, depth, columns, 0)
    assert off(result, expected) < BF16_STEP
    kernels.call("linear", values, weight.t().contiguous(), added, result, rows, depth, columns, 1)
    assert off(result, expected + added.double()) < BF16_STEP


@pytest.mark.parametrize(("rows", "out", "inner"), [(7, 32, 32), (333, 96, 64), (700, 64, 160), (0, 64, 32)])
def test_gradients_of_weights_in_any_number_of_threads(kernels: Kernels, rows: int, out: int, inner: int) -> None:
    gradient, values = random(rows, out).bfloat16(), random(rows, inner, seed=1).bfloat16()
    threads, results = torch.get_num_threads(), []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            results.append(torch.full((out, inner), torch.nan))
            kernels.call("weight_product", gradient, values, results[-1], rows, out, inner)
    finally:
        torch.set_num_threads(threads)
    expected = gradient.double().t() @ values.double()
    assert off(results[0], expected) < rounding(terms=rows) if rows else torch.equal(results[0].double(), expected)
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


@pytest.mark.parametrize(("rows", "width", "inner"), [(5, 32, 64), (300, 64, 416), (1, 96, 64)])
def test_a_feed_forward_network_and_its_gradient(kernels: Kernels, rows: int, width: int, inner: int) -> None:
    values, given = random(rows, width).bfloat16(), random(rows, width, seed=1).bfloat16()
    up, down = random(inner, width, seed=2).mul(0.2).bfloat16(), random(width, inner, seed=3).mul(0.2).bfloat16()
    bias = random(inner, seed=4)
    before = (values.double() @ up.double().t() + bias).requires_grad_()
    exact = functional.gelu(before)
    exact.sum().backward()
    raised, slope = (torch.full((rows, inner), torch.nan).bfloat16() for _ in range(2))
    result = torch.empty_like(values)
    kernels.call("feed_forward", values, up, bias, down, raised, slope, result, rows, width, inner)
    assert off(raised, exact.detach()) < BF16_STEP
    assert off(slope, before.grad) < BF16_STEP
    assert off(result, raised.double() @ down.double().t()) < BF16_STEP
    to_up, sums, to_values = torch.empty_like(raised), torch.empty(inner), torch.empty_like(values)
    kernels.call("feed_forward_backward", given, up, down, slope, to_up, sums, to_values, rows, width, inner)
    assert off(to_up, given.double() @ down.double() * slope.double()) < BF16_STEP
    assert off(sums, (given.double() @ down.double() * slope.double()).sum(0)) < 1e-5
    assert off(to_values, to_up.double() @ up.double()) < BF16_STEP


@pytest.mark.parametrize("where", ["residual_norm", "gelu", "attention"])
def test_what_is_no_number_stays_so(kernels: Kernels, where: str) -> None:
    values, ones = random(16, 16).bfloat16(), torch.ones(16)
    values[3, 4] = torch.nan
    result, normed, scales = torch.empty_like(values), torch.empty_like(values), torch.empty(16)
    zeros = torch.zeros_like(values)
    if where == "gelu":
        kernels.call("gelu", values, ones, result, 16, 16)
    elif where == "attention":
        projected = torch.stack((values, random(16, 16).bfloat16(), random(16, 16).bfloat16()), dim=1)
        starts, logs = torch.tensor([0, 16]), torch.empty(16)
        kernels.call("attention", projected, torch.zeros(48), starts, result, logs, 1, 1, 16, 0, 0)
    else:
        kernels.call("residual_norm", values, ones, zeros, ones, ones, 1e-5, 0, 0, result, normed, scales, 16, 16)
    assert result[3].isnan().any()
    assert not result[4].isnan().any()


def test_a_tensor_with_gaps_is_refused(kernels: Kernels) -> None:
    with pytest.raises(ValueError, match="contiguous"):
        kernels.call("multiply", random(8, 8).bfloat16().t(), random(8, 8).bfloat16(), torch.empty(8), 8, 8)


def one_layer(flat: Tensor, layer: Any, masks: tuple[Tensor, ...], keeps: dict[str, Any], shape: LayerShape) -> Tensor:
    """The layer in float32 with given masks of dropout, written as the papers have it."""
    attention, width = layer.attention.self, flat.shape[1]
    found, start = [], 0
    for number, mask in enumerate(masks):
        part = flat[start : start + mask.numel()].view(*mask.shape, width)
        start += mask.numel()
        query, key, value = (
            module(part).view(*mask.shape, shape.heads, -1).transpose(1, 2)
            for module in (attention.query, attention.key, attention.value)
        )
        scores = query @ key.transpose(-1, -2) * shape.head_width**-0.5
        soft = torch.softmax(scores.masked_fill(~mask[:, None, None, :], -torch.inf), dim=-1)
        soft = soft * keeps["attention"][number].view(soft.shape)
        found.append((soft @ value).transpose(1, 2).reshape(-1, width))
    output = layer.attention.output
    middle = output.LayerNorm(flat + output.dense(torch.cat(found)) * keeps["first"])
    raised = functional.gelu(layer.intermediate.dense(middle))
    return layer.output.LayerNorm(middle + layer.output.dense(raised) * keeps["second"])  # type: ignore[no-any-return]


@pytest.mark.parametrize("width", [48, 96])  # the latter fits tile registers
def test_a_layer_under_dropout_and_its_gradients_are_those_of_its_masks(kernels: Kernels, width: int) -> None:
    sizes = {"hidden_size": width, "intermediate_size": 2 * width, "initializer_range": 0.2 * (48 / width) ** 0.5}
    layer = bert(**sizes).encoder.layer[1]
    of_head = width // 3
    shape = LayerShape(heads=3, head_width=of_head, eps=1e-12, last_eps=1e-12, dropout=0.2, attention_dropout=0.3)
    attention, output = layer.attention.self, layer.attention.output
    modules = (attention.query, attention.key, attention.value, output.dense, output.LayerNorm)
    modules = (*modules, layer.intermediate.dense, layer.output.dense, layer.output.LayerNorm)
    parameters = tuple(one for module in modules for one in (module.weight, module.bias))
    masks = tuple(
        torch.arange(tokens) < torch.tensor(lengths)[:, None] for tokens, lengths in ((20, (20, 3)), (40, (33,)))
    )
    rows = sum(mask.numel() for mask in masks)
    real = torch.cat([mask.flatten() for mask in masks])
    flat, given = random(rows, width).bfloat16(), random(rows, width, seed=1).bfloat16() * real[:, None]

    torch.manual_seed(8)
    ours, layout = flat.clone().requires_grad_(), Layout(masks)
    weights = LayerWeights.of(parameters, shape, torch.bfloat16, torch.float32)
    tokens_alone = layout.without_padding(ours)
    result = train_native_layer(tokens_alone, layout.starts, weights, shape, parameters, kernels)
    result = layout.with_padding(result)
    result.backward(given)
    gradients = [ours.grad, *(one.grad for one in parameters)]

    torch.manual_seed(8)
    seeds = torch.empty(3, dtype=torch.int64).random_().tolist()
    level, of_attention = round(0.2 * LEVELS), round(0.3 * LEVELS)
    keeps: dict[str, Any] = {
        name: layout.with_padding((drawn(kernels, seed, len(tokens_alone), width) >= level) / (1 - 0.2))
        for name, seed in zip(("first", "second"), seeds, strict=False)
    }
    numbers = drawn_for_attention(kernels, seeds[2], 3 * 3, 40)  # three texts of three heads
    parts = ((numbers[:6], 20), (numbers[6:], 40))
    keeps["attention"] = [(of[:, :tokens, :tokens] >= of_attention) / (1 - 0.3) for of, tokens in parts]
    for one in parameters:
        one.grad = None
    theirs = flat.float().requires_grad_()
    expected = one_layer(theirs, layer, masks, keeps, shape)
    expected.backward(given.float())
    assert off(result[real].detach().float(), expected[real].detach()) < 0.01
    assert off(gradients[0][real].float(), theirs.grad[real]) < 0.02
    for place, one in enumerate(parameters):
        if place != 3:  # the keys' bias: nothing but rounding
            assert off(gradients[place + 1], one.grad) < 0.02, place


# The wide ones fit tile registers.
WIDE = {"hidden_size": 96, "intermediate_size": 128}
widths = pytest.mark.parametrize("sizes", [{}, WIDE], ids=["narrow", "wide"])


@pytest.fixture
def has_kernels() -> None:
    try:
        kernels_here()
    except NativeUnavailableError as reason:
        pytest.skip(str(reason))


@widths
@pytest.mark.usefixtures("has_kernels")
def test_a_pass_repeats_with_torchs_random_state_also_when_it_is_computed_again_for_the_backward_pass(
    sizes: dict[str, int],
) -> None:
    encoder = bert(dropout=0.3, **sizes)
    runs = []
    for seed, again in ((5, False), (5, False), (6, False), (5, True)):
        torch.manual_seed(seed)
        compute = BertCompute(encoder)
        compute.checkpoint_layers = again
        runs.append(pass_through(compute, encoder, torch.bfloat16))
    assert all(torch.equal(runs[0][name], runs[1][name]) for name in runs[0])
    assert all(torch.equal(runs[0][name], runs[3][name]) for name in runs[0])
    assert not torch.equal(runs[0]["hidden"], runs[2]["hidden"])


@widths
@pytest.mark.usefixtures("has_kernels")
def test_a_pass_does_not_depend_on_the_number_of_threads_but_for_sums_over_tokens(sizes: dict[str, int]) -> None:
    encoder, threads, runs = bert(dropout=0.3, **sizes), torch.get_num_threads(), []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            torch.manual_seed(5)
            runs.append(pass_through(BertCompute(encoder), encoder, torch.bfloat16))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(runs[0]["hidden"], runs[1]["hidden"])
    for name, value in runs[0].items():
        assert off(runs[1][name], value) < 1e-3 or name.endswith("key.bias"), name


@widths
@pytest.mark.usefixtures("has_kernels")
def test_without_them_the_layers_are_as_near(sizes: dict[str, int]) -> None:
    encoder = bert(**sizes)
    exact = pass_through(BertCompute(encoder), encoder, torch.float32)
    for native in (True, False):
        compute = copy.deepcopy(BertCompute(encoder, native=native))
        found = pass_through(compute, compute.encoder, torch.bfloat16)
        assert compute.native is native
        assert off(found["hidden"], exact["hidden"]) < 0.02
