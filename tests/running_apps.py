"""Hydra apps, run as their users run them: in a process and a process group of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from waiting import PATIENCE

EXAMPLE = Path(__file__).parent / "search" / "hydra" / "example_app" / "app.py"


@dataclass
class App:
    """Runs a Hydra app in a folder.

    Args:
        folder: current folder of the app.
        script: of the app.
    """

    folder: Path
    script: Path = EXAMPLE

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the app as the leader of a process group."""
        return subprocess.Popen(
            [sys.executable, str(self.script), *arguments],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=_hear_interrupts,
            env={key: value for key, value in os.environ.items() if key != "HYDRA_FULL_ERROR"},
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the app to its end."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=PATIENCE)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def search(self, *arguments: str, folder: str = "sweep") -> subprocess.CompletedProcess[str]:
        """Run a search in SWEEP = `folder`, which must succeed; without pictures, which take a second or two."""
        done = self.run("-m", *arguments, f"hydra.sweep.dir={folder}", "hydra.sweeper.pictures=false")
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done

    def events(self, folder: str = "sweep", event: str = "tell") -> list[dict[str, Any]]:
        """Events of a sweep's journal, by number; a torn last line is left out."""
        path = self.folder / folder / "trials.jsonl"
        lines = path.read_text().split("\n")[:-1] if path.exists() else []
        events = [json.loads(line) for line in lines]
        return sorted((e for e in events if e["event"] == event), key=lambda e: int(e["number"]))

    def params(self, folder: str = "sweep") -> list[dict[str, Any]]:
        """Parameters of a sweep's trials, by number."""
        return [event["params"] for event in self.events(folder, "ask")]


def group_members(leader: int) -> list[int]:
    """Living processes of a process group (not those that are only waiting to be reaped)."""
    members = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[2]) == leader and fields[0] != "Z":
                members.append(int(folder.name))
    return members


def _hear_interrupts() -> None:
    """A shell has what it starts in the background pass over Ctrl-C, and children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def interrupt(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Ctrl-C, which a terminal sends to the whole group; what the process wrote."""
    os.killpg(process.pid, signal.SIGINT)
    return process.communicate(timeout=PATIENCE)
