"""How torch's threads wait for each other and where its tensors lie. It must act before torch is loaded."""

from __future__ import annotations

import os

# Rounds that a thread of libgomp spins before it sleeps. Its own choice is to spin for long, which is harmless on an
# idle machine; where another process has a core, the threads burn the time that the one they wait for needs.
# benchmarks/thread_waiting.py measures both.
SPIN_ROUNDS = "1000"
# torch asks the system for pages of 2 MiB then, for tensors that are large enough: a training step on a CPU touches
# hundreds of MiB anew, and with pages of 4 KiB a tenth of its time went into finding them.
LARGE_PAGES = "THP_MEM_ALLOC_ENABLE"


def wait_politely() -> None:
    """Threads that wait let go of their core soon and tensors lie in large pages, unless the user has said otherwise.

    Takes effect in a process that has not loaded torch yet.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPIN_ROUNDS)
    os.environ.setdefault(LARGE_PAGES, "1")
