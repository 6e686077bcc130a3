"""Whether it pays to keep what fixed layers give: from counts alone.

The unit of cost is a fixed layer's forward pass of one token. A layer that trains costs five of them, forward and
backward: the backward pass has twice the products, and neither has the fused attention that goes without dropout
(measured on MiniLM, bf16, AMX: 25 microseconds a token against 5). A fixed layer below the cut costs its forward pass
at every visit; where its result is kept, once, and a read at every visit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Decision", "Work", "decide"]

# A layer of width w multiplies 24 w^2 times a token; reading and writing move some 2 w bytes. Measured on MiniLM
# (w = 384, bf16, AMX), where both are dearest compared with a layer: 0.08 and 0.2.
READ_COST = 0.08
WRITE_COST = 0.2
# The embeddings, which feed the first layer; pooling, and what a step does beside its layers.
EMBEDDING_COST = 0.3
REST_COST = 0.05
BACKWARD_COST = 4.0
# What saves less of the time is not worth the disk.
LEAST_GAIN = 0.05


@dataclass(frozen=True)
class Work:
    """What there is to do with one tower, in tokens without padding.

    Args:
        layers: of the tower.
        cut: of them fixed.
        texts: that it embeds.
        missing_texts, missing_tokens: of them not kept yet.
        held_cut: after how many layers all of them are kept already; 0: nothing is.
        trained: tokens embedded in an epoch.
        validated: in a validation.
        tested: in a look at test.
        epochs, validations, tests: how many there are; of an epoch that is cut short its share.
        uses: trainings like this one, this one in: later trials of a sweep.
        nbytes: to be written for the missing ones.
    """

    layers: int
    cut: int
    texts: int
    missing_texts: int
    missing_tokens: int
    held_cut: int
    trained: int
    validated: int
    tested: int
    epochs: float
    validations: int
    tests: int
    uses: int
    nbytes: int

    @property
    def visits(self) -> float:
        """Tokens embedded in the whole training."""
        return self.epochs * self.trained + self.validations * self.validated + self.tests * self.tested

    @property
    def above(self) -> float:
        """Cost of what is computed in any case: the layers above the cut, forward and, in training, backward."""
        above = self.layers - self.cut
        return self.visits * (above + REST_COST) + self.epochs * self.trained * above * BACKWARD_COST

    @property
    def without(self) -> float:
        """Cost of a training with what is kept already, and nothing more."""
        return self.above + self.visits * self._below

    @property
    def warm(self) -> float:
        """Cost of a training with everything kept."""
        return self.above + self.visits * READ_COST

    @property
    def to_keep(self) -> float:
        """Cost of computing and writing what is missing."""
        return self.missing_tokens * (self._below + WRITE_COST)

    @property
    def _below(self) -> float:
        """Cost of what leads to the cut from where it is kept, a visit."""
        return self.cut - self.held_cut + (READ_COST if self.held_cut else EMBEDDING_COST)


@dataclass(frozen=True)
class Decision:
    """What came of it.

    Args:
        keeps: whether what is missing is computed and written now.
        line: says what was decided and why, without the place.
    """

    keeps: bool
    line: str


def decide(work: Work, mode: Literal["auto"] | bool) -> Decision:
    """Decides by cost.

    Args:
        work: of one tower.
        mode: `stores.activations`: `auto`; true keeps whatever it costs.
    """
    layers = "Layer 0 is" if work.cut == 1 else f"Layers 0-{work.cut - 1} are"
    told = f"{layers} fixed"
    if not work.missing_texts:
        return Decision(False, f"{told}: what they give is kept already for {_counted(work.texts, 'text')}.")
    gain = work.uses * (work.without - work.warm) - work.to_keep
    if mode == "auto" and gain < LEAST_GAIN * work.uses * work.without:
        return Decision(False, f"{told}; what they give is not kept: {_times(work)} would not pay.")
    cold = work.without / (work.to_keep + work.warm)
    again = f", {work.without / work.warm:.1f}x in later trials" if work.uses > 1 else ""
    how = f"about {cold:.1f}x faster over {_times(work)}{again}."
    if cold < 1.05:
        how = f"later trials are about {work.without / work.warm:.1f}x faster."
    if work.uses == 1 and cold < 1.0:
        how = "as stores.activations=true asks."
    missing = "" if work.missing_texts == work.texts else f" of {work.texts:,}"
    size = f"{work.missing_texts:,}{missing} texts ({work.nbytes / 1e6:,.0f} MB in {{folder}})"
    return Decision(True, f"{told}: what they give is computed once for {size}, {how}")


def _times(work: Work) -> str:
    return "one epoch" if work.epochs <= 1 else f"{work.epochs:,.3g} epochs"


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
