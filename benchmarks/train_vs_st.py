"""Claim: hft trains at least 9 times as many sessions a second as the sentence-transformers trainer by its defaults.

    python benchmarks/train_vs_st.py [--pairs 5] [--threads 2] [--listed independent] [--quick]

Full fine-tuning of MiniLM-L6 on W1 (see workloads.py): 1 query and 10 results a session, texts cut at 256 tokens. Both
sides train InfoNCE with one positive and the nine listed negatives, with AdamW and the model's dropout. hft takes 32
sessions a step, and bf16 where the hardware has it natively; sentence-transformers float32 and batches of 8, as its
trainer does unless told otherwise. The sides take turns, each in a process of its own (turns.py). The last line is
the median over pairs of hft's sessions a second over the other's. About 5 minutes on two cores. Run it on an idle
machine.
"""

from __future__ import annotations

import argparse
from typing import Any

from sides import hft_side, sentence_transformers_side
from turns import Side, median_ratio, print_rates, take_turns
from workloads import STEP_SESSIONS, Workload, parser_of, run_on_workload, tokens_a_session

BATCH = 8


def measure(arguments: argparse.Namespace, workload: Workload) -> float:
    """Prints the table; the ratio."""
    where = workload.folder, arguments.threads
    options: dict[str, Any] = {"workload": workload, "batch_size": BATCH, "bf16": False}
    with (
        Side("hft", hft_side, *where, workload=workload) as ours,
        Side("sentence-transformers fp32, batch 8", sentence_transformers_side, *where, **options) as theirs,
    ):
        steps, batches = (1, 1) if arguments.quick else (2, 2)
        sizes = [(ours, steps * STEP_SESSIONS), (theirs, batches * BATCH)]
        turns = take_turns(sizes, arguments.pairs, warm_up=(STEP_SESSIONS, BATCH))
    print_rates([ours.name, theirs.name], turns, tokens_a_session(workload))
    return median_ratio(*turns)


if __name__ == "__main__":
    run_on_workload(parser_of(__doc__), measure)
