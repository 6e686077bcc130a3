"""A real training, repeated from its record by the command: equal to the last bit on this machine's CPU."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import hft
from hft.cli import main
from hft.experiments import find_run, load_record

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("threads", [1, 2])
def test_losses_and_weights_are_bit_identical(
    tiny_bert: Path, threads: int, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = [
        "trainer=debug",
        "tracking=csv",
        "model=local",
        f"model.source={tiny_bert}",
        "model.max_length=64",
        "model.dropout=0.1",
        f"threads={threads}",
        "seed=5",
    ]
    hft.train(hft.compose(overrides), folder="outputs/recorded", overrides=overrides)
    capsys.readouterr()
    recorded = load_record("outputs/recorded")
    assert recorded.environment.threads == threads

    assert main(["reproduce", "outputs/recorded", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    now = find_run(found["run_id"])
    assert found["holds"] is True
    assert "equal to the last bit" in found["verdict"]
    assert now.results.weights == recorded.results.weights
    assert now.results.steps == recorded.results.steps
    assert now.environment.threads == threads
