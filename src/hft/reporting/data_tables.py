"""What a log looks like, as tables in the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hft.consoles import Console
from hft.reporting.leakage_table import leakage_table
from hft.reporting.numbers import shorten

WIDTH_OF_A_FILE = 110
_SPACE_ABOVE = (1, 0, 0, 0)
# Positions that get a line of their own; the picture has them all.
_POSITIONS = 10
_LONGEST_QUERY = 60


def print_description(found: Mapping[str, Any], console: Console | None = None) -> None:
    """Prints a description of data.

    Args:
        found: as hft.data.describe_data gives it.
        console: where to; None is standard output.
    """
    if console is None:
        console = Console()
        if not console.is_terminal:  # a file has no edge to wrap at
            console.width = WIDTH_OF_A_FILE
    console.print(Group(*_parts(found)))


def _parts(found: Mapping[str, Any]) -> Iterator[RenderableType]:
    report = found["report"]
    what = "lists and clicks are simulated" if found["simulated"] else "as they were taken, before the split"
    yield _heading("Sessions", what)
    yield _overview(found)
    yield _heading("Distributions", "tokens are estimated")
    yield _distributions(found)
    if found["positions"]:
        yield _heading("Events by position", f"the first {min(_POSITIONS, len(found['positions']))}")
        yield _positions(found["positions"][:_POSITIONS])
    if found["queries"]["repeated"]:
        yield _heading("Most frequent queries", "")
        yield _pairs((shorten(text, _LONGEST_QUERY), f"{count:,}") for text, count in found["queries"]["most_frequent"])
    for name, values in found["values"].items():
        more = values["values"] - len(values["most_frequent"])
        yield _heading(name, f"{values['values']:,} values, {values['without']:,} sessions without")
        yield _pairs((shorten(value, _LONGEST_QUERY), f"{count:,}") for value, count in values["most_frequent"].items())
        if more > 0:
            yield Text(f"and {more:,} more", style="dim")
    yield _heading("Splits", "")
    yield _splits(report["splits"])
    if report["leakage"]:
        yield _heading("Leakage", "what of a held-out split is in train too")
        yield leakage_table(report["leakage"])
    yield from _left_out(report)


def _overview(found: Mapping[str, Any]) -> Table:
    sessions, queries, items, events = (found[name] for name in ("sessions", "queries", "items", "events"))
    rows = [
        ("sessions", f"{sessions['all']:,}"),
        ("  with an event", _of(sessions["with_event"], sessions["all"])),
        ("  with an event on every result", _of(events["on_every_result"], sessions["all"])),
    ]
    for name, told in (("irrelevant", "flagged as irrelevant"), ("judged", "of known relevance")):
        if sessions[name]:
            rows.append((f"  {told}", _of(sessions[name], sessions["all"])))
    if sessions["down_weighted"]:
        rows.append(("  of less weight in training", _of(sessions["down_weighted"], sessions["all"])))
    rows += [
        ("events", f"{events['all']:,}"),
        *((f"  of weight {weight}", f"{count:,}") for weight, count in events["by_weight"].items()),
        ("distinct queries", f"{queries['texts']:,}"),
        ("  near-duplicates counted once", f"{queries['without_near_duplicates']:,}"),
        ("  sessions of a repeated query", _of(queries["sessions_of_repeated"], sessions["all"])),
        ("items", f"{items['all']:,}"),
        *_texts_rows(found["report"]),
        ("  of distinct text", _of(items["texts"], items["all"])),
        ("  shown", _of(items["shown"], items["all"])),
        ("  picked", _of(items["picked"], items["all"])),
    ]
    if found["users"] is not None:
        rows.append(("users", f"{found['users']['all']:,}"))
        rows.append(("  sessions without one", _of(found["users"]["without"], sessions["all"])))
    time = found["time"]
    if time is not None:
        rows += [("time (UTC)", f"{time['from']} to {time['to']}")]
        rows.append(("  sessions without one", _of(time["without"], sessions["all"])))
        rows.append(("  sessions before the one above them", f"{time['out_of_order']:,}"))
    return _pairs(iter(rows))


def _texts_rows(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    made = report["item_fields"].items()
    return [
        (f"  text made of{f' ({name})' if name else ''}", ", ".join(fields) or "all fields") for name, fields in made
    ]


def _distributions(found: Mapping[str, Any]) -> Table:
    rows = {
        "results a session": found["results"],
        "events a session": found["events"]["a_session"],
        "sessions a query": found["queries"]["sessions_a_query"],
        "words a query": found["lengths"]["queries"]["words"],
        "tokens a query": found["lengths"]["queries"]["tokens"],
        "words an item": found["lengths"]["items"]["words"],
        "tokens an item": found["lengths"]["items"]["tokens"],
    }
    if found["users"] is not None:
        rows["sessions a user"] = found["users"]["sessions_a_user"]
    if found["events"]["dwell"] is not None:
        rows["dwell in seconds"] = found["events"]["dwell"]
    table = _table("mean", "lowest", "median", "95% are up to", "highest")
    for name, values in rows.items():
        mean = "-" if values["mean"] is None else f"{values['mean']:,.2f}"
        table.add_row(name, mean, *(_number(values[part]) for part in ("min", "median", "p95", "max")))
    return table


def _positions(positions: list[Mapping[str, Any]]) -> Table:
    table = _table("shown", "events", "rate")
    for found in positions:
        rate = f"{found['rate']:.1%}"
        table.add_row(str(found["position"]), f"{found['shown']:,}", f"{found['events']:,}", rate)
    return table


def _splits(splits: Mapping[str, Mapping[str, Any]]) -> Table:
    table = _table("sessions", "queries", "results", "events")
    for name, counts in splits.items():
        table.add_row(name, *(f"{counts[part]:,}" for part in ("sessions", "queries", "results", "events")))
    return table


def _left_out(report: Mapping[str, Any]) -> Iterator[RenderableType]:
    rows = [(f"left out: {reason}", f"{count:,}") for reason, count in report["dropped"].items()]
    rows += [(f"changed: {what}", f"{count:,}") for what, count in report["converted"].items()]
    rows += [(f"lines set aside of {file}", f"{count:,}") for file, count in report["quarantined"].items() if count]
    rows += [(f"  {reason}", f"{count:,}") for reason, count in sorted(report["reasons"].items())]
    if rows:
        yield _heading("Left out and changed", "")
        yield _pairs(iter(rows))
    if report["quarantine_file"]:
        yield Text(f"Lines set aside, with reasons: {report['quarantine_file']}", style="dim")
    for note in report["notes"]:
        yield Text(note, style="dim")
    for warning in report["warnings"]:
        yield Text(f"warning: {warning}", style="yellow")


def _of(count: int, all_of_them: int) -> str:
    return f"{count:,} ({count / all_of_them:.1%})" if all_of_them else f"{count:,}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.4g}" if value < 1000 else f"{value:,.0f}"


def _heading(title: str, explanation: str) -> Padding:
    return Padding(Text.assemble((title, "bold"), (f"  {explanation}", "dim")), _SPACE_ABOVE)


def _table(*headings: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
    table.add_column("", overflow="fold", min_width=12)
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _pairs(rows: Iterator[tuple[str, str]]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(overflow="fold")
    table.add_column(justify="right", no_wrap=True)
    for name, value in rows:
        table.add_row(Text(name), value)
    return table
