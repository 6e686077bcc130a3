"""The values of one training step: numbers, some of which may still be on their way from a GPU."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

__all__ = ["StepValues"]


class StepValues(Mapping[str, float]):
    """Values by name. To read them waits for the GPU where they have not arrived yet; see `has_arrived`.

    Args:
        known: numbers.
        computed: FloatTensor[] each, without a graph; copied from a GPU without waiting for it.
    """

    def __init__(self, known: Mapping[str, float] | None = None, computed: Mapping[str, Tensor] | None = None) -> None:
        self._values: dict[str, float] = dict(known or {})
        self._arriving: tuple[list[str], Tensor, torch.cuda.Event] | None = None
        if not computed:
            return
        if not next(iter(computed.values())).is_cuda:
            self._values.update({name: float(value) for name, value in computed.items()})
            return
        values = torch.stack([value.double() for value in computed.values()])
        arriving = torch.empty(len(values), dtype=values.dtype, pin_memory=True).copy_(values, non_blocking=True)
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record()
        self._arriving = list(computed), arriving, event

    @property
    def has_arrived(self) -> bool:
        """Whether reading does not wait."""
        return self._arriving is None or bool(self._arriving[2].query())  # type: ignore[no-untyped-call]

    def _read(self) -> dict[str, float]:
        if self._arriving is not None:
            names, values, event = self._arriving
            event.synchronize()
            self._values.update(zip(names, values.tolist(), strict=True))
            self._arriving = None
        return self._values

    def __getitem__(self, name: str) -> float:
        return self._read()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())
