"""Claim: hft trains 45 times as many sessions a second as a session a step with every text padded to 512 (AMX).

    python benchmarks/train_vs_reference.py [--pairs 5] [--threads 2] [--quick]

That is the way of the system that hft's clickstream method comes from: a plain loop over transformers, float32, AdamW,
one session a step, all its texts padded to 512 tokens. Texts (cut at 256 tokens), loss and dropout are the same on both
sides: W1 (see workloads.py). The other side computes eight times as many tokens, nearly all of them padding. The rest
of the ratio is bf16, which it does not use, so the target is one a kind of processor: 45 with AMX, 35 with AVX512-BF16
alone. The sides take turns, each in a process of its own (turns.py). The last line is the median over pairs of hft's
sessions a second over the other's. About 4 minutes on two cores. Run it on an idle machine.
"""

from __future__ import annotations

import argparse

from machine import ProcessorKind, processor_kind
from sides import hft_side, reference_side
from turns import Side, median_ratio, print_rates, take_turns
from workloads import STEP_SESSIONS, Workload, parser_of, run_on_workload, tokens_a_session

# Lower bounds of the ratio. Measured: 61 with AMX, 41 with AVX512-BF16. None yet without native bf16.
TARGETS: dict[ProcessorKind, float] = {"AMX": 45.0, "AVX512-BF16": 35.0}


def measure(arguments: argparse.Namespace, workload: Workload) -> float:
    """Prints the table; the ratio."""
    where = workload.folder, arguments.threads
    padded_to = 64 if arguments.quick else 512
    with (
        Side("hft", hft_side, *where, workload=workload) as ours,
        Side("a session a step", reference_side, *where, workload=workload, padded_to=padded_to) as theirs,
    ):
        sizes = [(ours, (1 if arguments.quick else 2) * STEP_SESSIONS), (theirs, 2)]
        turns = take_turns(sizes, arguments.pairs, warm_up=(STEP_SESSIONS, 1))
    print_rates([ours.name, theirs.name], turns, tokens_a_session(workload))
    kind = processor_kind()
    print(f"target of a processor with {kind}: {TARGETS[kind]:g}" if kind in TARGETS else f"no target yet: {kind}")
    return median_ratio(*turns)


if __name__ == "__main__":
    run_on_workload(parser_of(__doc__), measure)
