"""`hft embed RUN FILE`: the vectors of a file of texts, or of records that texts are made of as the run did."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from hft.data.text_declaration import TextDeclaration, TextMaker

SUFFIXES = (".npy", ".arrow", ".parquet")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `hft embed`."""
    parser.add_argument("run", metavar="RUN", help="a run (folder, id or name) or the folder of a saved model")
    parser.add_argument(
        "file", metavar="FILE", help="texts (.txt, one a line), or records of items or sessions: .jsonl, .csv, .parquet"
    )
    parser.add_argument(
        "output", metavar="OUTPUT", nargs="?", help=f"vectors: {', '.join(SUFFIXES)} (FILE.npy; of parts FILE.parquet)"
    )
    parser.add_argument("--side", choices=("query", "items"), default="items", help="which tower (default: items)")
    parser.add_argument(
        "--field",
        metavar="NAME[,NAME...]",
        action="append",
        help="fields that make the text, several joined by line ends (default: as the run makes its texts)",
    )
    parser.add_argument("--outputs", metavar="DIR", default="outputs", help="where runs land (default: outputs)")


def run(args: argparse.Namespace) -> int:
    """Read, embed, write."""
    from hft.api import find_model
    from hft.data.texts import read_texts
    from hft.errors import ConfigError
    from hft.threads import wait_politely

    if args.output is not None and Path(args.output).suffix not in SUFFIXES:
        raise ConfigError(f"hft embed: {args.output} must end in one of {', '.join(SUFFIXES)}.")
    wait_politely()
    folder, declared = find_model(args.run, args.outputs)
    maker = _maker(args, declared)
    in_parts = args.side == "items" and declared is not None and declared.item_splitter is not None
    output = Path(args.output or f"{args.file}{'.parquet' if in_parts else '.npy'}")
    if in_parts and output.suffix == ".npy":
        raise ConfigError(
            f"hft embed: {output}: this run embeds items in parts, several vectors an item, and .npy cannot say whose "
            f"they are. Write {output.with_suffix('.parquet')} instead."
        )
    texts = read_texts(Path(args.file), maker)
    _tell(args, maker, texts)
    from hft.consoles import Console
    from hft.models import load_saved_model
    from hft.running.progress import text_progress

    model: Any = load_saved_model(folder)
    columns: dict[str, Any] = {}
    count = len(texts)
    if in_parts:
        assert declared is not None
        columns["item"], texts = _parts(model, declared, texts)
    with text_progress(Console(stderr=True), f"{len(texts):,} texts") as progress:
        vectors = model.encode(texts, args.side, progress=progress)
    _write(output, texts, vectors, columns)
    told = f" (parts; `item` counts the {count:,} items from 0)" if in_parts else ""
    print(
        f"{output}: {len(vectors):,} vectors of {vectors.shape[1]} numbers (float32), in the order of {args.file}{told}"
    )
    return 0


def _maker(args: argparse.Namespace, declared: TextDeclaration | None) -> TextMaker:
    """What makes the texts: the fields that were named, else as the run declares, else the field `text`."""
    from hft.data.text_declaration import ItemTexts, RecordTexts
    from hft.errors import ConfigError

    named = [name.strip() for part in args.field or () for name in part.strip().strip("[]").split(",")]
    if not all(named):
        raise ConfigError("hft embed: --field: found an empty name. Expected --field NAME, or --field NAME,NAME.")
    if named or declared is None:
        return ItemTexts(RecordTexts(fields=named or ["text"]))
    return declared.maker(args.side)


def _tell(args: argparse.Namespace, maker: TextMaker, texts: Sequence[str]) -> None:
    """Which texts are embedded, to people."""
    if Path(args.file).suffix == ".txt":
        several = args.side == "items" and (len(maker.fields) != 1 or "template" in maker.words)
        made = f"; the run made its items' texts of {maker.words}: make yours alike" if several else ""
        print(f"texts: the lines of {args.file}{made}", file=sys.stderr)
    else:
        print(f"texts made of: {maker.words}", file=sys.stderr)
    if empty := sum(not text.strip() for text in texts):
        print(f"warning: {empty:,} of {len(texts):,} texts are empty: their vectors say nothing", file=sys.stderr)


def _parts(model: Any, declared: TextDeclaration, texts: Sequence[str]) -> tuple[np.ndarray, list[str]]:
    """(int64[parts] the item of each part, the parts), of as many tokens as the model takes."""
    import numpy as np

    splitter = declared.splitter
    assert splitter is not None
    tower = model.tower("items")
    parts = splitter.split(texts, tower.count_tokens, tower.room(model.prompt("items")))
    return np.repeat(np.arange(len(texts)), np.diff(parts.offsets)), parts.texts.to_pylist()


def _write(output: Path, texts: Sequence[str], vectors: np.ndarray, columns: dict[str, Any]) -> None:
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
        table = pa.table({**columns, "text": pa.array(texts, pa.string()), "vector": column})
        if output.suffix == ".parquet":
            pyarrow.parquet.write_table(table, file)
        else:
            pyarrow.feather.write_feather(table, file, compression="uncompressed")
