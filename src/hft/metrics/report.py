"""Report: what one evaluation found, as plain values that go to report.json, tables and pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from hft.errors import DataError
from hft.metrics.comparison import Comparison
from hft.metrics.conclusion import evaluation_advice, fine_tuning_outcome
from hft.metrics.counterfactual import ClickEstimate
from hft.metrics.learning import Direction

SCHEMA_VERSION = 1

Point = tuple[int, float]


@dataclass(frozen=True)
class RankedResult:
    """One result as it stands in an example: its text (or title) and its gain, above 0 where relevant."""

    text: str
    gain: float


@dataclass(frozen=True)
class QueryExample:
    """One test query before and after.

    Args:
        query: its text.
        start: value of the main metric by the starting model.
        tuned: the same by the tuned model; None where there is none.
        before: the starting model's top results, best first.
        after: the tuned model's; empty where there is none.
    """

    query: str
    start: float
    tuned: float | None
    before: tuple[RankedResult, ...]
    after: tuple[RankedResult, ...] = ()


@dataclass(frozen=True)
class Report:
    """Everything an evaluation found. JSON-able by `to_dict`.

    Args:
        main_metric: the metric that decides, `ndcg@10`.
        direction: whether a higher or a lower value of it is better.
        candidates: what was ranked: each session's `shown` list, or a pool of items (`corpus`).
        test: by metric, on the test split, read once; empty where it was not read (a trial of a search).
        validation: by metric, on the validation split; empty where it was not measured. The tuned weights were
            chosen by this split, so their advantage and its interval are flattered by the choice, and there is no
            p. The proof is `test`.
        baselines: on the test split, by baseline, by metric: the mean over the same queries.
        baseline_leads: on the test split, by baseline: the model (the tuned one, if there is one) against it in the
            main metric, over the same queries; `start` is the baseline's, `tuned` the model's.
        baseline_notes: lines on how the baselines were made.
        slices: on the test split, by slice of it ("query seen in training"), by metric.
        small_slices: slices with too few queries for an interval, with how many they have.
        leakage: what of validation and test training has seen: counts by name, by split (see hft.data.leakage).
        shifts: further means on the test split, by name (`not_irrelevant_dist_shift`); absent where there is none.
        clicks: on the test split, by metric: what clicks say of the two orders of the shown lists (SNIPS); empty where
            no click model gives propensities.
        click_notes: lines on the click model that was fitted.
        examples: some test queries before and after.
        curves: (step, value) by logged name: `train_loss`, `validation_loss`, `validation_ndcg@10`.
        verdict: learning_verdict of the curves; empty where nothing was trained.
        counts: of queries, items, sessions and the like, by name.
        seconds: wall time by stage.
        categories: where queries are put into categories, on the test split: macro-F1, by level, and the worst
            categories (hft.methods.categories.category_scores); else empty.
        precision: in which vectors were computed, `32-true` or `bf16-mixed`; empty in reports from before it was said.
        warnings: what a reader must know of the models' texts: a baseline sees a field that a model does not.
        texts: the model that `hft evaluate` measures by other fields of the items, on validation: rows of
            hft.running.which_text; empty where that was not asked.
    """

    main_metric: str
    direction: Direction
    candidates: Literal["shown", "corpus"]
    test: dict[str, Comparison]
    validation: dict[str, Comparison] = field(default_factory=dict)
    baselines: dict[str, dict[str, float]] = field(default_factory=dict)
    baseline_leads: dict[str, Comparison] = field(default_factory=dict)
    baseline_notes: tuple[str, ...] = ()
    slices: dict[str, dict[str, Comparison]] = field(default_factory=dict)
    small_slices: dict[str, int] = field(default_factory=dict)
    leakage: dict[str, dict[str, int]] = field(default_factory=dict)
    shifts: dict[str, float] = field(default_factory=dict)
    clicks: dict[str, ClickEstimate] = field(default_factory=dict)
    click_notes: tuple[str, ...] = ()
    examples: tuple[QueryExample, ...] = ()
    curves: dict[str, list[Point]] = field(default_factory=dict)
    verdict: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    categories: dict[str, Any] = field(default_factory=dict)
    precision: str = ""
    warnings: tuple[str, ...] = ()
    texts: tuple[Mapping[str, Any], ...] = ()

    @property
    def main(self) -> Comparison:
        """The main metric on the test split; where that was not read, on validation."""
        return (self.test or self.validation)[self.main_metric]

    @property
    def conclusion(self) -> str:
        """One plain sentence: what came of the fine-tuning, or whether to fine-tune at all."""
        main = self.main_metric
        if not self.test:
            return _of_trial(self.main, main)
        baselines = {name: means[main] for name, means in self.baselines.items() if main in means}
        conclude = evaluation_advice if self.main.tuned is None else fine_tuning_outcome
        said = conclude(self.main, baselines, main, self.direction, self.baseline_leads)
        return " ".join((said, *(f"{warning[0].upper()}{warning[1:]}." for warning in self.warnings)))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON, the conclusion and a schema version among them."""
        return {
            "schema_version": SCHEMA_VERSION,
            "main_metric": self.main_metric,
            "direction": self.direction,
            "candidates": self.candidates,
            "precision": self.precision,
            "conclusion": self.conclusion,
            "test": _comparisons_to_dict(self.test),
            "validation": _comparisons_to_dict(self.validation),
            "baselines": {name: dict(means) for name, means in self.baselines.items()},
            "baseline_leads": _comparisons_to_dict(self.baseline_leads),
            "baseline_notes": list(self.baseline_notes),
            "slices": {name: _comparisons_to_dict(of_slice) for name, of_slice in self.slices.items()},
            "small_slices": dict(self.small_slices),
            "leakage": {split: dict(counts) for split, counts in self.leakage.items()},
            "shifts": dict(self.shifts),
            "clicks": {name: estimate.to_dict() for name, estimate in self.clicks.items()},
            "click_notes": list(self.click_notes),
            "examples": [asdict(example) for example in self.examples],
            "curves": {name: [list(point) for point in curve] for name, curve in self.curves.items()},
            "verdict": self.verdict,
            "counts": dict(self.counts),
            "seconds": dict(self.seconds),
            **({"categories": dict(self.categories)} if self.categories else {}),
            "warnings": list(self.warnings),
            **({"texts": [dict(row) for row in self.texts]} if self.texts else {}),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Report:
        """What `to_dict` gave, also after a way through JSON or report.json, whose checksum is left out.

        Raises:
            DataError: if it was written under another schema version.
        """
        if values.get("schema_version") != SCHEMA_VERSION:
            raise DataError(
                f"report.json: found schema version {values.get('schema_version')!r}, expected {SCHEMA_VERSION}. "
                "Another version of hft wrote it: evaluate the run again with `hft evaluate RUN`."
            )
        kept = {key: value for key, value in values.items() if key not in ("schema_version", "conclusion", "checksum")}
        return cls(
            **{
                **kept,
                "test": _comparisons_from_dict(kept["test"]),
                "validation": _comparisons_from_dict(kept["validation"]),
                "slices": {name: _comparisons_from_dict(found) for name, found in kept["slices"].items()},
                "baseline_leads": _comparisons_from_dict(kept.get("baseline_leads", {})),
                # Reports from before click models had none.
                "clicks": {name: ClickEstimate.from_dict(found) for name, found in kept.get("clicks", {}).items()},
                "baseline_notes": tuple(kept.get("baseline_notes", ())),
                "click_notes": tuple(kept.get("click_notes", ())),
                "warnings": tuple(kept.get("warnings", ())),
                "texts": tuple(kept.get("texts", ())),
                "examples": tuple(_example_from_dict(example) for example in kept["examples"]),
                "curves": {
                    name: [(int(step), float(value)) for step, value in curve] for name, curve in kept["curves"].items()
                },
            }
        )


def _of_trial(found: Comparison, metric: str) -> str:
    reached = ""
    if found.tuned is not None and found.difference is not None and found.interval is not None:
        low, high = found.interval
        reached = (
            f" -> {found.tuned:.3f} ({found.difference:+.3f}, 95% {low:+.3f} to {high:+.3f}, {found.queries:,} queries)"
        )
    return f"A trial of a search: validation {metric} {found.start:.3f}{reached}. Test was not read."


def _comparisons_to_dict(comparisons: Mapping[str, Comparison]) -> dict[str, Any]:
    return {metric: comparison.to_dict() for metric, comparison in comparisons.items()}


def _comparisons_from_dict(values: Mapping[str, Any]) -> dict[str, Comparison]:
    return {metric: Comparison.from_dict(comparison) for metric, comparison in values.items()}


def _example_from_dict(values: Mapping[str, Any]) -> QueryExample:
    return QueryExample(
        query=values["query"],
        start=values["start"],
        tuned=values["tuned"],
        before=tuple(RankedResult(**result) for result in values["before"]),
        after=tuple(RankedResult(**result) for result in values["after"]),
    )
