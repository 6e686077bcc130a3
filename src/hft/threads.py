"""How torch's threads wait for each other. Imports nothing: it must act before torch is loaded."""

from __future__ import annotations

import os

# Rounds that a thread of libgomp spins before it sleeps. Its own choice is to spin for long, which is harmless on an
# idle machine; where another process has a core, the threads burn the time that the one they wait for needs.
# benchmarks/thread_waiting.py measures both.
SPIN_ROUNDS = "1000"


def wait_politely() -> None:
    """Threads that wait let go of their core soon, unless the user has said how they should wait.

    Takes effect in a process that has not loaded torch yet.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPIN_ROUNDS)
