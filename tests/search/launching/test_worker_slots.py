"""Worker processes of a slot, before there is any."""

from __future__ import annotations

from hft.search.launching.workers import WORKER_LOG, WorkerSlots


def test_slots_that_started_no_worker_leave_the_log_of_the_process_that_holds_the_sweep(tmp_path):
    log = tmp_path / WORKER_LOG
    log.touch()
    WorkerSlots("never run", 2, tmp_path).close()
    assert log.exists()
