"""Experiments: run records, what is tracked of a run, finding, comparing and repeating runs.

Imports neither torch nor mlflow: both come when they are needed.
"""

from hft.experiments.environment import Environment, restored_environment
from hft.experiments.final_metrics import metrics_of_report
from hft.experiments.find import find_run
from hft.experiments.listing import RunRow, list_runs
from hft.experiments.manager import ExperimentsManager, manager_for
from hft.experiments.opening import open_record
from hft.experiments.plain import Difference, differences
from hft.experiments.resuming import (
    config_to_resume,
    recorded_in,
    require_apart,
    require_resumable,
    require_same_config,
    resume_command,
)
from hft.experiments.run_folder import (
    CHECKPOINTS_NAME,
    MODEL_NAME,
    PER_QUERY_NAME,
    PICTURES_NAME,
    RECORD_NAME,
    REPORT_NAME,
    STEPS_NAME,
    discard_unbegun,
    new_run_folder,
)
from hft.experiments.run_record import RunRecord, load_record, weights_hash
from hft.experiments.steps import StepsWriter, read_steps, steps_hash
from hft.experiments.store import TrackingError
from hft.experiments.sweep_run import SweepRun, upload_model
from hft.experiments.sync import Pushed, PushedSweep, pending_runs, sync, sync_sweeps
from hft.experiments.tracked_result import TrackedResult
from hft.experiments.tracked_run import TrackedRun, open_run, resume_run
from hft.experiments.trackers import check_tracking

__all__ = [
    "CHECKPOINTS_NAME",
    "MODEL_NAME",
    "PER_QUERY_NAME",
    "PICTURES_NAME",
    "RECORD_NAME",
    "REPORT_NAME",
    "STEPS_NAME",
    "Difference",
    "Environment",
    "ExperimentsManager",
    "Pushed",
    "PushedSweep",
    "RunRecord",
    "RunRow",
    "StepsWriter",
    "SweepRun",
    "TrackedResult",
    "TrackedRun",
    "TrackingError",
    "check_tracking",
    "config_to_resume",
    "differences",
    "discard_unbegun",
    "find_run",
    "list_runs",
    "load_record",
    "manager_for",
    "metrics_of_report",
    "new_run_folder",
    "open_record",
    "open_run",
    "pending_runs",
    "read_steps",
    "recorded_in",
    "require_apart",
    "require_resumable",
    "require_same_config",
    "restored_environment",
    "resume_command",
    "resume_run",
    "steps_hash",
    "sync",
    "sync_sweeps",
    "upload_model",
    "weights_hash",
]
