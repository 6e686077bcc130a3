"""Claim: hft trains 5 times the sessions a second of the sentence-transformers trainer at its best in bf16.

    python benchmarks/train_vs_st_bf16.py [--pairs 5] [--batches 8 16 32] [--threads 2] [--quick]

As train_vs_st.py, but sentence-transformers trains with bf16=True and with the batch size of 8, 16 and 32 that is
fastest here, which the first turns find; one that does not fit into memory (32 takes about 20 GB) is left out. The last
line is the median over pairs of hft's sessions a second over that one's. About 7 minutes on two cores. Run it on an
idle machine.
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

from sides import hft_side, sentence_transformers_side
from turns import Side, fastest, median_ratio, print_rates, take_turns
from workloads import STEP_SESSIONS, Workload, parser_of, run_on_workload, tokens_a_session


def measure(arguments: argparse.Namespace, workload: Workload) -> float:
    """Prints the table; the ratio to the fastest batch size."""
    tokens = tokens_a_session(workload)
    batches = arguments.batches[:1] if arguments.quick else arguments.batches
    where = workload.folder, arguments.threads

    def side(batch: int) -> Side:
        options: dict[str, Any] = {"workload": workload, "batch_size": batch, "bf16": True}
        return Side(f"sentence-transformers bf16, batch {batch}", sentence_transformers_side, *where, **options)

    best = batches[fastest([partial(side, batch) for batch in batches], max(batches), tokens, warm_up=batches)]
    with Side("hft", hft_side, *where, workload=workload) as ours, side(best) as theirs:
        steps = 1 if arguments.quick else 2
        sizes = [(ours, steps * STEP_SESSIONS), (theirs, max(batches))]
        turns = take_turns(sizes, arguments.pairs, warm_up=(STEP_SESSIONS, best))
    print_rates([ours.name, theirs.name], turns, tokens)
    return median_ratio(*turns)


if __name__ == "__main__":
    parser = parser_of(__doc__)
    parser.add_argument("--batches", type=int, nargs="+", default=[8, 16, 32], help="of sentence-transformers")
    run_on_workload(parser, measure)
