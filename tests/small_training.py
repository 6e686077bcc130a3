"""Real trainings in a fraction of a second: a two-layer BERT, a few dozen sessions, Lightning's Trainer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from omegaconf import OmegaConf

from hft.data import FineTuningInputs, ItemsSet, RankingData
from hft.data.report import PreparationReport
from hft.losses import InfoNCELoss
from hft.methods import EmbeddingsMethod
from hft.metrics import NDCG
from hft.models import CosineRanker, TextEmbeddingModel, load_text_model
from hft.running.fitting import fit
from hft.running.quiet import quiet_lightning
from hft.settings import FineTuningParams, FineTuningSettings
from hft.techniques import FullFineTuning
from hft.training import EmbeddingsFineTuner

NOUNS = ("server", "film", "path", "number", "list", "cinema", "message", "file", "answer", "night")
KINDS = ("absolute", "last", "smallest", "largest", "sorted", "shown", "waiting", "first")
NUM_ITEMS = len(NOUNS) * len(KINDS)
RESULTS = 5
SESSIONS = {"train": 20, "validation": 8, "test": 8}


def all_confident(events: Any, offsets: Any) -> Any:
    """Confidence 1 for every result."""
    return np.ones(len(events), dtype=np.float32)


def small_data(
    *, candidates: str = "shown", irrelevant: int = 0, sizes: Mapping[str, int] = SESSIONS, seed: int = 0
) -> RankingData:
    """Sessions of five results; the first one or two of the drawn items are picked.

    Args:
        candidates: as in RankingData.
        irrelevant: every so many sessions one is flagged as irrelevant; 0: none is.
        sizes: sessions of each split.
        seed: of the draw of results.
    """
    texts = [f"the {kind} {noun} of the {kind} {NOUNS[(n + 3) % 10]}" for n, noun in enumerate(NOUNS) for kind in KINDS]
    items = ItemsSet.from_columns([f"i{row}" for row in range(len(texts))], texts)
    rng = np.random.default_rng(seed)
    splits = {name: _sessions(name, size, items, irrelevant, rng) for name, size in sizes.items()}
    everything = np.arange(len(items), dtype=np.int32)
    pools = {"validation": everything[::2], "test": everything} if candidates == "corpus" else {}
    report = PreparationReport(items=len(items), read={}, quarantined={}, reasons={}, dropped={}, splits={})
    return RankingData(items=items, candidates=candidates, pools=pools, report=report, **splits)  # type: ignore[arg-type]


def _sessions(split: str, size: int, items: ItemsSet, irrelevant: int, rng: np.random.Generator) -> FineTuningInputs:
    results = np.concatenate([rng.choice(len(items), RESULTS, replace=False) for _ in range(size)])
    events = np.zeros((size, RESULTS), dtype=np.float32)
    events[:, 0] = 1.0
    events[::3, 2] = 2.0
    flags = [bool(irrelevant) and row % irrelevant == irrelevant - 1 for row in range(size)]
    events[flags] = 0.0
    offset = {"train": 0, "validation": 3, "test": 6}[split]
    return FineTuningInputs.from_columns(
        items,
        [f"{split}{row}" for row in range(size)],
        [f"{split} {NOUNS[(row + offset) % 10]} {KINDS[(row * 3 + offset) % 8]} {row}" for row in range(size)],
        offsets=np.arange(size + 1, dtype=np.int64) * RESULTS,
        results=results.astype(np.int32),
        events=events.reshape(-1),
        is_irrelevant=flags,
    )


def settings_with(**changes: Any) -> FineTuningSettings:
    """Settings of a small training: batches of five sessions, shown negatives, InfoNCE over cosines."""
    defaults: dict[str, Any] = {
        "loss_func": InfoNCELoss(),
        "metric_calculators": (NDCG(k=10),),
        "ranker": CosineRanker(),
        "confidence_calculator": all_confident,
        "batch_size": 5,
        "negatives": "shown",
    }
    return FineTuningSettings(**{**defaults, **changes})


def params_with(**changes: Any) -> FineTuningParams:
    """Params of a small training: rates at which two epochs move a tiny model visibly."""
    return FineTuningParams(**{"query_lr": 1e-3, "items_lr": 1e-3, "margin": 0.2, **changes})


@dataclass
class SmallRun:
    """Stands where hft.running.run.Run stands: a folder and a list of the rows that a run would write down."""

    folder: Path
    rows: list[dict[str, float]] = field(default_factory=list)
    callbacks: list[pl.Callback] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    accelerator: str = "cpu"
    precision: str = "32-true"
    best_step: int = -1
    trial: Any = None
    is_search_trial: bool = False

    @property
    def rows_written(self) -> int:
        return len(self.rows)

    def say(self, line: str) -> None:
        self.said.append(line)

    def log(self, row: Mapping[str, float]) -> None:
        self.rows.append(dict(row))

    def first_validation(self, validator: Any, model: Any) -> dict[str, float]:
        found: dict[str, float] = validator(model)
        return found

    def progress_callbacks(self) -> list[pl.Callback]:
        return self.callbacks


class WeightsAfterSteps(pl.Callback):
    """Keeps a copy of the model's weights after each step."""

    def __init__(self) -> None:
        self.weights: dict[int, dict[str, torch.Tensor]] = {}

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *args: Any) -> None:
        self.weights[trainer.global_step] = copy_of(pl_module.model)


