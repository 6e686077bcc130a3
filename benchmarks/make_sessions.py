"""Made-up click logs of any size, as `data=sessions` reads them: `sessions.jsonl` and `items.jsonl` in a folder.

    python benchmarks/make_sessions.py FOLDER [--sessions 1000000] [--items 200000] [--results 10] [--seed 0]
    hft train data=sessions data.source.sessions=FOLDER/sessions.jsonl data.source.items=FOLDER/items.jsonl

Words, items and queries follow Zipf's law, so few queries make most of the sessions and many come once. A query is made
of words of the item that it looks for; that item stands somewhere in the list shown, and people click by position
(examined with probability 1/sqrt(position)) and by whether a result is the one looked for. The same arguments give the
same files. A million sessions take about 10 seconds and 220 MB, the items 66 MB.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

_ONSETS = (*"bcdfghjklmnprstvw", "br", "ch", "dr", "fl", "gr", "pl", "qu", "sh", "st", "tr")
_VOWELS = ("a", "e", "i", "o", "u", "ai", "ea", "ee", "io", "oa", "ou")
_CODAS = ("n", "r", "s", "t", "l", "m", "ck", "nd", "st", "x", "", "", "", "", "", "")
_MODIFIERS = ["", "", "", "", "best", "cheap", "how to", "new", "with", "review of", "for beginners", "2026"]
_WORDS = 30_000
_BLOCK = 50_000
_FIRST_SECOND = 1_760_000_000
_CLICK, _FALSE_CLICK = 0.85, 0.06
# Of the sessions, so many distinct queries at most; some are never drawn.
_QUERIES_SHARE = 0.4


def main() -> None:
    parser = argparse.ArgumentParser(description="Made-up click logs.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sessions", type=int, default=1_000_000)
    parser.add_argument("--items", type=int, default=200_000)
    parser.add_argument("--results", type=int, default=10, help="results a session")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batches", type=int, default=0, help="batch ids, in the order of time; 0: none")
    given = parser.parse_args()
    made = make_sessions(given.folder, given.sessions, given.items, given.results, given.seed, given.batches)
    for path in made:
        print(f"{path}: {path.stat().st_size / 1e6:,.0f} MB")


def make_sessions(
    folder: Path, sessions: int, items: int, results: int = 10, seed: int = 0, batches: int = 0
) -> tuple[Path, Path]:
    """Write the two files.

    Args:
        folder: made where it is missing.
        sessions, items: how many lines of each.
        results: shown a session, at most half of the items.
        seed: the same seed gives the same files.
        batches: batch ids `0` to `batches - 1`, in the order of time; 0 gives none.

    Returns:
        (the file of sessions, the file of items).
    """
    if not 2 <= results <= items // 2:
        raise SystemExit(f"--results {results}: expected 2 to half of the {items} items.")
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    words = _vocabulary(rng)
    titles = [word.capitalize() for word in _phrases(words, rng.integers(2, 7, items), rng)]
    files = (folder / "sessions.jsonl", folder / "items.jsonl")
    with files[1].open("w", encoding="utf-8") as file:
        for start in range(0, items, _BLOCK):
            block = titles[start : start + _BLOCK]
            bodies = _phrases(words, rng.integers(15, 60, len(block)), rng)
            file.writelines(
                f'{{"item_id": "i{start + number}", "title": "{title}", "text": "{title}. {body}."}}\n'
                for number, (title, body) in enumerate(zip(block, bodies, strict=True))
            )
    wanted, queries = _queries(titles, max(int(sessions * _QUERIES_SHARE), 1), rng)
    with files[0].open("w", encoding="utf-8") as file:
        for start in range(0, sessions, _BLOCK):
            count = min(_BLOCK, sessions - start)
            file.writelines(_session_lines(start, count, sessions, wanted, queries, items, results, batches, rng))
    return files


def _vocabulary(rng: np.random.Generator) -> list[str]:
    """Distinct pronounceable words, frequent ones short."""
    words: dict[str, None] = {}
    while len(words) < _WORDS:
        syllables = 1 + (len(words) > 600) + (len(words) > 12_000)
        parts = [rng.choice(_ONSETS, (_BLOCK // 10, syllables)), rng.choice(_VOWELS, (_BLOCK // 10, syllables))]
        bodies = ["".join(pair) for pair in zip(parts[0].ravel().tolist(), parts[1].ravel().tolist(), strict=True)]
        ends = rng.choice(_CODAS, _BLOCK // 10).tolist()
        for number, end in enumerate(ends):
            words.setdefault("".join(bodies[number * syllables : (number + 1) * syllables]) + end)
            if len(words) in (601, 12_001, _WORDS):
                break
    return list(words)


def _zipf(count: int, size: int, rng: np.random.Generator, skew: float = 1.0) -> Ints:
    """int64[size] draws of 0..count-1, the n-th with a probability in proportion to 1 / (n + 3)^skew."""
    weights = np.cumsum((np.arange(count) + 3.0) ** -skew)
    drawn: Ints = np.searchsorted(weights, rng.random(size) * weights[-1]).astype(np.int64)
    return drawn


def _phrases(words: list[str], lengths: Ints, rng: np.random.Generator) -> list[str]:
    """As many phrases as lengths, of so many words each."""
    drawn = [words[row] for row in _zipf(len(words), int(lengths.sum()), rng).tolist()]
    ends = np.cumsum(lengths).tolist()
    return [" ".join(drawn[end - length : end]) for end, length in zip(ends, lengths.tolist(), strict=True)]


def _queries(titles: list[str], count: int, rng: np.random.Generator) -> tuple[Ints, list[str]]:
    """(the item that each query looks for, the queries): a run of the title's words, sometimes with more around."""
    wanted = rng.permutation(len(titles))[_zipf(len(titles), count, rng, 0.6)]
    first, last = rng.integers(0, 4, count).tolist(), rng.integers(1, 5, count).tolist()
    extra = rng.choice(_MODIFIERS, count).tolist()
    queries = []
    for item, skip, take, more in zip(wanted.tolist(), first, last, extra, strict=True):
        title = titles[item].lower().split()
        start = min(skip, len(title) - 1)
        queries.append(f"{more} {' '.join(title[start : start + take])}".strip())
    return wanted, queries


