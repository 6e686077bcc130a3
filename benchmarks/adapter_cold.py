"""Claim: a linear adapter on a fixed MiniLM trains 8 epochs 6 times as fast when each text is embedded once.

    python benchmarks/adapter_cold.py [--pairs 5] [--sessions 96] [--threads 2] [--quick]

W1 (see workloads.py) with params.num_fixed_layers=6 and model.dense_dim=384: a linear layer over fixed vectors. One
side keeps the pooled vector of each text (stores, empty when each training begins); the other runs the backbone every
epoch (stores=none). As in frozen_cold.py, the last line is the median over pairs of the seconds without stores over
those with. About 5 minutes on two cores. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
from typing import Any

from trials import linear_adapter, median_saving, print_trials, trial_side
from turns import Side, take_turns
from workloads import Workload, parser_of, run_on_workload

EPOCHS = 8


def measure(arguments: argparse.Namespace, workload: Workload) -> float:
    """Prints the table; the ratio."""
    request = [*linear_adapter(workload), f"settings.num_epochs={2 if arguments.quick else EPOCHS}"]
    options: dict[str, Any] = {"workload": workload, "requests": [request], "cold_every": 1}
    options["warm_up"] = [*request, "settings.num_epochs=1", "+trainer.limit_train_batches=1"]
    where = workload.folder, arguments.threads
    with (
        Side("with stores, cold", trial_side, *where, place="stores", stores=True, **options) as ours,
        Side("without stores", trial_side, *where, place="none", stores=False, **options) as theirs,
    ):
        turns = take_turns([(ours, 1), (theirs, 1)], arguments.pairs)
    print_trials([ours.name, theirs.name], turns)
    return median_saving(*turns)


if __name__ == "__main__":
    parser = parser_of(__doc__)
    parser.set_defaults(sessions=96)
    run_on_workload(parser, measure)