def copy_of(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """A copy of the weights, by name."""
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(first: Mapping[str, torch.Tensor], second: Mapping[str, torch.Tensor]) -> bool:
    """Whether two sets of weights are equal to the last bit."""
    return set(first) == set(second) and all(torch.equal(value, second[name]) for name, value in first.items())


@dataclass
class Training:
    """What a small training leaves.

    Args:
        module: with the weights that were kept.
        run: with the rows written.
        start: the weights before step 1.
        after: the weights after each step.
    """

    module: EmbeddingsFineTuner
    run: SmallRun
    start: dict[str, torch.Tensor]
    after: dict[int, dict[str, torch.Tensor]]

    @property
    def weights(self) -> dict[str, torch.Tensor]:
        return dict(self.module.model.state_dict())

    def series(self, name: str) -> list[float]:
        """The values of a logged name, in order."""
        return [row[name] for row in self.run.rows if name in row]

    @property
    def last(self) -> dict[str, torch.Tensor]:
        """The weights after the last step."""
        return self.after[max(self.after)]

    def moved(self) -> set[str]:
        """Names of the weights that the steps changed."""
        return {name for name, value in self.last.items() if not torch.equal(value, self.start[name])}


def small_model(folder: Path, params: FineTuningParams | None = None, **options: Any) -> TextEmbeddingModel:
    """The tiny BERT of a folder, its first layers fixed as the params say."""
    model = load_text_model(str(folder), **{"dropout": 0.0, **options})
    FullFineTuning().apply(model, params or params_with())
    return model


def build_small(
    folder: Path,
    *,
    params: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    model: Mapping[str, Any] | None = None,
    data: RankingData | None = None,
    optimizer: Callable[..., Any] = torch.optim.AdamW,
    scheduler: Callable[..., Any] | None = None,
    seed: int = 0,
    precision: str = "32-true",
) -> EmbeddingsFineTuner:
    """A module ready to be trained."""
    pl.seed_everything(seed, verbose=False)
    chosen = params_with(**(params or {}))
    method = EmbeddingsMethod({"name": "small"})
    towers = small_model(folder, chosen, **(model or {}))
    texts = method.tokenize(towers, data or small_data())
    return method.build(
        towers,
        texts,
        settings_with(**(settings or {})),
        chosen,
        optimizer=optimizer,
        scheduler=scheduler,
        precision=precision,
        seed=seed,
    )


def fit_small(
    module: EmbeddingsFineTuner,
    folder: Path,
    *,
    trainer: Mapping[str, Any] | None = None,
    patience: int | None = None,
    main_metric: str = "ndcg@10",
    direction: Any = "maximize",
    accumulators: Mapping[str, list[str]] | None = None,
    callbacks: list[pl.Callback] | None = None,
    checkpoint: Path | None = None,
    run: SmallRun | None = None,
    each_steps: int | None = None,
) -> Training:
    """Trains a module with hft.running.fitting, as hft.train does."""
    quiet_lightning()
    arguments = {
        "_target_": "pytorch_lightning.Trainer",
        "_partial_": True,
        "max_epochs": module.settings.num_epochs,
        "enable_checkpointing": False,
        **(trainer or {}),
    }
    config = OmegaConf.create(
        {
            "trainer": arguments,
            "stopping": {"patience": patience, "min_delta": 0.0},
            "metrics": {"accumulators": dict(accumulators or {})},
            "checkpoints": {"every_seconds": None, "every_n_steps": each_steps},
        }
    )
    method = EmbeddingsMethod({"name": "small"}, main_metric, direction)
    start, after = copy_of(module.model), WeightsAfterSteps()
    small_run = run or SmallRun(folder)
    small_run.callbacks.extend([after, *(callbacks or [])])
    fit(module, method, config, small_run, checkpoint)  # type: ignore[arg-type]
    return Training(module, small_run, start, after.weights)


def train_small(folder: Path, into: Path, *, fitting: Mapping[str, Any] | None = None, **building: Any) -> Training:
    """Builds and trains; `building` as in build_small, `fitting` as in fit_small."""
    return fit_small(build_small(folder, **building), into, **(fitting or {}))


make_sgd = partial(torch.optim.SGD, momentum=0.0)
