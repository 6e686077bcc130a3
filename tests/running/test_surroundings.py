"""A run leaves the process as it found it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
import torch
from omegaconf import OmegaConf

from hft.running import Surroundings


@pytest.fixture(autouse=True)
def process() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("deterministic", [True, False])
def test_threads_and_determinism_are_put_back_also_after_a_failure(deterministic: bool) -> None:
    torch.set_num_threads(3)
    torch.use_deterministic_algorithms(deterministic, warn_only=deterministic)
    fill = torch.utils.deterministic.fill_uninitialized_memory
    with contextlib.suppress(KeyError), Surroundings("cpu", "32-true", threads=2, seed=0).applied():
        assert torch.get_num_threads() == 2
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.is_deterministic_algorithms_warn_only_enabled()
        assert not torch.utils.deterministic.fill_uninitialized_memory
        raise KeyError
    assert torch.get_num_threads() == 3
    assert torch.are_deterministic_algorithms_enabled() is deterministic
    assert torch.is_deterministic_algorithms_warn_only_enabled() is deterministic
    assert torch.utils.deterministic.fill_uninitialized_memory == fill


@pytest.mark.parametrize("deterministic", [True, False])
def test_on_a_gpu_determinism_stays_as_it_is(deterministic: bool) -> None:
    torch.use_deterministic_algorithms(deterministic)
    with Surroundings("cuda", "32-true", threads=1, seed=0).applied():
        assert torch.are_deterministic_algorithms_enabled() is deterministic
    assert torch.are_deterministic_algorithms_enabled() is deterministic


def test_without_a_number_of_threads_the_processes_own_stays() -> None:
    torch.set_num_threads(3)
    config = OmegaConf.create({"trainer": {"accelerator": "cpu", "precision": "32-true"}, "threads": None, "seed": 0})
    with Surroundings.of(config).applied():
        assert torch.get_num_threads() == 3
