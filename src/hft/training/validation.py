"""What a run looks at while it trains: loss and metrics on the validation split."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from hft.losses import FineTuningLoss, pair_health
from hft.settings import FineTuningParams
from hft.training.batching import PairTensors
from hft.training.evaluation import Evaluation, Evaluator, Progress, Vectors, inference
from hft.training.pairs import ExamplesType, PairPlan, PairPlanner
from hft.training.ranks import pair_features, select_pairs
from hft.training.sessions import IntArray


class Validator:
    """Validates a model: each text of the split is embedded once, for the loss and for all metrics.

    The loss is over batches that are the same at every validation.

    Args:
        planner: over the validation sessions.
        batch_size: sessions a batch, as in training, so that the two losses compare.
        seed: of the draws of the plans.
        make_evaluator: from the extra items that the plans need (int64[items]) to the evaluator.
        loss: the run's loss.
        params: the run's parameters.
        precision: Lightning's word for the run's precision.

    Attributes:
        start: results of the starting model, the first that was validated.
        latest: results of the last validation.
        best: results of the weights that are kept so far; see `keep`.
    """

    def __init__(
        self,
        planner: PairPlanner,
        *,
        batch_size: int,
        seed: int,
        make_evaluator: Callable[[IntArray], Evaluator],
        loss: FineTuningLoss,
        params: FineTuningParams,
        precision: str,
    ) -> None:
        self._planner, self._batch_size, self._seed = planner, batch_size, seed
        is_needed = np.zeros(len(planner.sessions.item_keys), dtype=np.bool_)
        for plan in self.plans:
            is_needed[plan.item_rows] = True
        self.evaluator = make_evaluator(np.flatnonzero(is_needed))
        self.loss = loss
        self.params = params
        self.precision = precision
        self.start: Evaluation | None = None
        self.latest: Evaluation | None = None
        self.best: Evaluation | None = None

    @property
    def plans(self) -> Iterator[PairPlan]:
        """The pairs of the split's batches, the same each time: made anew, as those of many sessions fill memory."""
        rows = self._planner.usable_sessions()
        rng = np.random.default_rng([self._seed, 0])
        for at in range(0, len(rows), self._batch_size):
            yield self._planner.plan(rows[at : at + self._batch_size], rng)

    def vectors(self, model: Any, progress: Progress | None = None) -> tuple[Vectors, Vectors]:
        """A model's vectors of the split's queries and of all items that a validation looks at."""
        with inference(model, self.precision):
            return self.evaluator.vectors(model, progress)

    def __call__(
        self, model: Any, progress: Progress | None = None, vectors: tuple[Vectors, Vectors] | None = None
    ) -> dict[str, float]:
        """Means over the split, named `validation_loss`, `validation_ndcg@10`, ... The first call is the start.

        Args:
            model: to validate.
            progress: takes how many more texts are embedded.
            vectors: the model's, where they are known; None embeds the texts.
        """
        queries, items = vectors or self.vectors(model, progress)
        with torch.no_grad():
            evaluation = self.evaluator.evaluate(queries, items, self.start)
            values = {**self._loss(queries, items), **evaluation.means()}
        self.latest = evaluation
        if self.start is None:
            self.start = self.best = evaluation
        return {f"validation_{name}": value for name, value in values.items()}

    def keep(self) -> None:
        """The last validation was of the best weights so far."""
        self.best = self.latest

    def _loss(self, queries: Vectors, items: Vectors) -> dict[str, float]:
        totals: dict[str, list[tuple[float, int]]] = {}
        for plan in self.plans:
            pairs = PairTensors.of(plan).to(queries.vectors.device)
            ranker, sign, parts = self.evaluator.ranker, self.evaluator.sign, self.evaluator.parts
            features = pair_features(
                ranker,
                queries.of(plan.query_rows),
                items.of(self.evaluator.texts_of(plan.item_rows)),
                pairs,
                sign=sign,
                margin=self.params.margin,
                parts=None if parts is None else parts.of(plan.item_rows).to(items.vectors.device),
            )
            kept = select_pairs(features, self.params, ExamplesType.ALL_EXAMPLES)
            if len(kept):
                values = {"loss": float(self.loss(kept)), **pair_health(self.loss, kept)}
                for name, value in values.items():
                    totals.setdefault(name, []).append((value, len(torch.unique(kept.positive_index))))
        return {
            name: float(np.average([value for value, _ in parts], weights=[weight for _, weight in parts]))
            for name, parts in totals.items()
        }