def _session_lines(
    start: int,
    count: int,
    sessions: int,
    wanted: Ints,
    queries: list[str],
    items: int,
    results: int,
    batches: int,
    rng: np.random.Generator,
) -> Iterator[str]:
    asked = _zipf(len(queries), count, rng, 0.8)
    # Steps of at most items // results apart never come round to where they began: all results are distinct.
    steps = np.cumsum(rng.integers(1, max(items // results, 2), (count, results - 1)), axis=1)
    shown = np.concatenate([wanted[asked][:, None], (wanted[asked][:, None] + steps) % items], axis=1)
    order = np.argsort(rng.random(shown.shape) * (np.arange(results) + 1.0) ** 0.5, axis=1)
    shown = np.take_along_axis(shown, order, axis=1)
    attraction = np.where(shown == wanted[asked][:, None], _CLICK, _FALSE_CLICK)
    clicked = rng.random(shown.shape) < attraction / np.arange(1, results + 1) ** 0.5
    seconds = _FIRST_SECOND + 8 * (start + np.arange(count)) + rng.integers(0, 8, count)
    rows = zip(asked.tolist(), shown.tolist(), clicked.tolist(), seconds.tolist(), strict=True)
    for number, (query, listed, flags, second) in enumerate(rows, start=start):
        ids = [f'"i{item}"' for item in listed]
        picked = ", ".join([name for name, flag in zip(ids, flags, strict=True) if flag])
        batch = f', "batch_id": "{number * batches // sessions}"' if batches else ""
        yield (
            f'{{"session_id": "s{number}", "query": {json.dumps(queries[query])}, "results": [{", ".join(ids)}], '
            f'"events": [{picked}], "timestamp": {second}{batch}}}\n'
        )


if __name__ == "__main__":
    main()
