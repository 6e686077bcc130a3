"""`hft embed RUN FILE`: the vectors of a file of texts."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

SUFFIXES = (".npy", ".arrow", ".parquet")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `hft embed`."""
    parser.add_argument("run", metavar="RUN", help="a run (folder, id or name) or the folder of a saved model")
    parser.add_argument("file", metavar="FILE", help="texts: .txt (one a line), .jsonl, .csv or .parquet")
    parser.add_argument("output", metavar="OUTPUT", nargs="?", help=f"vectors: {', '.join(SUFFIXES)} (FILE.npy)")
    parser.add_argument("--side", choices=("query", "items"), default="items", help="which tower (default: items)")
    parser.add_argument("--field", default="text", help="the field that holds the text (default: text)")
    parser.add_argument("--outputs", metavar="DIR", default="outputs", help="where runs land (default: outputs)")


def run(args: argparse.Namespace) -> int:
    """Read, embed, write."""
    from hft.data.texts import read_texts
    from hft.errors import ConfigError

    output = Path(args.output or f"{args.file}.npy")
    if output.suffix not in SUFFIXES:
        raise ConfigError(f"hft embed: {output} must end in one of {', '.join(SUFFIXES)}.")
    texts = read_texts(Path(args.file), args.field)
    from hft.api import load
    from hft.consoles import Console
    from hft.running.progress import text_progress

    model = load(args.run, args.outputs)
    with text_progress(Console(stderr=True), f"{len(texts):,} texts") as progress:
        vectors = model.encode(texts, args.side, progress=progress)
    _write(output, texts, vectors)
    print(f"{output}: {len(vectors):,} vectors of {vectors.shape[1]} numbers (float32), in the order of {args.file}")
    return 0


def _write(output: Path, texts: Sequence[str], vectors: np.ndarray) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.feather
    import pyarrow.parquet

    from hft.files import atomic_write

    with atomic_write(output, "wb") as file:
        if output.suffix == ".npy":
            np.save(file, vectors, allow_pickle=False)
            return
        column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1])
        table = pa.table({"text": pa.array(texts, pa.string()), "vector": column})
        if output.suffix == ".parquet":
            pyarrow.parquet.write_table(table, file)
        else:
            pyarrow.feather.write_feather(table, file, compression="uncompressed")
