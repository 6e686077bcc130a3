"""Claim: on a GPU hft trains a 110M-parameter encoder at 128 tokens at 40% of the card's bf16 rate, ahead of its peer.

    python benchmarks/gpu.py [--pairs 5] [--texts full] [--batches 32 64 128] [--step 32] [--quick]

A BERT-base (12 layers, width 768, random weights, no hub; the tokenizer is MiniLM's) is trained in full on sessions of
1 query and 10 results as in W1 (workloads.py), on one card, by hft and by sentence-transformers with bf16=True, four
workers that tokenise and its fastest batch size. `--texts full` makes every text 128 tokens long by joining docstrings,
so that nobody gains by leaving padding out; `--texts natural` cuts them at 128. The sides take turns, each in a process
of its own (turns.py), while a third multiplies bf16 matrices.

Prints sessions/s, tokens/s, the share of the card's bf16 rate (6 x weights of the encoder's layers x tokens / time,
over the measured rate and over the data sheet's) and the peak memory of each side. The last line is the median over
pairs of hft's sessions a second over the other's. A few minutes. Without a CUDA device it says so and exits with 2.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from machine import print_machine
from sides import hft_side, matmul_side, sentence_transformers_side
from turns import Side, Turn, fastest, median_ratio, print_rates, take_turns
from workloads import Workload, build, parameters_without_embeddings, parser_of, read_docs, tokens_a_session

# Dense bf16 TFLOP/s of data sheets, by what the card's name holds.
DATA_SHEETS = {"H200": 989.0, "H100": 989.0, "A100": 312.0, "L40S": 362.0, "L4": 121.0}
TOKENS = 128


def build_encoder(folder: Path, **changes: Any) -> Path:
    """A BERT with random weights and MiniLM's tokenizer, as a folder; `changes` of BERT-base's config."""
    import torch
    from transformers import BertConfig, BertModel

    from hft.models.sources import find_model

    packaged = find_model("packaged:all-MiniLM-L6-v2")
    torch.manual_seed(0)
    BertModel(BertConfig(**changes), add_pooling_layer=False).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        if (packaged / name).is_file():
            shutil.copyfile(packaged / name, folder / name)
    return folder


def full_texts(texts: Sequence[str], words: int) -> list[str]:
    """Each text with those after it joined on until it has so many words, so at least so many tokens."""
    joined = []
    for row in range(len(texts)):
        parts, count, place = [], 0, row
        while count < words:
            parts.append(texts[place % len(texts)])
            count += len(parts[-1].split())
            place += 1
        joined.append(" ".join(parts))
    return joined


def build_workload(folder: Path, arguments: argparse.Namespace) -> Workload:
    """W1 with the texts that the command line asks for."""
    queries, texts = read_docs()
    if arguments.texts == "full":
        queries, texts = (full_texts(part, arguments.max_length) for part in (queries, texts))
    return build(folder, arguments, (queries, texts))


def measure(arguments: argparse.Namespace, workload: Workload, device: str) -> float:
    """Prints the table; the ratio."""
    tokens = tokens_a_session(workload)
    where = workload.folder, arguments.threads
    steps, size, products = (2, 256, 2) if arguments.quick else (arguments.steps, 8192, 500)
    sessions = steps * arguments.step

    def side(batch: int) -> Side:
        options: dict[str, Any] = {"workload": workload, "batch_size": batch, "bf16": device != "cpu"}
        options.update(device=device, workers=arguments.workers)
        return Side(f"sentence-transformers bf16, batch {batch}", sentence_transformers_side, *where, **options)

    warm_up = [2 * batch for batch in arguments.batches]
    makers = [partial(side, batch) for batch in arguments.batches]
    best = arguments.batches[fastest(makers, sessions, tokens, warm_up=warm_up)]
    overrides = (f"settings.batch_size={arguments.step}", *(arguments.hft or ()))
    with (
        Side("hft", hft_side, *where, workload=workload, overrides=overrides) as ours,
        side(best) as peer,
        Side("matrix products", matmul_side, *where, size=size, device=device) as matrices,
    ):
        turns = take_turns(
            [(ours, sessions), (peer, sessions), (matrices, products)],
            arguments.pairs,
            warm_up=(2 * arguments.step, 2 * best, 2),
        )
    hft, theirs, rates = turns
    print_rates([ours.name, peer.name], [hft, theirs], tokens)
    _print_utilisation([ours.name, peer.name], [hft, theirs], rates, size, workload, tokens)
    return median_ratio(hft, theirs)


def _print_utilisation(
    names: Sequence[str],
    turns: Sequence[Sequence[Turn]],
    rates: Sequence[Turn],
    size: int,
    workload: Workload,
    tokens: float,
) -> None:
    weights = parameters_without_embeddings(workload.model)
    measured = statistics.median(turn.rate for turn in rates) * 2 * size**3
    sheet = _data_sheet()
    print(f"weights without embeddings: {weights:,}; tokens a session: {tokens:,.1f}")
    print(f"bf16 matrix products of {size}: {measured / 1e12:,.1f} TFLOP/s; data sheet: {sheet or 'not known here'}")
    for name, taken in zip(names, turns, strict=True):
        rate = statistics.median(turn.rate for turn in taken) * 6 * weights * tokens
        of_sheet = f", {rate / sheet / 1e12:.1%} of the data sheet's" if sheet else ""
        peak = max(turn.peak_memory for turn in taken) / 2**30
        share = f"{rate / measured:.1%} of the measured rate{of_sheet}"
        print(f"{name}: {rate / 1e12:,.1f} TFLOP/s, {share}; peak memory {peak:.2f} GiB")


def _data_sheet() -> float | None:
    import torch

    card = torch.cuda.get_device_name(0) if torch.cuda.is_available() else ""
    return next((rate for name, rate in DATA_SHEETS.items() if name in card), None)


def make_parser() -> argparse.ArgumentParser:
    """What the command line takes."""
    parser = parser_of(__doc__)
    parser.set_defaults(max_length=TOKENS)
    parser.add_argument("--texts", choices=["full", "natural"], default="full", help="see above")
    parser.add_argument("--batches", type=int, nargs="+", default=[32, 64, 128], help="of sentence-transformers")
    parser.add_argument("--workers", type=int, default=4, help="processes that tokenise for sentence-transformers")
    parser.add_argument("--step", type=int, default=32, help="sessions a step of hft")
    parser.add_argument("--steps", type=int, default=64, help="steps of hft a turn; as many sessions of the other")
    parser.add_argument("--hft", nargs="+", metavar="KEY=VALUE", help="further overrides of hft, compute.compile=true")
    return parser


def main() -> None:
    arguments = make_parser().parse_args()
    import torch

    if not torch.cuda.is_available():
        print("no CUDA device here")
        sys.exit(2)
    if arguments.quick:
        arguments.pairs = 1
    print_machine(arguments.threads)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if arguments.model == make_parser().get_default("model"):
            arguments.model = str(build_encoder(folder / "encoder"))
        print(f"{measure(arguments, build_workload(folder, arguments), 'cuda'):.2f}")


if __name__ == "__main__":
    main()
