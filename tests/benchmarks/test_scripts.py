"""Every claim on speed has its script, and every script can be asked and run."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
CLAIMS = (
    "train_vs_st",
    "train_vs_st_bf16",
    "train_vs_reference",
    "frozen_cold",
    "frozen_warm",
    "sweep_vs_processes",
    "adapter_cold",
    "adapter_warm",
    "matrix_rate",
    "startup",
    "data_scale",
    "quality",
    "gpu",
    "debiasing",
    "click_model_fit",
)


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *command], cwd=FOLDER.parent, capture_output=True, text=True, check=False)


def test_every_row_of_the_table_has_its_script_and_every_claim_its_row():
    rows = re.findall(
        r"^\| \[`(\w+)`\]\((\w+)\.py\)", (FOLDER / "RESULTS.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert [name for name, _ in rows] == [script for _, script in rows] == list(CLAIMS)
    assert [name for name in CLAIMS if not (FOLDER / f"{name}.py").is_file()] == []


@pytest.mark.parametrize("name", CLAIMS)
def test_a_script_says_what_it_claims(name, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
    assert ended.value.code == 0
    assert f"python benchmarks/{name}.py" in capsys.readouterr().out


def test_clicks_that_may_be_false_are_fitted_on_a_log_that_can_tell_them():
    done = _run("benchmarks/click_model_fit.py", "--quick", "--models", "position_based_false_clicks")
    assert done.returncode == 0, done.stderr
    assert "false clicks: fitted in" in done.stdout


def test_machine_and_versions_are_told():
    done = _run("benchmarks/machine.py")
    assert [line.split(":")[0] for line in done.stdout.splitlines() if "accelerator" not in line] == [
        "machine",
        "versions",
        "date",
    ]
    assert "sentence-transformers 6" in done.stdout


def test_without_a_gpu_the_gpu_script_says_so():
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    done = _run("benchmarks/gpu.py")
    assert (done.returncode, done.stdout.strip()) == (2, "no CUDA device here")


@pytest.mark.slow
def test_a_script_ends_with_its_ratio_alone(tiny_bert):
    small = ["--quick", "--threads", "1", "--model", str(tiny_bert), "--sessions", "32"]
    done = _run("benchmarks/train_vs_st.py", *small)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.splitlines()[-1]) >= 0.0
