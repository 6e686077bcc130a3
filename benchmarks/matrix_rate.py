"""Claim: a training step of W1 runs at 0.45 of the rate of bf16 matrix products on the same machine, or above.

    python benchmarks/matrix_rate.py [--pairs 5] [--threads 2] [--size 4096] [--quick]

The rate of a step is 6 x weights of the encoder's layers (no embeddings) x tokens / time, as a forward and a backward
pass cost it; attention's own products are left out, so the share is a little low. Tokens are real ones, without
padding. A turn of hft is one pass over the same 64 sessions (2 steps), so its tokens are known exactly. The rate of
the machine is the median of torch.mm of two 4096 x 4096 bf16 matrices in a process with as many threads, in turns with
the steps (turns.py). The last line is the median over pairs of the share. About 2 minutes on two cores. Run it on an
idle machine.
"""

from __future__ import annotations

import argparse
import statistics

from sides import hft_side, matmul_side
from turns import Side, print_rates, take_turns
from workloads import (
    STEP_SESSIONS,
    Workload,
    parameters_without_embeddings,
    parser_of,
    run_on_workload,
    tokens_a_session,
)

PRODUCTS = 20  # of a turn: one to three seconds


def measure(arguments: argparse.Namespace, workload: Workload) -> float:
    """Prints the table; the share."""
    where = workload.folder, arguments.threads
    size = 256 if arguments.quick else arguments.size
    with (
        Side("hft", hft_side, *where, workload=workload) as ours,
        Side("matrix products", matmul_side, *where, size=size, device="cpu") as products,
    ):
        steps, rates = take_turns([(ours, workload.sessions), (products, PRODUCTS)], arguments.pairs)
    tokens = tokens_a_session(workload)
    weights = parameters_without_embeddings(workload.model)
    print_rates(["hft"], [steps], tokens)
    work = 6 * weights * tokens
    machine = [turn.rate * 2 * size**3 for turn in rates]
    shares = [turn.rate * work / rate for turn, rate in zip(steps, machine, strict=True)]
    print(f"weights without embeddings: {weights:,}; tokens a session: {tokens:,.1f}")
    print(f"bf16 matrix products of {size}: {statistics.median(machine) / 1e12:.3f} TFLOP/s")
    print(f"training steps: {statistics.median(turn.rate for turn in steps) * work / 1e12:.3f} TFLOP/s")
    return statistics.median(shares)


if __name__ == "__main__":
    parser = parser_of(__doc__)
    parser.set_defaults(sessions=2 * STEP_SESSIONS)
    parser.add_argument("--size", type=int, default=4096, help="of the square matrices (default: 4096)")
    run_on_workload(parser, measure)
