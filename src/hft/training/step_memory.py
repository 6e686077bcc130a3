"""A step that the memory of the GPU did not suffice for is run again, from where it began."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from hft.models.budget import ComputeBudget

__all__ = ["MemoryBoundStep"]


class MemoryBoundStep:
    """The forward and the backward pass of one batch, each tried again with half the token budget.

    The caller gets the loss as a tensor of its own, so that nobody but this object holds the graph: what a failed try
    has left of it is gone when it is made anew. A new try begins from the random state and with the precision of the
    first one, and without the gradients that the failed one has added; those of batches accumulated before are put
    aside meanwhile.

    Args:
        budget: of the model.
        compute: the forward pass, to the loss; None where the batch has none.
        device: of the model.

    Attributes:
        loss: FloatTensor[], a leaf: what to hand on as the loss; None where there is none.
    """

    def __init__(self, budget: ComputeBudget, compute: Callable[[], Tensor | None], device: torch.device) -> None:
        self._budget = budget
        self._compute = compute
        self._device = device
        self._random = _random_state(device)
        self._is_mixed = torch.is_autocast_enabled(device.type)
        self._dtype = torch.get_autocast_dtype(device.type)
        self._graph = budget.within_memory(compute, self._begin_anew)
        self.loss = None if self._graph is None else self._graph.detach().requires_grad_()

    def backward(self, loss: Tensor, parameters: Iterable[nn.Parameter]) -> None:
        """Adds the gradients of a loss made of `self.loss` to the parameters.

        Args:
            loss: FloatTensor[], for example the loss divided by a number of batches.
            parameters: that may get a gradient.

        Raises:
            TrainingError: the memory does not suffice with the least token budget either.
        """
        assert self.loss is not None
        (scale,) = torch.autograd.grad(loss, self.loss)
        parameters = list(parameters)
        earlier = [(parameter, parameter.grad) for parameter in parameters if parameter.grad is not None]
        for parameter, _ in earlier:
            parameter.grad = None

        def attempt() -> None:
            graph, self._graph = self._graph, None
            if graph is None:
                with torch.autocast(self._device.type, self._dtype, enabled=self._is_mixed):
                    graph = self._compute()
            assert graph is not None
            graph.backward(scale)  # type: ignore[no-untyped-call]

        def begin_anew() -> None:
            self._begin_anew()
            for parameter in parameters:
                parameter.grad = None

        self._budget.within_memory(attempt, begin_anew)
        for parameter, gradient in earlier:
            parameter.grad = gradient if parameter.grad is None else gradient.add_(parameter.grad)

    def _begin_anew(self) -> None:
        cpu, gpu = self._random
        torch.set_rng_state(cpu)
        if gpu is not None:
            torch.cuda.set_rng_state(gpu, self._device)


def _random_state(device: torch.device) -> tuple[Tensor, Tensor | None]:
    """Of the generators that dropout draws from."""
    gpu = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    return torch.get_rng_state(), gpu
