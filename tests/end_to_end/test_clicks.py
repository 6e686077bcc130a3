"""Clicks as evidence through whole runs: the ablation, what a run says of its click model, logs that cannot tell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hft.cli import main

# Judged lists shown forty times a query, a half of the times shuffled.
CLICKS = (
    "data.source.reading=judged",
    "data.source.sessions_per_query=40",
    "data.source.shuffled_share=0.5",
    "data.candidates=shown",
)


@pytest.fixture
def clicked(beir_folder: list[str], tiny_model: list[str], two_steps: list[str]) -> list[str]:
    """Overrides of a run of two steps on simulated clicks."""
    return [*beir_folder, *tiny_model, *two_steps, *CLICKS, "settings.negatives=shown"]


def test_a_sweep_over_ways_to_read_clicks_prints_the_ablation(
    place: Path, clicked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "-m", *clicked, "data/clicks=naive,position_based"]) == 0
    out = capsys.readouterr().out
    table = out[out.index("The best 2") :]
    assert "naive" in table
    assert "position_based" in table


def test_a_run_tells_its_click_model_and_what_clicks_say_of_both_orders(
    place: Path, clicked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *clicked, "data/clicks=position_based_false_clicks", "outputs=out"]) == 0
    out = capsys.readouterr().out
    assert "Clicks on the test split" in out
    assert "Click model: position-based model: fitted on" in out
    (file,) = Path("out").rglob("report.json")
    report = json.loads(file.read_text())
    assert set(report["clicks"]) == {"snips_dcg@10", "snips_recall@10", "snips_ctr@10"}
    estimate = report["clicks"]["snips_dcg@10"]
    assert 1 <= estimate["effective_sample_size"] <= estimate["clicks"]
    low, high = estimate["interval"]
    assert low <= estimate["tuned"] - estimate["start"] <= high
    assert len(report["click_notes"]) == 3


def test_naive_clicks_have_no_estimate(place: Path, clicked: list[str]) -> None:
    assert main(["train", *clicked, "outputs=out"]) == 0
    (file,) = Path("out").rglob("report.json")
    report = json.loads(file.read_text())
    assert (report["clicks"], report["click_notes"]) == ({}, [])


@pytest.mark.parametrize("simulated", ["Cascade", "DynamicBayesian", "UserBrowsing"])
def test_the_simulator_has_each_click_model(place: Path, clicked: list[str], simulated: str) -> None:
    who = f"data.source.clicks={{_target_:hft.data.{simulated}Clicks}}"
    assert main(["train", *clicked, who, "data/clicks=cascade", "outputs=out"]) == 0


def test_lists_that_never_change_are_refused_with_what_to_do(
    place: Path, clicked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *clicked, "data.source.shuffled_share=0.0", "data/clicks=position_based"]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "no clicked result ever changes its position for its query" in told
    assert "data/clicks=given" in told
