"""W1, the workload of the speed benchmarks: real texts, one query and ten results a session, nothing twice in a batch.

Not a benchmark itself. A session is a docstring's first paragraph as the query, the rest of that docstring as the one
picked result, and nine other docstrings drawn at random, seeded, as listed negatives. Texts are those of hft's own
source `python_docs`, cut at 256 tokens. All sides of a comparison read the same two files.

How items are listed (`--listed`):

- `disjoint` (default): no item is in two sessions, so nothing can be gained by embedding a text once that a batch holds
  twice. Items are dealt by length, so that every session has about as many tokens as any other and few steps tell the
  speed.
- `independent`: each query's nine are drawn from all items; about 6% of a batch's texts are there twice.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from machine import print_machine

RESULTS = 10
STEP_SESSIONS = 32
HELD_OUT = ("validation", "test", "test")  # sessions that a run of hft needs beside its training

Listed = Literal["disjoint", "independent"]


@dataclass(frozen=True)
class Workload:
    """W1 as two files, and what every side trains with.

    Args:
        folder: holds sessions.jsonl and items.jsonl.
        model: folder of the starting model.
        max_length: tokens a text.
        sessions: training sessions.
        duplicates: share of a step's texts that the step holds already, expected.
    """

    folder: Path
    model: Path
    max_length: int
    sessions: int
    duplicates: float

    @property
    def sessions_file(self) -> Path:
        """One JSON object a session, of all splits."""
        return self.folder / "sessions.jsonl"

    @property
    def items_file(self) -> Path:
        """One JSON object an item."""
        return self.folder / "items.jsonl"

    def texts(self) -> list[list[str]]:
        """[query, picked, nine listed ones] of each training session."""
        items = {line["item_id"]: line["text"] for line in _lines(self.items_file)}
        rows = []
        for line in _lines(self.sessions_file):
            if line["split"] == "train":
                (picked,) = line["events"]
                listed = [items[item] for item in line["results"] if item != picked]
                rows.append([line["query"], items[picked], *listed])
        return rows

    def overrides(self, *more: str) -> list[str]:
        """The request to hft: W1, full fine-tuning, InfoNCE over the listed negatives, no validation on the way.

        Epochs go on for as long as somebody asks for turns; give `settings.num_epochs` for an end.
        """
        return [
            "data=sessions",
            "data/splitter=given",
            f"data.source.sessions={quoted(self.sessions_file)}",
            f"data.source.items={quoted(self.items_file)}",
            "model=local",
            f"model.source={quoted(self.model)}",
            f"model.max_length={self.max_length}",
            "loss=infonce",
            "settings.negatives=shown",
            f"settings.batch_size={STEP_SESSIONS}",
            "settings.num_epochs=1000",
            "settings.test_each_n_inputs=1000000000",
            "stopping.patience=null",
            "tracking=csv",
            f"outputs={quoted(self.folder / 'outputs')}",
            "+trainer.enable_checkpointing=false",
            "trainer.enable_progress_bar=false",
            *more,
        ]


def build(
    folder: Path, arguments: argparse.Namespace, docs: tuple[Sequence[str], Sequence[str]] | None = None
) -> Workload:
    """Writes W1 into a folder as the command line asks for it.

    Args:
        folder: made where it is missing.
        arguments: of a parser of `parser_of`.
        docs: other (queries, texts) than those of python_docs.

    Raises:
        SystemExit: the model's package is missing, or this Python has too few docstrings.
    """
    from hft.errors import HftError
    from hft.models.sources import find_model

    try:
        model = find_model(str(arguments.model))
    except HftError as error:
        raise SystemExit(str(error)) from error
    queries, texts = read_docs() if docs is None else docs
    sessions = STEP_SESSIONS * ((len(texts) // RESULTS - len(HELD_OUT)) // STEP_SESSIONS)
    sessions = min(sessions, arguments.sessions or sessions)
    if sessions < STEP_SESSIONS:
        raise SystemExit(f"The standard library here has {len(texts)} docstrings: too few for one step.")
    rng = np.random.default_rng(arguments.seed)
    dealt = deal(np.array([len(text) for text in texts]), sessions + len(HELD_OUT), rng)
    if arguments.listed == "independent":
        dealt[:sessions] = _redrawn(dealt[:sessions], np.setdiff1d(np.arange(len(texts)), dealt[sessions:]), rng)
    _write(folder, queries, texts, dealt, rng)
    max_length = 64 if arguments.quick else arguments.max_length
    return Workload(folder, model, max_length, sessions, _duplicates(dealt[:sessions], rng))


def read_docs() -> tuple[list[str], list[str]]:
    """(queries, texts) of hft's source python_docs, a pair a place."""
    from hft.data import PythonDocs
    from hft.data.quarantine import Quarantine

    source = PythonDocs().read(Quarantine())
    return list(source.inputs.queries), list(source.items.texts)


