"""What a search may vary (FineTuningParams), what it holds fixed (FineTuningSettings), and how it is computed.

All are validated here and nowhere else: a config, a tracked run or a dictionary becomes typed values at this
border, and every unknown name is refused.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Ratio = Annotated[float, Field(gt=0.0, le=1.0)]


class FineTuningParams(BaseModel):
    """Hyperparameters of one run: everything that a search may vary.

    Args:
        num_fixed_layers: layers that do not move, counted from the input; with 1 or more the input embeddings
            are fixed as well. 0 trains everything.
        query_lr: learning rate of the query tower. Ignored when the towers are shared.
        items_lr: learning rate of the items tower, and of a shared tower.
        query_weight_decay: decoupled weight decay of the query tower. Ignored when the towers are shared.
        items_weight_decay: decoupled weight decay of the items tower, and of a shared tower.
        margin: by how much a positive's rank should beat a negative's, in units of the ranker. InfoNCE ignores it.
        not_irrelevant_only: train on sessions that are not irrelevant, and on no other.
        negative_downsampling: share of a session's shown negatives that is kept, redrawn each epoch; rounded up,
            so that at least one stays.
        min_abs_difference_threshold: pairs whose ranks differ by less than this are left out of the loss.
        max_abs_difference_threshold: pairs whose ranks differ by more than this are left out; None keeps all.
        examples_order: curriculum over the epochs, codes as in hft.training.pairs.ExamplesType. The epochs are
            divided evenly among the codes, in order.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    num_fixed_layers: Annotated[int, Field(ge=0)] = 0
    query_lr: Annotated[float, Field(ge=0.0, le=1.0)] = 1e-4
    items_lr: Annotated[float, Field(ge=0.0, le=1.0)] = 1e-4
    query_weight_decay: Annotated[float, Field(ge=0.0, le=1.0)] = 0.01
    items_weight_decay: Annotated[float, Field(ge=0.0, le=1.0)] = 0.01
    margin: Annotated[float, Field(ge=0.0)] = 0.02
    not_irrelevant_only: bool = True
    negative_downsampling: Ratio = 1.0
    min_abs_difference_threshold: Annotated[float, Field(ge=0.0)] = 0.0
    max_abs_difference_threshold: Annotated[float, Field(gt=0.0)] | None = None
    examples_order: Annotated[list[Annotated[int, Field(ge=1, le=11)]], Field(min_length=1)] = [11]

    @model_validator(mode="after")
    def _thresholds_leave_room(self) -> FineTuningParams:
        upper = self.max_abs_difference_threshold
        if upper is not None and upper <= self.min_abs_difference_threshold:
            raise ValueError(
                f"max_abs_difference_threshold ({upper}) must exceed "
                f"min_abs_difference_threshold ({self.min_abs_difference_threshold}), or no pair is left"
            )
        return self


# `promotion.window`. Half a year of weekly iterations; docs/statistics.md shows what other lengths promote and miss.
PROMOTION_WINDOW = 26

# `none` leaves words as they are; `auto` asks the texts. The rest are Snowball's languages, as PyStemmer names them.
Bm25Language = Literal[
    "auto", "none", "arabic", "basque", "catalan", "danish", "dutch", "english", "finnish", "french", "german", "greek",
    "hindi", "hungarian", "indonesian", "irish", "italian", "lithuanian", "nepali", "norwegian", "portuguese",
    "romanian", "russian", "serbian", "spanish", "swedish", "tamil", "turkish",
]  # fmt: skip


