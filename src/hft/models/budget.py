"""How many tokens are computed at once, and of how many the activations are kept: what bounds the memory of a step."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

from hft.errors import TrainingError

__all__ = ["DEFAULT_TOKEN_BUDGET", "ComputeBudget", "GraphAllowance"]

# Padded tokens computed at once where nobody says.
DEFAULT_TOKEN_BUDGET = 8192
# Halving ends here: where so few tokens are too many, it is the weights that do not fit.
LEAST_TOKEN_BUDGET = 128

Result = TypeVar("Result")


class ComputeBudget:
    """The tokens that a model may compute and keep at once; its towers have one together.

    Args:
        token_budget: padded tokens computed at once, a chunk; at least one text is.
        graph_tokens: padded tokens of a step whose activations are kept for the backward pass; None: of all. What is
            beyond is computed again in the backward pass, a chunk at a time and with the same random numbers, so that
            the gradients are the same (GradCache; Gao et al., "Scaling deep contrastive learning batch size under
            memory limited setup", 2021).
        say: takes a line for the person who waits, when the budget had to be halved.
    """

    def __init__(
        self,
        token_budget: int = DEFAULT_TOKEN_BUDGET,
        graph_tokens: int | None = None,
        say: Callable[[str], object] | None = None,
    ) -> None:
        self.token_budget = token_budget
        self.graph_tokens = graph_tokens
        self.say = say
        self._latest = GraphAllowance(graph_tokens)

    def __deepcopy__(self, memo: dict[int, object]) -> ComputeBudget:
        """The budget of a model's copy: the same numbers; who is spoken to is no part of it."""
        return ComputeBudget(self.token_budget, self.graph_tokens, self.say)

    def allowance(self) -> GraphAllowance:
        """What may be kept of a step that begins."""
        self._latest = GraphAllowance(self.graph_tokens)
        return self._latest

    def halve(self, *, keeps_graph: bool = True) -> None:
        """After the device ran out of memory: half of what was computed, and kept, in the latest step; says so.

        Args:
            keeps_graph: whether activations were kept at all.

        Raises:
            TrainingError: the budget is at its least.
        """
        latest = self._latest
        tokens = min(self.token_budget, latest.largest or self.token_budget)
        if tokens <= LEAST_TOKEN_BUDGET:
            raise TrainingError(
                f"The GPU is out of memory even where it computes no more than {tokens} tokens at once. Lower "
                "settings.batch_size or model.max_length, raise params.num_fixed_layers, or choose a smaller model."
            )
        self.token_budget = max(LEAST_TOKEN_BUDGET, tokens // 2)
        if keeps_graph:
            kept = latest.tokens if self.graph_tokens is None else min(latest.tokens, self.graph_tokens)
            self.graph_tokens = kept // 2
        if self.say is not None:
            self.say(f"The GPU is out of memory: the token budget is now {self.token_budget}.")

    def within_memory(self, compute: Callable[[], Result], begin_anew: Callable[[], object] | None = None) -> Result:
        """What `compute` gives, tried again with half the budget while the device is out of memory.

        Args:
            compute: embeds within this budget.
            begin_anew: called before each try but the first.

        Raises:
            TrainingError: it is out of memory with the least budget as well.
        """
        while True:
            try:
                return compute()
            except torch.OutOfMemoryError as error:
                failed = error.with_traceback(None)
            # Out here the error no longer holds the frames, and so the tensors, of the failed try.
            try:
                self.halve(keeps_graph=torch.is_grad_enabled())
            except TrainingError as refusal:
                raise refusal from failed
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            if begin_anew is not None:
                begin_anew()


class GraphAllowance:
    """Counts the padded tokens of one step: the first chunks keep their activations, the others do not.

    Args:
        graph_tokens: how many tokens may; None: all.

    Attributes:
        tokens: of the step so far.
        largest: tokens of its largest chunk.
    """

    def __init__(self, graph_tokens: int | None) -> None:
        self.graph_tokens = graph_tokens
        self.tokens = 0
        self.largest = 0

    def keeps(self, tokens: int) -> bool:
        """Whether the next chunk, of so many padded tokens, keeps its activations."""
        self.tokens += tokens
        self.largest = max(self.largest, tokens)
        return self.graph_tokens is None or self.tokens <= self.graph_tokens