def deal(lengths: np.ndarray, sessions: int, rng: np.random.Generator) -> np.ndarray:
    """int[sessions, RESULTS] items, no item twice; the first of each row is the picked one.

    The items, shortest to longest, are cut into RESULTS layers, and every session gets one of each layer, in a random
    order: its lengths are spread as those of all items are.
    """
    drawn = rng.permutation(len(lengths))[: sessions * RESULTS]
    layers = drawn[np.argsort(lengths[drawn], kind="stable")].reshape(RESULTS, sessions)
    return rng.permuted(rng.permuted(layers, axis=1).T, axis=1)


def _redrawn(dealt: np.ndarray, items: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same queries with nine others of `items` each, drawn for each query on its own."""
    rows = []
    for picked in dealt[:, 0]:
        others = rng.choice(items[items != picked], RESULTS - 1, replace=False)
        rows.append([picked, *others])
    return np.array(rows)


def _duplicates(dealt: np.ndarray, rng: np.random.Generator) -> float:
    """Mean over random batches of 1 - distinct items / items."""
    shares = []
    for _ in range(20):
        batch = dealt[rng.permutation(len(dealt))[:STEP_SESSIONS]]
        shares.append(1.0 - len(np.unique(batch)) / batch.size)
    return float(np.mean(shares))


def _write(
    folder: Path, queries: Sequence[str], texts: Sequence[str], dealt: np.ndarray, rng: np.random.Generator
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    splits = ["train"] * (len(dealt) - len(HELD_OUT)) + list(HELD_OUT)
    with (folder / "sessions.jsonl").open("w", encoding="utf-8") as file:
        for row, split in zip(dealt, splits, strict=True):
            line = {
                "session_id": f"s{row[0]}",
                "query": queries[row[0]],
                "results": [f"i{item}" for item in rng.permutation(row)],
                "events": [f"i{row[0]}"],
                "split": split,
            }
            file.write(json.dumps(line) + "\n")
    with (folder / "items.jsonl").open("w", encoding="utf-8") as file:
        for item in np.unique(dealt):
            file.write(json.dumps({"item_id": f"i{item}", "text": texts[item]}) + "\n")


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def tokens_a_session(workload: Workload) -> float:
    """Mean tokens of a training session, special tokens in, truncated, without padding."""
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(workload.model, local_files_only=True)
    rows = workload.texts()
    ids = tokenizer([text for row in rows for text in row], truncation=True, max_length=workload.max_length)
    return sum(len(text) for text in ids["input_ids"]) / len(rows)


def parameters_without_embeddings(model: Path) -> int:
    """Weights of the encoder's layers: no embeddings, no pooler, which nothing here uses."""
    from hft.models.encoders import load_encoder

    encoder = load_encoder(model, dropout=None)
    return sum(p.numel() for name, p in encoder.named_parameters() if ".layer." in f".{name}")


def quoted(value: object) -> str:
    """A value as Hydra's grammar takes it whatever characters it has."""
    escaped = str(value).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def run_on_workload(parser: argparse.ArgumentParser, measure: Callable[[argparse.Namespace, Workload], float]) -> None:
    """A benchmark of W1: prints the machine, what `measure` prints, and its ratio alone on the last line."""
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.pairs = 1
    print_machine(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        workload = build(Path(folder), arguments)
        ratio = measure(arguments, workload)
        print(f"texts that a step of hft holds twice and embeds once: {workload.duplicates:.1%}")
        print(f"{ratio:.2f}")


def parser_of(description: str | None, *, pairs: int = 5) -> argparse.ArgumentParser:
    """A parser with what every benchmark of W1 takes."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=pairs, help=f"turns of each side (default: {pairs})")
    parser.add_argument("--threads", type=int, default=None, help="CPU threads (default: as torch chooses)")
    parser.add_argument("--quick", action="store_true", help="one short pair with texts of 64 tokens: does it work?")
    parser.add_argument("--seed", type=int, default=0, help="of the workload")
    parser.add_argument("--sessions", type=int, default=None, help="training sessions (default: all that there are)")
    parser.add_argument("--listed", choices=["disjoint", "independent"], default="disjoint", help="see workloads.py")
    parser.add_argument("--max-length", type=int, default=256, help="tokens a text (default: 256)")
    parser.add_argument(
        "--model", default="packaged:all-MiniLM-L6-v2", help="packaged:NAME or a folder (default: MiniLM-L6)"
    )
    return parser
