"""What of held-out splits training has seen, as a table."""

from __future__ import annotations

from collections.abc import Mapping

from rich import box
from rich.table import Table

# What is counted of how much, by the names of hft.data.leakage.
_ROWS = {
    "queries of the same text": ("queries_seen", "queries"),
    "queries, near-duplicates too": ("queries_near_seen", "queries"),
    "items shown": ("items_shown", "items"),
    "relevant items, picked in train": ("relevant_picked", "relevant"),
    "items new but for their text": ("texts_seen", "items_new"),
    "users": ("users_seen", "users"),
    "sessions not later than train": ("sessions_not_later", "sessions_timed"),
}


def leakage_table(leakage: Mapping[str, Mapping[str, int]]) -> Table:
    """A row a kind, a column a split: how many of how many. Kinds that the data does not tell are left out."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
    table.add_column("", overflow="fold", min_width=12)
    for split in leakage:
        table.add_column(split, justify="right", no_wrap=True)
    for name, (seen, of) in _ROWS.items():
        if any(of in counts and seen in counts for counts in leakage.values()):
            table.add_row(name, *(_share(counts, seen, of) for counts in leakage.values()))
    return table


def _share(counts: Mapping[str, int], seen: str, of: str) -> str:
    if of not in counts or seen not in counts:
        return "-"
    share = f" ({counts[seen] / counts[of]:.0%})" if counts[of] else ""
    return f"{counts[seen]:,} of {counts[of]:,}{share}"
