"""Claim: every later trial of a search over linear adapters trains 40 times as fast as its first trial.

    python benchmarks/adapter_warm.py [--pairs 5] [--sessions 256] [--threads 2] [--quick]

Trials of one epoch of W1 (see workloads.py) with params.num_fixed_layers=6, model.dense_dim=384 and another rate each,
as a search in one process trains them. The first trial embeds every text once and keeps the vectors; the later ones
find them. A pair is a first trial with empty stores and the two after it. The last line is the median over pairs of the
first trial's seconds of training over the median of its later ones'. About 4 minutes on two cores. Run it on an idle
machine.
"""

from __future__ import annotations

import argparse
import statistics
from typing import Any

from trials import linear_adapter, print_trials, seconds_of, trial_side
from turns import Side, take_turns
from workloads import Workload, parser_of, run_on_workload

LATER = 2  # trials after each first one


def measure(arguments: argparse.Namespace, workload: Workload) -> float:
    """Prints the table; the ratio."""
    request = [*linear_adapter(workload), "settings.num_epochs=1"]
    requests = [[*request, f"params.items_lr={1 + trial}e-4"] for trial in range(1 + LATER)]
    options: dict[str, Any] = {"workload": workload, "requests": requests, "cold_every": 1 + LATER, "stores": True}
    options["warm_up"] = [*request, "+trainer.limit_train_batches=1"]
    with Side("trials", trial_side, workload.folder, arguments.threads, place="stores", **options) as side:
        (turns,) = take_turns([(side, 1)], arguments.pairs * (1 + LATER))
    firsts, later = turns[:: 1 + LATER], [turn for place, turn in enumerate(turns) if place % (1 + LATER)]
    print_trials(["first trial, cold", "later trials"], [firsts, later])
    medians = [statistics.median(seconds_of(later[LATER * n : LATER * (n + 1)])) for n in range(len(firsts))]
    return statistics.median(first / after for first, after in zip(seconds_of(firsts), medians, strict=True))


if __name__ == "__main__":
    parser = parser_of(__doc__)
    parser.set_defaults(sessions=256)
    run_on_workload(parser, measure)
