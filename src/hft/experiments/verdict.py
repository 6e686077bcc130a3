"""Does a repeated run equal the recorded one? Row by row, and one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hft.experiments.plain import Difference, differences, flatten
from hft.experiments.run_folder import STEPS_NAME
from hft.experiments.run_record import RunRecord
from hft.experiments.steps import Row, read_steps, repeatable, steps_hash

# Where the run lands, who is told of it, and what a reproduction fixes to what `auto` was decided to be.
FREE_KEYS = (
    "outputs",
    "run_name",
    "stores.folder",
    "stores.disk_budget",
    "threads",
    "tracking",
    "trainer.accelerator",
    "trainer.default_root_dir",
    "trainer.precision",
    "trainer.enable_progress_bar",
)

# Other kernels add in another order, and the difference grows from step to step: what a repeated run on another
# class of machine may differ by and still be called the same training.
LOSS_TOLERANCE = 0.05  # mean absolute difference of the losses, as a share of their mean
METRIC_TOLERANCE = 0.01  # absolute difference of the main metric

_SHOWN_DIFFERENCES = 3
_BASELINES = tuple(f"test_{name}_" for name in ("bm25", "random", "title_overlap", "item_popularity"))


@dataclass(frozen=True)
class Check:
    """One thing compared.

    Args:
        what: in words.
        recorded: its value in the record.
        now: its value in the repeated run.
        holds: whether they agree; None where it is told but not judged.
    """

    what: str
    recorded: str
    now: str
    holds: bool | None


@dataclass(frozen=True)
class Verdict:
    """What came of a reproduction.

    Args:
        checks: row by row.
        holds: the answer.
        sentence: the answer in words.
    """

    checks: tuple[Check, ...]
    holds: bool
    sentence: str


def first_half(recorded: RunRecord, now: RunRecord) -> list[Check]:
    """Compares what is known before step 1. Config, data and base model must agree; the rest is told."""
    config = [change for change in differences(recorded.config, now.config) if not _under(change.key, FREE_KEYS)]
    machine = differences(_machine(recorded), _machine(now))
    versions = differences(recorded.versions, now.versions)
    return [
        _of_differences("config", f"{len(flatten(recorded.config))} settings", config, judged=True),
        _of_hash("data", "data", recorded, now),
        _of_hash("base model", "base_model", recorded, now),
        _of_differences("versions", f"{len(recorded.versions)} packages", versions, judged=False),
        _of_differences("machine", machine_name(recorded), machine, judged=False),
    ]


def judge(recorded: RunRecord, now: RunRecord) -> Verdict:
    """Compares two finished runs.

    On one class of machine, on the CPU, all losses, metrics and weights must be equal to the last bit; on another
    one the losses and the main metric must agree within LOSS_TOLERANCE and METRIC_TOLERANCE.

    Raises:
        DataError: the steps of a run cannot be read.
    """
    checks = first_half(recorded, now)
    rows, rows_now = _rows(recorded), _rows(now)
    exact = [
        _recorded_steps(recorded, rows),
        _steps(rows, rows_now),
        _metrics(recorded, now),
        _equal("weights", _short(recorded.results.weights), _short(now.results.weights)),
    ]
    reasons = why_not_exact(recorded, now)
    if all(check.holds for check in [*checks[:3], *exact]):
        return Verdict(
            (*checks, *exact), True, "It holds: every loss, every metric and the weights are equal to the last bit."
        )
    if reasons and all(check.holds for check in [*checks[:3], exact[0]]):
        return _judge_within_tolerance(recorded, now, rows, rows_now, checks, exact, reasons)
    failed = next(check for check in [*checks[:3], *exact] if check.holds is False)
    return Verdict((*checks, *exact), False, f"It does not hold: {failed.what}: {failed.now}.")


def stopped_early(checks: Sequence[Check]) -> Verdict | None:
    """The verdict where the first half alone tells that the run cannot be equal; None where it can."""
    failed = [check for check in checks if check.holds is False]
    if not failed:
        return None
    reasons = "; ".join(f"{check.what}: {check.now}" for check in failed)
    return Verdict(tuple(checks), False, f"It does not hold, and was stopped before step 1: {reasons}.")


def why_not_exact(recorded: RunRecord, now: RunRecord) -> list[str]:
    """Why equality to the last bit cannot be expected, in words; empty where it can."""
    reasons = [
        f"{change.key} {change.second} (recorded {change.first})"
        for change in differences(_machine(recorded), _machine(now))
    ]
    if _on_gpu(now):
        reasons.append("a GPU adds in an order of its own")
    return reasons


def machine_name(record: RunRecord) -> str:
    """The class of machine of a run, in a few words."""
    hardware, environment = record.hardware, record.environment
    parts = [hardware.get("gpu") or hardware.get("cpu"), f"{environment.threads} threads", environment.precision]
    return ", ".join(str(part) for part in parts if part)


def _machine(record: RunRecord) -> dict[str, Any]:
    """What decides the order of sums."""
    kept = ("torch", "numpy", "transformers", "tokenizers", "pytorch-lightning")
    return {
        "machine": record.hardware.get("machine"),
        "cpu": record.hardware.get("cpu"),
        "gpu": record.hardware.get("gpu") if _on_gpu(record) else None,
        "threads": record.environment.threads,
        "precision": record.environment.precision,
        "accelerator": record.environment.accelerator,
        "kernels": record.environment.kernels,
        "versions": {name: version for name, version in record.versions.items() if name in kept},
    }


def _on_gpu(record: RunRecord) -> bool:
    return record.environment.accelerator not in (None, "cpu")


def _judge_within_tolerance(
    recorded: RunRecord,
    now: RunRecord,
    rows: Sequence[Row],
    rows_now: Sequence[Row],
    checks: Sequence[Check],
    exact: Sequence[Check],
    reasons: Sequence[str],
) -> Verdict:
    distance = _loss_distance(rows, rows_now)
    metric = f"test_{recorded.main_metric}"
    if metric not in recorded.results.metrics:  # a trial of a search
        metric = f"validation_{recorded.main_metric}"
    one, other = recorded.results.metrics.get(metric), now.results.metrics.get(metric)
    gap = None if one is None or other is None else abs(one - other)
    told = [Check(check.what, check.recorded, check.now, None) for check in exact[1:]]
    close = [
        Check(
            "losses, roughly",
            f"within {LOSS_TOLERANCE:.0%}",
            "other steps" if distance is None else f"{distance:.2%} apart on average",
            distance is not None and distance <= LOSS_TOLERANCE,
        ),
        Check(
            metric,
            "absent" if one is None else repr(one),
            "absent" if other is None else repr(other),
            gap <= METRIC_TOLERANCE if gap is not None else one is other,
        ),
    ]
    holds = all(check.holds for check in close)
    answer = "It holds within tolerance, not to the last bit" if holds else "It does not hold, even within tolerance"
    sentence = f"{answer}: the surroundings differ ({'; '.join(reasons)})."
    return Verdict((*checks, exact[0], *told, *close), holds, sentence)


def _of_differences(what: str, count: str, found: Sequence[Difference], *, judged: bool) -> Check:
    if not found:
        return Check(what, count, "the same", True)
    shown = [f"{change.key}: {change.second} (recorded {change.first})" for change in found[:_SHOWN_DIFFERENCES]]
    more = len(found) - len(shown)
    text = "; ".join(shown) + (f"; and {more} more" if more else "")
    return Check(what, count, text, False if judged else None)


def _of_hash(what: str, name: str, recorded: RunRecord, now: RunRecord) -> Check:
    one, other = recorded.hashes.get(name), now.hashes.get(name)
    if one == other:
        return Check(what, _short(one), "the same", True)
    return Check(what, _short(one), f"another content (hash {_short(other)}, recorded {_short(one)})", False)


def _recorded_steps(recorded: RunRecord, rows: Sequence[Row]) -> Check:
    what = f"recorded {STEPS_NAME}"
    if recorded.results.num_steps in (None, len(rows)) and steps_hash(rows) == recorded.results.steps:
        return Check(what, f"{len(rows)} rows", "as written", True)
    if not rows:
        return Check(
            what, f"{recorded.results.num_steps} rows", f"{STEPS_NAME} is missing from {recorded.folder}", False
        )
    return Check(
        what, f"hash {_short(recorded.results.steps)}", f"changed since (hash {_short(steps_hash(rows))})", False
    )


def _steps(rows: Sequence[Row], rows_now: Sequence[Row]) -> Check:
    what = "loss of every step"
    for one, other in zip(rows, rows_now, strict=False):
        found = differences(repeatable(one), repeatable(other))
        if found:
            name, before, after = found[0]
            return Check(what, f"{len(rows)} rows", f"step {one['step']}: {name} {after!r}, recorded {before!r}", False)
    if len(rows) != len(rows_now):
        return Check(what, f"{len(rows)} rows", f"{len(rows_now)} rows", False)
    return Check(what, f"{len(rows)} rows", "all equal", True)


def _metrics(recorded: RunRecord, now: RunRecord) -> Check:
    found = differences(*(_of_the_models(record.results.metrics) for record in (recorded, now)))
    if not found:
        return Check("final metrics", f"{len(recorded.results.metrics)} values", "all equal", True)
    return _of_differences("final metrics", f"{len(recorded.results.metrics)} values", found, judged=True)


def _of_the_models(metrics: Mapping[str, float]) -> dict[str, float]:
    """Without what a later hft may work out by another rule: baselines, and the p of a difference."""
    return {
        name: value for name, value in metrics.items() if not name.startswith(_BASELINES) and not name.endswith("_p")
    }


def _equal(what: str, one: str, other: str) -> Check:
    return Check(what, one, "the same" if one == other else f"others (hash {other})", one == other)


def _loss_distance(rows: Sequence[Row], rows_now: Sequence[Row]) -> float | None:
    """Mean absolute difference of `train_loss` as a share of its mean size; None where the steps are others."""
    ours = {row["step"]: row["train_loss"] for row in rows if "train_loss" in row}
    theirs = {row["step"]: row["train_loss"] for row in rows_now if "train_loss" in row}
    if ours.keys() != theirs.keys():
        return None
    size = sum(abs(value) for value in ours.values())
    gap = sum(abs(value - theirs[step]) for step, value in ours.items())
    return 0.0 if gap == 0 else gap / size if size else None


def _rows(record: RunRecord) -> list[Row]:
    path = record.folder / STEPS_NAME
    return read_steps(path) if path.is_file() else []


def _under(key: str, prefixes: Sequence[str]) -> bool:
    return any(key == prefix or key.startswith(f"{prefix}.") for prefix in prefixes)


def _short(digest: str | None) -> str:
    return "none" if digest is None else digest[:12]


def as_dict(verdict: Verdict) -> Mapping[str, Any]:
    """A verdict for scripts."""
    rows = [{"what": c.what, "recorded": c.recorded, "now": c.now, "holds": c.holds} for c in verdict.checks]
    return {"holds": verdict.holds, "verdict": verdict.sentence, "checks": rows}
