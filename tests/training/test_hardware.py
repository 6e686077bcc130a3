"""Device and precision follow the hardware, or the config where it says which."""

from __future__ import annotations

import pytest
import torch

from hft.errors import ConfigError
from hft.training import resolve_accelerator, resolve_precision


def with_gpu(monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int] | None) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: capability is not None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)


def with_cpu(monkeypatch: pytest.MonkeyPatch, *features: str) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: dict.fromkeys(features, True))


@pytest.mark.parametrize("word", ["gpu", "cuda"])
def test_a_gpu_asked_for_where_there_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    with_gpu(monkeypatch, None)
    with pytest.raises(ConfigError, match=r"trainer.accelerator is .* no GPU"):
        resolve_accelerator(word)


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(ConfigError, match="Allowed: auto, cpu, gpu"):
        resolve_accelerator("tpu")


def test_auto_takes_the_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpu(monkeypatch, (9, 0))
    assert [resolve_accelerator(word) for word in ("auto", "gpu", "cpu")] == ["cuda", "cuda", "cpu"]
    with_gpu(monkeypatch, None)
    assert resolve_accelerator("auto") == "cpu"


@pytest.mark.parametrize(
    ("capability", "expected"), [((8, 0), "bf16-mixed"), ((9, 0), "bf16-mixed"), ((7, 5), "32-true")]
)
def test_auto_precision_on_a_gpu(monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], expected: str) -> None:
    with_gpu(monkeypatch, capability)
    assert resolve_precision("auto", "cuda") == expected


@pytest.mark.parametrize(
    ("features", "expected"),
    [(("avx512_bf16",), "bf16-mixed"), (("amx_bf16",), "bf16-mixed"), (("avx512_f",), "32-true")],
)
def test_auto_precision_on_a_cpu(monkeypatch: pytest.MonkeyPatch, features: tuple[str, ...], expected: str) -> None:
    with_cpu(monkeypatch, *features)
    assert resolve_precision("auto", "cpu") == expected


def test_a_named_precision_is_taken_and_a_foreign_one_refused() -> None:
    assert resolve_precision("32", "cpu") == resolve_precision(32, "cpu") == "32-true"
    assert resolve_precision("bf16-mixed", "cpu") == "bf16-mixed"
    with pytest.raises(ConfigError, match=r"trainer.precision is '16-true'"):
        resolve_precision("16-true", "cpu")
