"""Training tokens/s with threads that spin briefly (hft's way) against libgomp's own way, beside busy processes.

    python benchmarks/thread_waiting.py [--busy 1] [--pairs 5]

Prints the ratio alone on its last line: hft's tokens/s over the other's, the median over pairs. `--busy` processes
occupy one core each; 0 measures an idle machine.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys

STEPS = """
import time, numpy as np, torch
from hft.models import load_text_model
model = load_text_model(max_length=256).train()
rng = np.random.default_rng(0)
rates = []
for step in range(7):
    lengths = np.clip(rng.lognormal(4, .6, 40).astype(int), 5, 256)
    tokens = [rng.integers(1000, 20000, size=length).astype(np.int32) for length in lengths]
    started = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16):
        vectors = model.embed(tokens, "items")
    vectors.sum().backward()
    rates.append(lengths.sum() / (time.perf_counter() - started))
print(np.median(rates[1:]))
"""


def rate(environment: dict[str, str]) -> float:
    """Tokens/s of forward and backward passes in a process with these variables."""
    base = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", STEPS],
        env={**base, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout.split()[-1])


def main() -> None:
    """Measures pairs, one side after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--busy", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=5)
    arguments = parser.parse_args()
    from hft.threads import SPIN_ROUNDS

    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(arguments.busy)]
    try:
        ratios = []
        for _ in range(arguments.pairs):
            ours, theirs = rate({"GOMP_SPINCOUNT": SPIN_ROUNDS}), rate({})
            print(f"{ours:,.0f} against {theirs:,.0f} tokens/s")
            ratios.append(ours / theirs)
    finally:
        for process in others:
            process.kill()
    print(f"{statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
