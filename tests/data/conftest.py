"""Small sessions and files to read."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hft.data import FineTuningInputs, ItemsSet, Labels, SourceData


@pytest.fixture
def items() -> ItemsSet:
    texts = ["red apple", "green pear", "yellow banana", "blue plum", "ripe cherry", "sour lemon"]
    return ItemsSet.from_columns(list("abcdef"), texts, [text.split()[1] for text in texts])


@pytest.fixture
def make_inputs(items: ItemsSet) -> Callable[..., FineTuningInputs]:
    """make_inputs([(query, "abc", [0, 1, 0]), ...], judged=[{"a": 1.0} or None, ...], other columns)."""

    def make(
        sessions: Sequence[tuple[str, str, Sequence[float]]],
        judged: Sequence[dict[str, float] | None] | None = None,
        **columns: Any,
    ) -> FineTuningInputs:
        offsets = np.cumsum([0] + [len(shown) for _, shown, _ in sessions]).astype(np.int64)
        labels = None
        if judged is not None:
            known = [entry or {} for entry in judged]
            labels = Labels(
                np.cumsum([0] + [len(entry) for entry in known]).astype(np.int64),
                np.array([items.row_of(name) for entry in known for name in entry], dtype=np.int32),
                np.array([grade for entry in known for grade in entry.values()], dtype=np.float32),
            )
        return FineTuningInputs.from_columns(
            items,
            [f"s{number}" for number in range(len(sessions))],
            [query for query, _, _ in sessions],
            offsets=offsets,
            results=np.array([items.row_of(name) for _, shown, _ in sessions for name in shown], dtype=np.int32),
            events=np.array([event for _, _, events in sessions for event in events], dtype=np.float32),
            judgements=labels,
            **columns,
        )

    return make


@pytest.fixture
def source_of() -> Callable[..., Any]:
    """A source that gives inputs which are there already."""

    class Ready:
        def __init__(self, inputs: FineTuningInputs, **more: Any) -> None:
            self.data = SourceData(inputs.items, inputs, **more)

        def read(self, quarantine: object) -> SourceData:
            return self.data

    return Ready


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, Any], Path]:
    """write(name, lines): objects become JSON lines, texts and bytes stand as they are; .gz is compressed."""

    def write_file(name: str, lines: Sequence[Any]) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        encoded = [
            line if isinstance(line, bytes) else (line if isinstance(line, str) else json.dumps(line)).encode()
            for line in lines
        ]
        content = b"".join(line + b"\n" for line in encoded)
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    return write_file
