"""How many sessions a second each way of computing a step trains: hft's kernels, transformers' layers, torch.compile.

    python benchmarks/kernels.py [--pairs 5] [--threads 2] [--quick]

W1 (see workloads.py), in turns (turns.py), with compute.kernels=fast, torch and reference, and with
compute.compile=true, which compiles transformers' layers. Compilation falls into the warm-up turn, which is not
counted. The last line is the median over pairs of the rate with hft's kernels over that of transformers' layers as
they are. About 8 minutes on two cores; torch.compile needs a C++ compiler. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack

from sides import hft_side
from turns import Side, median_ratio, print_rates, take_turns
from workloads import STEP_SESSIONS, Workload, parser_of, run_on_workload, tokens_a_session

WAYS = {
    "hft's kernels": "compute.kernels=fast",
    "hft's layers by torch's operations": "compute.kernels=torch",
    "transformers' layers": "compute.kernels=reference",
    "transformers' layers, compiled": "compute.compile=true",
}

# What fits into memory four times, torch.compile's layers among them.
CHUNK = "compute.token_budget=4096"


def measure(arguments: argparse.Namespace, workload: Workload) -> float:
    """Prints the table; the ratio."""
    where = workload.folder, arguments.threads
    with ExitStack() as stack:
        sides = [
            stack.enter_context(Side(name, hft_side, *where, workload=workload, overrides=(way, CHUNK)))
            for name, way in WAYS.items()
        ]
        turns = take_turns([(side, 2 * STEP_SESSIONS) for side in sides], arguments.pairs)
    print_rates(list(WAYS), turns, tokens_a_session(workload))
    return median_ratio(turns[0], turns[list(WAYS).index("transformers' layers")])


if __name__ == "__main__":
    run_on_workload(parser_of(__doc__), measure)
