"""The contract of a method: a task, its data pipeline and its metrics, declared in one YAML file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

import pytorch_lightning as pl
from pydantic import BaseModel, ConfigDict

from hft.data import RankingData, SessionSource, Splitter
from hft.metrics import Report
from hft.settings import FineTuningParams, FineTuningSettings
from hft.stores import StoreFolder
from hft.training.activations import TextUse

Direction = Literal["maximize", "minimize"]


class PluginMeta(BaseModel):
    """Who a method is: name, version, and one line on what is learned from what.

    Args:
        name: of the method.
        version: of its declaration.
        description: what is learned from what.
        classic_name: under which users of the reference system know it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    version: str = "0.1.0"
    description: str = ""
    classic_name: str | None = None


class FineTuningMethod(ABC):
    """What is learned from what.

    Args:
        meta: name, version and description; a mapping is validated.
        main_metric: the metric, without the name of a split, that stopping, the best weights and a search look
            at on validation.
        direction: whether higher or lower is better.
    """

    ignores: ClassVar[frozenset[str]] = frozenset()

    def __init__(
        self, meta: PluginMeta | dict[str, Any], main_metric: str = "ndcg@10", direction: Direction = "maximize"
    ) -> None:
        self.meta = meta if isinstance(meta, PluginMeta) else PluginMeta.model_validate(dict(meta))
        self.main_metric = main_metric
        self.direction: Direction = direction

    @abstractmethod
    def prepare(self, source: SessionSource, splitter: Splitter, **options: Any) -> RankingData:
        """Reads a source and splits it."""

    @abstractmethod
    def tokenize(self, model: Any, data: RankingData, folder: StoreFolder | None = None) -> Any:
        """The texts of the data as the model's tokens, kept in the folder for later runs; None keeps nothing."""

    def prepare_model(self, model: Any, data: Any) -> None:
        """Gives a model what it needs of the data before anything else is done with it (a tokenizer learnt there).

        Args:
            model: as it was loaded, or a copy of it.
            data: as `tokenize` returned it, for this model or one of the same config.
        """
        return

    def text_uses(
        self, data: Any, settings: FineTuningSettings, params: FineTuningParams, *, test: bool
    ) -> list[TextUse]:
        """The texts that a run embeds, so that what fixed layers give for them can be computed once; none: unknown.

        Args:
            data: as `tokenize` returns it.
            settings, params: as for `build`.
            test: whether the run looks at the test split.
        """
        return []

    @abstractmethod
    def build(
        self, model: Any, data: Any, settings: FineTuningSettings, params: FineTuningParams, **parts: Any
    ) -> pl.LightningModule:
        """A Lightning module with its loaders."""

    @abstractmethod
    def measure(self, model: Any, data: Any, settings: FineTuningSettings, **options: Any) -> Any:
        """A model's results on the test split, a value a query."""

    @abstractmethod
    def evaluate(self, start: Any, tuned: Any, data: Any, settings: FineTuningSettings, **options: Any) -> Report:
        """The report on the starting and the tuned model from what `measure` gave for both.

        Where a search asks, test is not read: `start` is None, and the report is on validation alone.
        """

    @abstractmethod
    def values(self, start: Any, tuned: Any, data: Any) -> dict[str, Any]:
        """Arrays by name (`test/ndcg@10/tuned`, `test/query_hash`): what later comparisons between runs need."""

    def validation_values(self, module: Any, data: Any) -> dict[str, Any]:
        """Arrays by name as of `values` (`validation/ndcg@10/tuned`), of a module as it was trained; here none."""
        return {}
