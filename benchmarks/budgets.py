"""Trainings that end when their time is up: the two sides of quality.py. Not a benchmark itself.

Both make a linear schedule with warm-up over as many steps as a short training has shown to fit into the budget; a
training that is slower than that ends at the end of the step in which its time is up.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl

WARM_UP = 0.1  # share of the steps; of conf/scheduler/linear_warmup.yaml


@dataclass(frozen=True)
class Trained:
    """What a training did.

    Args:
        steps: optimizer steps.
        seconds: from the start of the training loop to the end of its last step.
        rate: steps a second after the first step.
    """

    steps: int
    seconds: float
    rate: float


@dataclass
class Clock:
    """Counts steps until the time is up."""

    budget: float
    steps: int = 0
    started: float = 0.0
    first: float = 0.0
    last: float = 0.0

    def start(self) -> None:
        """The loop begins."""
        self.started = time.perf_counter()

    def step_done(self) -> bool:
        """A step has ended; whether the time is up."""
        self.last = time.perf_counter()
        self.first = self.first or self.last
        self.steps += 1
        return self.last - self.started >= self.budget

    def trained(self) -> Trained:
        """What was counted."""
        rate = (self.steps - 1) / (self.last - self.first) if self.steps > 1 else 1.0 / (self.last - self.started)
        return Trained(self.steps, self.last - self.started, rate)


clock = Clock(0.0)  # of this process; the config names the callback, and cannot hold its clock


class Budget(pl.Callback):
    """Ends hft's training when the time of this module's clock is up."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """The loop begins."""
        clock.start()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """A step has ended."""
        trainer.should_stop = clock.step_done() or trainer.should_stop


def train_hft(overrides: list[str], budget: float, max_steps: int, folder: Path) -> Trained:
    """Trains for so many seconds or steps as a trial of a search does, which leaves the test split alone.

    The tuned model lies in `folder`/model: the weights after the last step, or the starting ones where those are better
    on validation.
    """
    import hft
    from hft.running import Trial

    clock.budget = budget
    more = [
        "settings.num_epochs=1000",
        f"trainer.max_steps={max_steps}",
        "settings.test_each_n_inputs=1000000000",  # one validation, when the time is up
        "stopping.patience=null",
        "tracking=csv",
        "+trainer.enable_checkpointing=false",
        "trainer.enable_progress_bar=false",
        f"outputs='{folder.parent / 'outputs'}'",
        "+trainer.callbacks=[{_target_: budgets.Budget}]",
    ]
    hft.train(hft.compose([*overrides, *more]), folder=folder, trial=Trial(shares=False))
    return clock.trained()


def train_sentence_transformers(
    overrides: list[str],
    budget: float,
    max_steps: int,
    folder: Path,
    *,
    model: str,
    max_length: int,
    batch_size: int,
    rate: float,
    negatives: int,
    bf16: bool,
) -> Trained:
    """SentenceTransformerTrainer on what hft would train on; the tuned model lies in `folder`/model.

    MultipleNegativesRankingLoss with in-batch negatives (and `negatives` shown ones that were not picked), batches
    without duplicates, as its documentation advises; AdamW, linear schedule with warm-up.
    """
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
    from transformers import TrainerCallback

    own = Clock(budget)

    class Ending(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            own.start()

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            control.should_training_stop = own.step_done() or control.should_training_stop

    encoder = SentenceTransformer(model, device="cpu", local_files_only=True)
    encoder.max_seq_length = max_length
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(folder / "trainer"),
        per_device_train_batch_size=batch_size,
        learning_rate=rate,
        weight_decay=0.01,
        warmup_steps=WARM_UP,
        max_steps=max_steps,
        bf16=bf16,
        use_cpu=True,
        batch_sampler="no_duplicates",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    SentenceTransformerTrainer(
        model=encoder,
        args=arguments,
        train_dataset=Dataset.from_dict(picked_pairs(overrides, negatives)),
        loss=MultipleNegativesRankingLoss(encoder),
        callbacks=[Ending()],
    ).train()
    encoder.save_pretrained(str(folder / "model"))
    return own.trained()


def picked_pairs(overrides: list[str], negatives: int) -> dict[str, list[str]]:
    """Columns query, positive, negative_1, ...: each distinct pair of the training split of hft's prepared data.

    Args:
        overrides: of the request to hft.
        negatives: results shown and not picked beside each pair, drawn at random; sessions with fewer are left out.
    """
    from hydra.utils import instantiate

    import hft
    from hft.running import data_options

    config = hft.compose(overrides)
    source, splitter = instantiate(config.data.source), instantiate(config.data.splitter)
    data = instantiate(config.method).prepare(source, splitter, **data_options(config, None))
    texts, train, rng = data.items.texts, data.train, np.random.default_rng(config.seed)
    columns: dict[str, list[str]] = {"query": [], "positive": []}
    columns.update({f"negative_{number}": [] for number in range(1, negatives + 1)})
    seen = set()
    for query, first, last in zip(train.queries, train.offsets[:-1], train.offsets[1:], strict=True):
        results, events = train.flat_results[first:last], train.flat_events[first:last]
        passed_over = results[events <= 0]
        for item in results[events > 0]:
            if len(passed_over) < negatives or (query, item) in seen:
                continue
            seen.add((query, item))
            row = [query, texts[item], *(texts[n] for n in rng.choice(passed_over, negatives, replace=False))]
            for column, text in zip(columns.values(), row, strict=True):
                column.append(text)
    return columns


def ndcg(overrides: list[str], model: Path, tuned: Path | None, outputs: Path, max_length: int) -> dict[str, Any]:
    """NDCG@10 over the test split by hft's evaluation of models in folders.

    Args:
        overrides: of the request to hft: the data.
        model: `start` of what is returned; one that either side saved.
        tuned: `tuned` of it, compared with the first query by query: one that hft saved; None measures `model` alone.
        outputs: folder for malformed lines.
        max_length: tokens a text.
    """
    import hft
    from hft.evaluate import evaluate

    start = ["model=local", f"model.source='{model}'", f"model.max_length={max_length}", f"outputs='{outputs}'"]
    return dict(evaluate(hft.compose([*overrides, *start]), tuned).to_dict()["test"]["ndcg@10"])
