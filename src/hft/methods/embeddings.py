"""EmbeddingsMethod: text embeddings from queries, the results shown, and what was picked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from hft.data import RankingData, SessionSource, Splitter, prepare_ranking_data
from hft.methods.base import FineTuningMethod
from hft.methods.proof import Measured, Validated, build_report, distinct_queries, validation_report
from hft.methods.tokenized import TokenizedData
from hft.metrics import Report
from hft.models.rankers import settle_similarity
from hft.settings import FineTuningParams, FineTuningSettings
from hft.stores import StoreFolder
from hft.training import (
    EmbeddingsFineTuner,
    Evaluator,
    HardNegativeMiner,
    HardNegativeMining,
    PairPlanner,
    Validator,
    inference,
    session_loader,
)
from hft.training.activations import TextUse

Progress = Callable[[int], None]

_NO_TEXTS = (np.zeros(0, dtype=np.int64),) * 2


class EmbeddingsMethod(FineTuningMethod):
    """Fine-tunes a text embedding model so that what people picked ranks above what they passed over."""

    def prepare(self, source: SessionSource, splitter: Splitter, **options: Any) -> RankingData:
        """Reads a source and splits it; options as in hft.data.prepare_ranking_data, and `item_splitter` and
        `augmentation` as in RankingData."""
        of_texts = [options.pop(name, None) for name in ("item_splitter", "augmentation")]
        data = prepare_ranking_data(source, splitter, **options)
        return data if of_texts == [None, None] else data.with_texts(*of_texts)

    def tokenize(self, model: Any, data: RankingData, folder: StoreFolder | None = None) -> TokenizedData:
        """Every distinct text of the data as the model's tokens, once; with a folder once for all runs."""
        return TokenizedData.of(data, model, folder)

    def text_uses(
        self, data: TokenizedData, settings: FineTuningSettings, params: FineTuningParams, *, test: bool
    ) -> list[TextUse]:
        """See FineTuningMethod. Sessions that give no pair are counted in."""
        train = data.data.train
        items = train.flat_results.astype(np.int64)
        if settings.negatives == "in_batch" and settings.hard_negatives is None:
            embedded = train.flat_events > 0
            if not params.not_irrelevant_only:  # their results are negatives
                embedded |= np.repeat(train.is_irrelevant, np.diff(train.offsets))
            items = items[embedded]
        validated, tested = _texts_of(data, "validation"), _texts_of(data, "test") if test else _NO_TEXTS
        queries, ranked = ([looks[side] for looks in (validated, tested)] for side in (0, 1))
        texts = data.item_texts
        return [
            *data.text_uses("query", data.query_rows(train), queries),
            *data.text_uses("items", texts(items), [texts(rows) for rows in ranked]),
        ]

    def build(
        self, model: Any, data: TokenizedData, settings: FineTuningSettings, params: FineTuningParams, **parts: Any
    ) -> EmbeddingsFineTuner:
        """The Lightning module with its training loader and its validator.

        Args:
            model: with the weights that move already chosen.
            data: as `tokenize` returns it.
            settings: what a search holds fixed.
            params: what a search may vary.
            parts: `optimizer`, `scheduler`, `precision` and `seed` of the run.
        """
        settle_similarity(model, settings.ranker)
        seed, precision = parts["seed"], parts["precision"]
        planner = self._planner(data, "train", settings, params)
        queries, items = data.in_training("query", model, seed), data.in_training("items", model, seed)
        in_parts = data.item_parts(settings)
        loader = session_loader(planner, queries, items, batch_size=settings.batch_size, seed=seed, parts=in_parts)
        validator = Validator(
            self._planner(data, "validation", settings, params.model_copy(update={"negative_downsampling": 1.0})),
            batch_size=settings.batch_size,
            seed=seed,
            make_evaluator=partial(self._evaluator, data, "validation", settings, seed),
            loss=settings.loss_func,
            params=params,
            precision=precision,
        )
        mining = None if settings.hard_negatives is None else self._mining(data, planner, settings, seed, precision)
        return EmbeddingsFineTuner(
            model,
            settings,
            params,
            optimizer=parts["optimizer"],
            scheduler=parts["scheduler"],
            loader=loader,
            validator=validator,
            callbacks=[] if mining is None else [mining],
        )

    def measure(self, model: Any, data: TokenizedData, settings: FineTuningSettings, **options: Any) -> Measured:
        """A model's results on the test split.

        Args:
            model: on the device to compute on.
            data: as `tokenize` returns it.
            settings: ranker and metrics.
            options: `precision`, `seed`, and by choice `start` (the starting model's Measured) and `progress`.
        """
        settle_similarity(model, settings.ranker)
        start: Measured | None = options.get("start")
        evaluator = self._evaluator(data, "test", settings, options["seed"], None)
        with inference(model, options["precision"]):
            queries, items = evaluator.vectors(model, options.get("progress"))
        with torch.no_grad():
            evaluation = evaluator.evaluate(queries, items, None if start is None else start.evaluation)
        return Measured(evaluation, distinct_queries(evaluator.arrays)[1], options["precision"])

    def evaluate(
        self,
        start: Measured | None,
        tuned: Measured | None,
        data: TokenizedData,
        settings: FineTuningSettings,
        **options: Any,
    ) -> Report:
        """The report: the starting and the tuned model over the same queries, beside the baselines.

        Args:
            start, tuned: as `measure` returns them; None for `tuned` describes the starting model alone, None for both
                the weights before and after training on validation alone (it needs `module`).
            data: as `tokenize` returns it.
            settings: the metrics.
            options: `seed`, and by choice `module` (as it was trained, for the validation split), `last` (float64 a
                distinct validation query, of the last weights, if the module was not trained in this process; None: not
                known), `curves` and `seconds`.
        """
        validation = None if options.get("module") is None else self._validated(options["module"])
        if validation is not None and "last" in options:
            validation = replace(validation, last=options["last"])
        told: dict[str, Any] = {
            "main_metric": self.main_metric,
            "direction": self.direction,
            **{name: options.get(name) for name in ("seed", "curves", "seconds")},
        }
        if start is None:
            assert validation is not None, "a report without test needs the module as it was trained"
            return validation_report(validation, data, settings, **told)
        return build_report(start, tuned, data, settings, validation=validation, **told)

    def values(self, start: Measured, tuned: Measured, data: TokenizedData) -> dict[str, Any]:
        """A value a distinct query by metric, of both models, and a hash of each query's text."""
        named = {f"test/{name}/start": start.values(name) for name in start.evaluation.values}
        named.update({f"test/{name}/tuned": tuned.values(name) for name in tuned.evaluation.values})
        return {**named, "test/query_hash": _query_hashes(data, "test")}

    def validation_values(self, module: EmbeddingsFineTuner, data: TokenizedData) -> dict[str, Any]:
        """As `values`, on validation: of the start, of the kept weights (`tuned`) and of the last ones (`last`)."""
        validated = self._validated(module)
        if validated is None:
            return {}
        start, best = validated.start.evaluation.values, validated.best
        named = {f"validation/{name}/start": validated.start.values(name) for name in start}
        named.update({f"validation/{name}/tuned": best.values(name) for name in start})
        if validated.last is not None:
            named[f"validation/{self.main_metric}/last"] = validated.last
        return {**named, "validation/query_hash": _query_hashes(data, "validation")}

    def _validated(self, module: EmbeddingsFineTuner) -> Validated | None:
        validator = module.validator
        if validator is None or validator.start is None or validator.best is None or validator.latest is None:
            return None
        sessions = distinct_queries(validator.evaluator.arrays)[1]
        looks = (validator.start, validator.best, validator.latest)
        start, best, latest = (Measured(of, sessions, validator.precision) for of in looks)
        return Validated(start, best, latest.values(self.main_metric))

    def _planner(
        self, data: TokenizedData, split: str, settings: FineTuningSettings, params: FineTuningParams
    ) -> PairPlanner:
        return PairPlanner(
            data.sessions(data.data.splits[split], settings.confidence_calculator, weigh_events=settings.weigh_events),
            negatives=settings.negatives,
            not_irrelevant_only=params.not_irrelevant_only,
            negative_downsampling=params.negative_downsampling,
        )

    def _mining(
        self, data: TokenizedData, planner: PairPlanner, settings: FineTuningSettings, seed: int, precision: str
    ) -> HardNegativeMining:
        """The callback that mines hard negatives among the training items for the planner of the training batches."""
        assert settings.hard_negatives is not None
        miner = HardNegativeMiner(
            planner.sessions,
            data.queries,
            data.items,
            settings.hard_negatives,
            ranker=settings.ranker,
            sign=settings.rank_sign,
            precision=precision,
            seed=seed,
            parts=data.item_parts(settings),
        )
        return HardNegativeMining(miner, settings.hard_negatives.every_n_epochs, partial(setattr, planner, "mined"))

    def _evaluator(
        self,
        data: TokenizedData,
        split: Literal["validation", "test"],
        settings: FineTuningSettings,
        seed: int,
        extra_items: Any,
    ) -> Evaluator:
        return Evaluator(
            data.evaluation(split),
            data.evaluated_queries,
            data.evaluated_items,
            ranker=settings.ranker,
            sign=settings.rank_sign,
            metrics=settings.metric_calculators,
            seed=seed,
            extra_items=extra_items,
            parts=data.item_parts(settings),
        )


def _query_hashes(data: TokenizedData, split: Literal["validation", "test"]) -> NDArray[np.str_]:
    """str[distinct queries]: what tells whether two runs asked the same queries."""
    rows, _ = distinct_queries(data.evaluation(split))
    texts = data.data.query_texts.texts
    return np.array([hashlib.sha256(texts[row].encode()).hexdigest()[:16] for row in rows])


def _texts_of(data: TokenizedData, split: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """int64[texts] rows of the queries and of the items that an evaluation of a split embeds."""
    look = data.evaluation(split)
    ranked = look.shown_rows if look.pool is None else np.union1d(look.shown_rows, look.pool)
    return np.unique(look.query_rows), np.unique(ranked)
