"""Where the kernels in C come from, and what happens where there are none."""

from __future__ import annotations

import logging
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from hft.models.compute.bert import BertCompute, _has_native_or_warns
from hft.native import NativeUnavailableError, fingerprint_here, kernels_here, library
from models.compute.test_bert import bert, off, pass_through

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kernels are compiled on Linux only")
needs_compiler = pytest.mark.skipif(not any(map(shutil.which, ("gcc", "cc", "clang"))), reason="no C compiler")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    # How quick the kernels are is no matter here, and to compile them takes a tenth of the time so.
    monkeypatch.setattr(library, "_FLAGS", tuple("-O0" if flag == "-O3" else flag for flag in library._FLAGS))
    for known in (library._found, _has_native_or_warns):
        known.cache_clear()
    yield tmp_path / "hft" / "kernels"
    for known in (library._found, _has_native_or_warns):
        known.cache_clear()


def compiler(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@needs_compiler
def test_they_are_compiled_once_and_kept_in_the_users_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernels_here()
    (kept,) = cache.iterdir()
    library._found.cache_clear()
    monkeypatch.setenv("CC", "no-such-compiler")
    kernels_here()
    assert list(cache.iterdir()) == [kept]


@needs_compiler
def test_a_flipped_bit_costs_a_compilation(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = fingerprint_here()
    (kept,) = cache.iterdir()
    content = kept.read_bytes()
    for place in (len(content) // 3, len(content) - 1):
        damaged = bytearray(content)
        damaged[place] ^= 1 << 4
        other = kept.with_name("other")  # the file that this process has loaded stays as it is
        other.write_bytes(damaged)
        other.replace(kept)
        library._found.cache_clear()
        with caplog.at_level(logging.WARNING):
            assert fingerprint_here() == before
        assert f"{kept}: is damaged" in caplog.text
        assert kept.read_bytes() == content
        caplog.clear()


@needs_compiler
def test_another_processor_gets_its_own(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernels_here()
    library._found.cache_clear()
    monkeypatch.setattr(library, "_instructions", lambda: "another one")
    kernels_here()
    assert len(list(cache.iterdir())) == 2


@needs_compiler
@pytest.mark.parametrize("fault", ["a file in the way", "not whole"])
def test_a_cache_that_cannot_be_used_costs_a_compilation(
    cache: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.parent.mkdir()
    if fault == "not whole":
        cache.mkdir()
        flags = (*library._FLAGS, *library._FLAGS_OF.get(platform.machine(), ()))
        kept = cache / f"{library._fingerprint(flags)}.sealed.so"
        kept.write_bytes(b"no library")
    else:
        cache.write_text("not a folder")
    kernels_here()
    if fault == "not whole":
        assert list(cache.iterdir()) == [kept]
        assert kept.stat().st_size > 10_000
        library._found.cache_clear()
        monkeypatch.setenv("CC", "no-such-compiler")
        kernels_here()


def test_where_none_can_be_loaded_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> None:
        raise OSError(f"{path}: failed to map segment")

    monkeypatch.setattr(library.ctypes, "CDLL", refuse)
    with pytest.raises(NativeUnavailableError, match=r"failed to map segment|no C compiler"):
        kernels_here()


@needs_compiler
def test_the_variable_may_hold_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", f"{next(filter(shutil.which, ('gcc', 'cc', 'clang')))} -pthread")
    assert kernels_here().fingerprint == fingerprint_here()


def test_without_a_compiler_it_is_said_once_and_training_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(NativeUnavailableError, match=r"no C compiler \(looked for CC=no-such-compiler"):
        kernels_here()
    assert fingerprint_here() is None
    encoder = bert()
    with caplog.at_level(logging.WARNING):
        found = [pass_through(BertCompute(encoder), encoder, torch.bfloat16) for _ in range(2)]
    assert len(caplog.records) == 1
    assert "compute.kernels=torch" in caplog.text
    exact = pass_through(BertCompute(encoder), encoder, torch.float32)
    assert off(found[0]["hidden"], exact["hidden"]) < 0.02


@needs_compiler
def test_a_processor_of_narrow_vectors_trains_with_torchs_operations(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(kernels_here(), "wide", False)
    encoder = bert()
    with caplog.at_level(logging.WARNING):
        compute = BertCompute(encoder)
        pass_through(compute, encoder, torch.bfloat16)
    assert "no vectors of 512 bits" in caplog.text
    assert {type(weights).__name__ for _, weights in compute._weights.values()} == {"BackwardWeights"}


def test_torchs_operations_are_chosen_without_a_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    encoder = bert()
    pass_through(BertCompute(encoder, native=False), encoder, torch.bfloat16)
    assert not caplog.records


def test_a_compiler_that_fails_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", compiler(tmp_path / "broken", "echo 'kernels.c:1: error: no OpenMP' >&2; exit 1"))
    with pytest.raises(NativeUnavailableError, match=r"did not compile them \(kernels.c:1: error: no OpenMP\)"):
        kernels_here()