class HardNegativeSettings(BaseModel):
    """Negatives that the model itself ranks high, mined among the items of the training sessions while it trains.

    Args:
        every_n_epochs: mine anew at the beginning of every so many epochs, the first in. Lower: harder, slower.
        count: negatives for each positive at most, the hardest that pass first.
        ranks: places, from 1, of a query's ranking from which negatives are taken, both in; known positives and their
            near-duplicates have no place. A first place above 1 skips what is likely to be relevant and unseen.
        margin: by how much a negative must rank below the positive, in units of the ranker; 0: below or equal.
        max_ratio: share of the positive's similarity that a negative's may reach at most (of a distance: a positive's
            share of the negative's); None: no such bound.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    every_n_epochs: Annotated[int, Field(ge=1)] = 1
    count: Annotated[int, Field(ge=1)] = 4
    ranks: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=2, max_length=2)] = [1, 50]
    margin: Annotated[float, Field(ge=0.0)] = 0.05
    max_ratio: Ratio | None = None

    @model_validator(mode="after")
    def _ranks_are_a_window(self) -> HardNegativeSettings:
        first, last = self.ranks
        if last < first:
            raise ValueError(f"ranks [{first}, {last}] end before they begin; write [{last}, {first}]")
        return self


class SettingsScalars(BaseModel):
    """The scalars of FineTuningSettings, as they stand under `settings:` in a config.

    Args:
        num_epochs: passes over the training sessions.
        batch_size: sessions an optimizer step (before gradient accumulation).
        step_size: optimizer steps between two decays of `scheduler=step_lr`; other schedulers ignore it.
        gamma: factor of each decay of `scheduler=step_lr`; other schedulers ignore it.
        test_each_n_inputs: validate each time that so many training sessions were seen: a whole number is a
            count, a fraction up to 1.0 a share of the epoch, -1 once an epoch. Rounded to whole batches.
        is_similarity: whether a higher rank is a better one; None asks the ranker.
        negatives: where negatives come from: results shown with the positive and not picked (`shown`), what was
            picked in the other sessions of the batch (`in_batch`), or `both`: then also what they only showed.
        weigh_events: a positive counts in the loss as its event weighs (a purchase 10, a cart 3, a click 1; see
            data.source.event_weights), relative to the mean of the training events, so that rates keep their meaning.
            Where all events weigh the same, nothing changes. False: every event counts the same.
        part_ranks: where items are in parts (`data/item_splitter`): an item's rank is that of its best part (`max`),
            its worst (`min`), their `mean`, or the mean weighted by a `softmax` over them. Without parts ignored.
        part_temperature: of `softmax`, in units of the ranker; towards 0 it is `max`.
        hard_negatives: negatives that the model ranks high join them; None: none do.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    num_epochs: Annotated[int, Field(ge=1)] = 1
    batch_size: Annotated[int, Field(ge=1)] = 32
    step_size: Annotated[int, Field(ge=1)] = 100
    gamma: Annotated[float, Field(gt=0.0, le=1.0)] = 0.9
    test_each_n_inputs: Annotated[int, Field(ge=1)] | Ratio | Literal[-1] = 1.0
    is_similarity: bool | None = None
    negatives: Literal["shown", "in_batch", "both"] = "in_batch"
    weigh_events: bool = True
    part_ranks: Literal["mean", "max", "min", "softmax"] = "max"
    part_temperature: Annotated[float, Field(gt=0.0)] = 0.05
    hard_negatives: HardNegativeSettings | None = None


class FineTuningSettings(SettingsScalars):
    """What a search holds fixed. Joined in Python from the `settings` node and the top-level groups.

    Args:
        loss_func: `loss(FineTuningFeatures) -> scalar`, from the group `loss`.
        metric_calculators: the metrics to compute, from the group `metrics`.
        ranker: gives the rank of (query, item), from the group `ranker`.
        confidence_calculator: how clicks are read as evidence, from the group `data/clicks`: a rule
            (ConfidenceCalculator) or a model that is fitted on the training sessions (ClickModel).
        bm25_language: of the texts, for the stemmer and the stop words of the baseline BM25.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    loss_func: Any
    metric_calculators: tuple[Any, ...]
    ranker: Any
    confidence_calculator: Any
    bm25_language: Bm25Language = "auto"

    @property
    def rank_sign(self) -> float:
        """+1.0 where a higher rank is better (a similarity), -1.0 where a lower one is (a distance)."""
        is_similarity = self.ranker.is_similarity if self.is_similarity is None else self.is_similarity
        return 1.0 if is_similarity else -1.0


class ComputeSettings(BaseModel):
    """How a step is computed. Changes speed and memory; results to rounding only.

    Args:
        token_budget: padded tokens computed at once (a chunk); `auto` asks the memory of the device.
        graph_tokens: padded tokens of a step whose activations are kept for the backward pass; what is beyond is
            computed again there, a chunk at a time, with the same gradients. `auto` asks the memory of the device.
        gradient_checkpointing: keep only each layer's input for the backward pass, and compute the layer again there.
        kernels: `fast` is hft's own forward and backward pass of BERT's layers on a CPU, with kernels in C for bf16
            where there is a C compiler; `torch` the same with torch's operations alone; `reference` the layers as
            transformers has them; `auto` takes the fast one where the architecture has such layers.
        compile: hand the layers to torch.compile (needs a C++ compiler on a CPU); the first steps wait for it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    token_budget: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    graph_tokens: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    gradient_checkpointing: bool = False
    kernels: Literal["auto", "fast", "torch", "reference"] = "auto"
    compile: bool = False
