"""Claim: 1,000,000 sessions over 200,000 items are prepared at more than 20,000 sessions/s within 2 GiB; a second run
on them starts in less than 3 s; and what training holds in memory does not grow with them.

    python benchmarks/data_scale.py [--sessions 1000000] [--items 200000] [--repeats 3] [--folder FOLDER] [--quick]

Makes sessions (see make_sessions.py) in a temporary folder, or in FOLDER, where they stay, and tokenises their texts
once. Then, each in a fresh process, and each the best of so many repeats, for other work on the machine only slows:

- prepare: from the files to what training takes (lines read and checked, split, held out, written to the store, tokens
  found, pairs planned), with tokens in the store and nothing else. Its sessions/s are the main number, alone on the
  last line. It makes the calls of `hft train` on a composed config; what that does beside (the check of the config, the
  record, fixed layers, the starting model on validation and test) is not in it. `data alone` is the part that
  `hft.data` does, without a converter, in a process that never imports torch.
- second start: the same with everything in the store. Imports are told apart.
- training: steps of a tiny model over a tenth of the sessions and over all of them, both of the same items, on the
  batches of `hft train` but without Lightning around them. What the process holds for itself (anonymous memory) must
  not tell them apart; pages of mapped files are the system's to drop.

About 4 minutes. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from apart import run_apart
from make_sessions import make_sessions

TESTS = Path(__file__).resolve().parents[1] / "tests"
MIB = 1 << 20
BATCH_SESSIONS = 32
# What training may hold of a session more: its place in the order of an epoch, its known positives.
BYTES_A_SESSION = 64
MOST_BYTES, SLOWEST_START = 2 << 30, 3.0


def prepare(folder: str, stores: str) -> dict[str, float]:
    """What `hft.data` does, without torch."""
    started = time.perf_counter()
    from hft.data import QuerySplitter, SessionFiles, prepare_ranking_data
    from hft.stores import StoreFolder

    imported = time.perf_counter()
    source = SessionFiles(Path(folder, "sessions.jsonl"), Path(folder, "items.jsonl"))
    data = prepare_ranking_data(source, QuerySplitter(), candidates="shown", store=StoreFolder(stores, None, print))
    data.fingerprint()
    assert "torch" not in sys.modules
    return {
        "import": imported - started,
        "data": time.perf_counter() - imported,
        "lines": float(sum(data.report.read.values()) - data.report.items),
        "peak": _status("VmHWM"),
    }


def start(folder: str, stores: str, model: str, steps: int = 0) -> dict[str, float]:
    """From nothing to what training takes, by the calls of hft.train, and so many steps of it."""
    times = [time.perf_counter()]
    import torch
    from hydra.utils import instantiate

    import hft
    from hft.running import params_of, parts_of, settings_of, settled
    from hft.running.start import Start
    from hft.running.surroundings import Surroundings
    from hft.training.ranks import pair_features

    config = settled(hft.compose(request_of(folder, stores, model)))
    surroundings, method = Surroundings.of(config), instantiate(config.method)
    params, settings = params_of(config), settings_of(config)
    run = Start(config, surroundings, shares=False)
    towers = run.model()
    instantiate(config.technique).apply(towers, params)
    times.append(time.perf_counter())
    data = run.data(method, Path(stores, "quarantine.jsonl"))
    data.fingerprint()
    times.append(time.perf_counter())
    tokens = run.tokens(method, towers, data)
    times.append(time.perf_counter())
    module = method.build(towers, tokens, settings, params, **parts_of(config, surroundings.precision))
    batches = iter(module.train_dataloader())
    batch = next(batches)
    times.append(time.perf_counter())
    optimizer, ranker = torch.optim.AdamW(towers.parameters()), settings.ranker
    for _ in range(steps):
        vectors = towers.embed(batch.queries, "query"), towers.embed(batch.items, "items")
        settings.loss_func(pair_features(ranker, *vectors, batch.pairs, sign=1, margin=0.0)).backward()
        optimizer.step()
        optimizer.zero_grad()
        batch = next(batches)
    resident = {"anonymous": _status("RssAnon"), "mapped": _status("RssFile")}
    names = ("import", "data", "tokens", "planned")
    seconds = {name: after - before for name, before, after in zip(names, times, times[1:], strict=False)}
    return {**seconds, "sessions": float(len(data.train)), "peak": _status("VmHWM"), **resident}


def request_of(folder: str, stores: str, model: str) -> list[str]:
    """Overrides of the run."""
    return [
        "data=sessions",
        "model=local",
        f"data.source.sessions='{folder}/sessions.jsonl'",
        f"data.source.items='{folder}/items.jsonl'",
        f"model.source='{model}'",
        "model.max_length=64",
        "settings.negatives=in_batch",
        f"settings.batch_size={BATCH_SESSIONS}",
        "trainer.accelerator=cpu",
        f"stores.folder='{stores}'",
    ]


def build_model(folder: str) -> None:
    """A tiny model with a real tokenizer."""
    sys.path.insert(0, str(TESTS))
    from tiny_models import build_tiny_bert

    build_tiny_bert(Path(folder))


def _status(name: str) -> float:
    """Bytes of this process by a name of /proc/self/status. (ru_maxrss would count the process that started it.)"""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024.0 for line in lines if line.startswith(f"{name}:"))


class Bench:
    """Fresh processes over one folder of sessions.

    Args:
        folder: of all files.
        repeats: of each measurement.
    """

    def __init__(self, folder: Path, repeats: int) -> None:
        self.folder = folder
        self.repeats = repeats
        self.model = folder / "model"
        self.log = folder / "log.txt"
        folder.mkdir(parents=True, exist_ok=True)
        run_apart(build_model, self.log, folder=str(self.model))

    def data(self, name: str, sessions: int, items: int) -> Path:
        """A folder with so many sessions, their texts tokenised once."""
        made = self.folder / f"{name}-{sessions}-{items}"
        if not (made / "sessions.jsonl").is_file():
            make_sessions(made, sessions, items)
            run_apart(start, self.log, folder=str(made), stores=str(made / "tokens"), model=str(self.model))
            shutil.rmtree(made / "tokens" / "data")
        return made

    def cold(self, made: Path, work: Callable[..., Any], **options: Any) -> list[dict[str, float]]:
        """With tokens in the store and no data."""
        found = []
        for _ in range(self.repeats):
            shutil.rmtree(made / "stores", ignore_errors=True)
            shutil.copytree(made / "tokens", made / "stores")
            found.append(run_apart(work, self.log, folder=str(made), stores=str(made / "stores"), **options))
        return found

    def warm(self, made: Path, **options: Any) -> list[dict[str, float]]:
        """With tokens and data in the store."""
        options = {"folder": str(made), "stores": str(made / "stores"), "model": str(self.model), **options}
        return [run_apart(start, self.log, **options) for _ in range(self.repeats)]


def seconds_of(found: dict[str, float]) -> float:
    """Seconds beside imports."""
    return found["data"] + found.get("tokens", 0.0) + found.get("planned", 0.0)


def print_part(name: str, found: list[dict[str, float]], sessions: int) -> dict[str, float]:
    """Prints a line of the table; the best repeat."""
    best = min(found, key=seconds_of)
    parts = "  ".join(f"{part} {best[part]:6.2f}" for part in ("import", "data", "tokens", "planned") if part in best)
    peak = max(one["peak"] for one in found) / MIB
    print(
        f"{name:12} {seconds_of(best):7.2f} s {sessions / seconds_of(best):11,.0f}/s {peak:8,.0f} MiB   {parts}",
        flush=True,
    )
    return best


def print_training(few: dict[str, float], many: dict[str, float]) -> bool:
    """Prints the memory of training at two numbers of sessions; whether it does not grow."""
    for found in (few, many):
        print(
            f"training on {found['sessions']:9,.0f} sessions: {found['anonymous'] / MIB:6,.0f} MiB of its own, "
            f"{found['mapped'] / MIB:6,.0f} MiB of mapped files"
        )
    more = many["anonymous"] - few["anonymous"]
    each = more / max(many["sessions"] - few["sessions"], 1)
    print(f"a session more takes {each:,.0f} bytes of its own memory")
    return more <= 16 * MIB + BYTES_A_SESSION * (many["sessions"] - few["sessions"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=1_000_000)
    parser.add_argument("--items", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--steps", type=int, default=100, help="of training")
    parser.add_argument("--folder", type=Path, help="keep the data there for the next time")
    parser.add_argument("--quick", action="store_true", help="20,000 sessions once: does it run?")
    given = parser.parse_args()
    if given.quick:
        given.sessions, given.items, given.repeats, given.steps = 20_000, 5_000, 1, 5
    with tempfile.TemporaryDirectory() if given.folder is None else nullcontext(given.folder) as folder:
        bench = Bench(Path(folder).resolve(), given.repeats)
        made = bench.data("sessions", given.sessions, given.items)
        megabytes = (made / "sessions.jsonl").stat().st_size / 1e6
        print(f"{given.sessions:,} sessions ({megabytes:,.0f} MB) over {given.items:,} items; {os.cpu_count()} cores")
        print(f"{'':12} {'beside imports':>9} {'sessions':>11} {'peak RSS':>13}   seconds of each part")
        alone = print_part("data alone", bench.cold(made, prepare), given.sessions)
        whole = print_part("prepare", bench.cold(made, start, model=str(bench.model)), given.sessions)
        again = print_part("second start", bench.warm(made), given.sessions)
        assert alone["lines"] == given.sessions
        fewer = bench.data("fewer", given.sessions // 10, given.items)
        bench.cold(fewer, prepare)
        few, many = (
            min(bench.warm(part, steps=given.steps), key=lambda one: one["anonymous"]) for part in (fewer, made)
        )
        is_flat = print_training(few, many)
        print(f"within 2 GiB: {'yes' if max(alone['peak'], whole['peak']) < MOST_BYTES else 'NO'}")
        print(f"second start under {SLOWEST_START:g} s: {'yes' if seconds_of(again) < SLOWEST_START else 'NO'}")
        print(f"memory of training does not grow: {'yes' if is_flat else 'NO'}")
        print(f"{given.sessions / seconds_of(whole):.0f}")


if __name__ == "__main__":
    main()
