"""The check refuses before anything heavy is imported; how quickly: benchmarks/startup.py."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("torch", "pytorch_lightning", "transformers", "mlflow", "pyarrow", "matplotlib")


def run(code: str, cwd) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False)


def heavy_modules_after(arguments: list[str], cwd) -> str:
    code = (
        "import sys\nfrom hft.cli import main\n"
        f"main({arguments!r})\n"
        f"print('heavy:', [name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    return run(code, cwd).stdout.splitlines()[-1]


def test_the_check_of_the_default_job_imports_nothing_heavy(tmp_path):
    assert heavy_modules_after(["check"], tmp_path) == "heavy: []"


def test_a_refused_training_imports_nothing_heavy(tmp_path):
    assert heavy_modules_after(["train", "loss=infonse"], tmp_path) == "heavy: []"


def test_help_and_the_composed_config_import_nothing_heavy(tmp_path):
    assert heavy_modules_after(["train", "--help"], tmp_path) == "heavy: []"
    assert heavy_modules_after(["train", "--cfg", "job"], tmp_path) == "heavy: []"


def test_hft_and_its_compose_import_nothing_heavy(tmp_path):
    code = f"import sys, hft\nhft.compose()\nprint([name for name in {HEAVY!r} if name in sys.modules])"
    assert run(code, tmp_path).stdout == "[]\n"
