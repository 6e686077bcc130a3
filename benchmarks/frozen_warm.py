"""Claim: the second and every later trial with 4 or 5 of 6 layers fixed trains 1.8 times as fast with stores.

    python benchmarks/frozen_warm.py [--pairs 6] [--sessions 128] [--threads 2] [--quick]

Trials of one epoch of W1 (see workloads.py) with params.num_fixed_layers=4 and 5 in turn and another rate each, as a
search in one process trains them. One side keeps what the fixed layers give for each text: the first trial fills the
store and is not counted. The other side computes it in every trial (stores=none). The sides take turns (turns.py). The
last line is the median over pairs of the seconds of training without stores over those with. About 4 minutes on two
cores. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
from typing import Any

from trials import layers_of, median_saving, print_trials, trial_side
from turns import Side, take_turns
from workloads import Workload, parser_of, run_on_workload


def measure(arguments: argparse.Namespace, workload: Workload) -> float:
    """Prints the table; the ratio."""
    cuts = (layers_of(workload) - 2, layers_of(workload) - 1)
    requests = [
        [f"params.num_fixed_layers={cuts[trial % len(cuts)]}", f"params.items_lr={1 + trial}e-5"] for trial in range(12)
    ]
    options: dict[str, Any] = {
        "workload": workload,
        "requests": [[*request, "settings.num_epochs=1"] for request in requests],
    }
    where = workload.folder, arguments.threads
    with (
        Side("with stores, warm", trial_side, *where, place="stores", stores=True, **options) as ours,
        Side("without stores", trial_side, *where, place="none", stores=False, **options) as theirs,
    ):
        turns = take_turns([(ours, 1), (theirs, 1)], arguments.pairs)
    print_trials([ours.name, theirs.name], turns)
    return median_saving(*turns)


if __name__ == "__main__":
    parser = parser_of(__doc__, pairs=6)
    parser.set_defaults(sessions=128)
    run_on_workload(parser, measure)
