"""Claim: hft trains 5 times the sessions a second of the sentence-transformers trainer at its best in bf16.

    python benchmarks/train_vs_st_bf16.py [--pairs 5] [--batches 8 16 32] [--threads 2] [--quick]

As train_vs_st.py, but sentence-transformers trains with bf16=True and with the batch size of 8, 16 and 32 that is
fastest here, which the first turns find. The last line is the median over pairs of hft's sessions a second over that
one's. About 6 minutes on two cores. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack

from sides import hft_side, sentence_transformers_side
from turns import Side, fastest, median_ratio, print_rates, take_turns
from workloads import STEP_SESSIONS, Workload, parser_of, run_on_workload, tokens_a_session


def measure(arguments: argparse.Namespace, workload: Workload) -> float:
    """Prints the table; the ratio to the fastest batch size."""
    tokens = tokens_a_session(workload)
    batches = arguments.batches[:1] if arguments.quick else arguments.batches
    with ExitStack() as stack:
        where = workload.folder, arguments.threads
        sides = []
        for batch in batches:
            options = {"workload": workload, "batch_size": batch, "bf16": True}
            name = f"sentence-transformers bf16, batch {batch}"
            sides.append(stack.enter_context(Side(name, sentence_transformers_side, *where, **options)))
        best = fastest(sides, max(batches), tokens, warm_up=batches)
        ours = stack.enter_context(Side("hft", hft_side, *where, workload=workload))
        sizes = [(ours, (1 if arguments.quick else 2) * STEP_SESSIONS), (best, max(batches))]
        turns = take_turns(sizes, arguments.pairs, warm_up=(STEP_SESSIONS, 0))
    print_rates([ours.name, best.name], turns, tokens)
    return median_ratio(*turns)


if __name__ == "__main__":
    parser = parser_of(__doc__)
    parser.add_argument("--batches", type=int, nargs="+", default=[8, 16, 32], help="of sentence-transformers")
    run_on_workload(parser, measure)
