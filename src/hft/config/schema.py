"""The shape of a config: what stands at the top level, and in nodes that no `_target_` describes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from hft.moments import seconds_of
from hft.search.settings import Direction, Pruner, Stage
from hft.settings import PROMOTION_WINDOW, Bm25Language, ComputeSettings, FineTuningParams, SettingsScalars


def _names_a_target(node: dict[str, Any]) -> dict[str, Any]:
    if "_target_" not in node:
        raise ValueError("a node with a _target_ that names a class or function")
    return node


# What a target takes is checked against its own signature (hft.config.targets), not here.
Target = Annotated[dict[str, Any], AfterValidator(_names_a_target)]


class Node(BaseModel):
    """A node of the config: every key that is not listed is refused."""

    model_config = ConfigDict(extra="forbid", strict=True, protected_namespaces=())


class MetricsNode(Node):
    """What is computed, by a name of one's own, and how series are summarised."""

    calculators: Annotated[dict[str, Target], Field(min_length=1)]
    accumulators: dict[str, list[Literal["last", "mean", "sliding", "min", "max"]]] = {}
    bm25_language: Bm25Language = "auto"


class DataNode(Node):
    """Where sessions and items come from, how they are split, and what evaluation ranks."""

    source: Target
    splitter: Target
    converter: Target | None = None
    clicks: Target
    candidates: Literal["shown", "corpus"]
    batch_id: str | int | None = None
    time_window: Annotated[list[str | int | float | None], Field(min_length=2, max_length=2)] | None = None
    num_batches: Annotated[int, Field(ge=2)] | None = None
    max_quarantined_share: Annotated[float, Field(ge=0.0, le=1.0)] = 0.01
    max_text_length: Annotated[int, Field(ge=1)] | None = 100_000
    no_event_is_irrelevant: bool = False
    validation_pool: Annotated[int, Field(ge=1)] | None = None
    limit_sessions: Annotated[int, Field(ge=1)] | None = None
    limit_items: Annotated[int, Field(ge=1)] | None = None
    train_share: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    fold: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=2, max_length=2)] | None = None
    item_splitter: Target | None = None
    augmentation: Target | None = None

    @field_validator("time_window")
    @classmethod
    def _is_a_window(cls, window: list[str | int | float | None] | None) -> list[str | int | float | None] | None:
        ends = [None if moment is None else seconds_of(moment) for moment in window or ()]
        if len(ends) == 2 and ends[0] is not None and ends[1] is not None and ends[1] <= ends[0]:
            raise ValueError("[from, to) with an end after the start: the start is taken in, the end is not")
        return window


class SearchNode(Node):
    """A search: `space` maps config keys and groups to what each may be; the rest as hft.search.SearchSettings.

    Args:
        folds, seeds: a trial's value is the mean over these.
        reuse: how the trials of the iteration before are used.
        n_top_runs: how many of them.
    """

    space: dict[str, Any] = {}
    metric: str | Annotated[list[str], Field(min_length=1)] | None = None
    direction: Direction | Annotated[list[Direction], Field(min_length=1)] | None = None
    max_evals: Annotated[int, Field(ge=1)] | None = None
    timeout: Annotated[float, Field(gt=0.0)] | None = None
    max_failures: Annotated[int, Field(ge=0)] | None = None
    n_parallel: Annotated[int, Field(ge=1)] = 1
    seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None
    keep_models: Annotated[int, Field(ge=1)] = 1
    algorithm: Literal["tpe", "random", "anneal", "cmaes", "grid", "qmc"] | None = None
    algorithm_options: dict[str, Any] = {}
    pruner: Pruner | None = None
    stages: list[Stage] = []
    folds: Annotated[int, Field(ge=2)] | None = None
    seeds: Annotated[list[Annotated[int, Field(ge=0, lt=2**32)]], Field(min_length=1)] | None = None
    reuse: Literal["none", "replay", "warm_start"] = "none"
    n_top_runs: Annotated[int, Field(ge=1)] = 5


class StoppingNode(Node):
    """When to stop early, on the main metric of the validation split."""

    patience: Annotated[int, Field(ge=1)] | None = None
    min_delta: Annotated[float, Field(ge=0.0)] = 0.0


class CheckpointsNode(Node):
    """How often a run writes what `hft train --resume` goes on from; both null: never."""

    every_seconds: Annotated[float, Field(gt=0.0)] | None = 30.0
    every_n_steps: Annotated[int, Field(ge=1)] | None = None


class TrackingNode(Node):
    """Where runs are tracked."""

    kind: Literal["mlflow", "csv"]
    uri: str | None = None
    log_model: bool = False


class StoresNode(Node):
    """What is kept on disk between epochs, trials, processes and runs. It never changes a result in float32.

    Args:
        folder: of all stores; null keeps nothing.
        disk_budget: GiB of all of them together; what was used least lately goes first.
        data, tokens: whether prepared data and tokens are kept.
        activations: whether what fixed layers give is kept, and with it the vectors of starting models; `auto` asks
            what it would cost and save.
    """

    folder: Annotated[str, Field(min_length=1)] | None = None
    disk_budget: Annotated[float, Field(gt=0.0)] = 20.0
    data: bool = True
    tokens: bool = True
    activations: bool | Literal["auto"] = "auto"


class IterationNode(Node):
    """The round that a run belongs to, and the run whose model it starts from.

    Args:
        name: null: the number after the parent's iteration.
        start_from: a run; `auto`: the champion, else the best run of the last finished iteration; null: none.
    """

    name: Annotated[str, Field(min_length=1)] | None = None
    start_from: str | None = None


class PromotionNode(Node):
    """What a run has to show to become the champion of its method."""

    split: Literal["test"] = "test"
    rule: Literal["superior", "non_inferior"] = "superior"
    margin: Annotated[float, Field(gt=0.0)] | None = None
    alpha: Annotated[float, Field(gt=0.0, lt=0.5)] = 0.05
    window: Annotated[int, Field(ge=1)] = PROMOTION_WINDOW

    @field_validator("margin")
    @classmethod
    def _is_named_where_needed(cls, margin: float | None, info: ValidationInfo) -> float | None:
        if margin is None and info.data.get("rule") == "non_inferior":
            raise ValueError("a number above 0: promotion.rule=non_inferior needs the loss that you would put up with")
        return margin


class TrainConfig(Node):
    """The top level of `conf/train.yaml`."""

    seed: Annotated[int, Field(ge=0, lt=2**32)]
    threads: Annotated[int, Field(ge=1)] | None
    run_name: str | None
    outputs: Annotated[str, Field(min_length=1)]
    params: FineTuningParams
    settings: SettingsScalars
    stopping: StoppingNode
    checkpoints: CheckpointsNode = CheckpointsNode()
    method: Target
    model: Target
    technique: Target
    loss: Target
    ranker: Target
    optimizer: Target
    scheduler: Target
    metrics: MetricsNode
    data: DataNode
    search: SearchNode
    trainer: Target
    tracking: TrackingNode
    iteration: IterationNode
    promotion: PromotionNode = PromotionNode()
    compute: ComputeSettings = ComputeSettings()
    stores: StoresNode = StoresNode()
