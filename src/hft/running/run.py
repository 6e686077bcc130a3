"""One run while it goes on: its folder, its surroundings, its clock, and what the terminal shows."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import pytorch_lightning as pl
from omegaconf import DictConfig

from hft.experiments import (
    MODEL_NAME,
    PER_QUERY_NAME,
    PICTURES_NAME,
    TrackedRun,
    check_tracking,
    discard_unbegun,
    metrics_of_report,
    new_run_folder,
    open_run,
)
from hft.files import atomic_write
from hft.reporting import print_report, save_pictures, write_report
from hft.running.assembly import starting_model
from hft.running.progress import StepProgress
from hft.running.surroundings import Surroundings

if TYPE_CHECKING:
    from hft.data import RankingData
    from hft.methods import FineTuningMethod
    from hft.metrics import Report


class Run:
    """A context: what escapes the block is recorded as a failure, Ctrl-C as an interruption.

    Args:
        config: the checked config.
        folder: where the run lands; None makes a new folder under `config.outputs`.
        choices, overrides: for the record, as in hft.train.

    Attributes:
        folder: the run's folder.
        surroundings: device, precision, threads, seed.
        curves: (step, value) by logged name.
        seconds: wall time by phase.
        best_step: step of the weights that were kept; 0 where no validation beat the start.
    """

    def __init__(
        self,
        config: DictConfig,
        folder: str | Path | None = None,
        *,
        choices: Mapping[str, Any] | None = None,
        overrides: Sequence[str] | None = None,
    ) -> None:
        self.config = config
        self.curves: dict[str, list[tuple[int, float]]] = {}
        self.seconds: dict[str, float] = {}
        self.best_step = 0
        check_tracking(config.tracking)
        self.surroundings = Surroundings.of(config)
        self._is_own_folder = folder is None
        self.folder = Path(folder) if folder else new_run_folder(config.outputs, config.method.meta.name)
        self._choices, self._overrides = choices, overrides
        self._parent: str | None = None
        self._tracked: TrackedRun | None = None
        self._applied = ExitStack()

    def __enter__(self) -> Run:
        self._applied.enter_context(self.surroundings.applied())
        self.say(f"{self.config.method.meta.name}: {self.folder}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._applied:
            if self._tracked is not None:
                self._tracked.__exit__(kind, error, trace)
            elif self._is_own_folder:
                discard_unbegun(self.folder)

    @property
    def accelerator(self) -> str:
        """`cpu` or `cuda`."""
        return self.surroundings.accelerator

    @property
    def precision(self) -> str:
        """Lightning's word, `auto` resolved."""
        return self.surroundings.precision

    def say(self, line: str) -> None:
        """A line for the person who waits."""
        self.surroundings.say(line)

    @property
    def quarantine(self) -> Path:
        """Where malformed lines of the data are kept."""
        return self.folder / "quarantine.jsonl"

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Counts the wall time of a phase; phases of one name add up."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - started, 3)

    def starting_model(self) -> Any:
        """The model group's model, or the tuned model of the run that the iteration starts from."""
        model, parent = starting_model(self.config)
        self._parent = None if parent is None else parent.run_id
        return model

    def begin(self, data: RankingData, model: Any) -> None:
        """Writes the first half of the record. Everything before the first step is known now."""
        for line in data.report.lines():
            self.say(line)
        self._tracked = open_run(
            self.config,
            self.folder,
            data_hash=data.fingerprint(),
            base_model_hash=model.fingerprint,
            precision=self.precision,
            accelerator="gpu" if self.accelerator == "cuda" else self.accelerator,
            choices=self._choices,
            overrides=self._overrides,
            parent=self._parent,
            notify=self.say,
        )
        if self._parent is None:
            self._tracked.initial_model(model.save)

    def log(self, row: Mapping[str, float]) -> None:
        """Writes down the values of one step, or of one validation, which are passed on to the tracking store."""
        assert self._tracked is not None
        self._tracked.log(row)
        for name, value in row.items():
            if name.startswith(("train_", "validation_")) and not math.isnan(value):
                self.curves.setdefault(name, []).append((int(row["step"]), value))
        if any(name.startswith("validation_") for name in row):
            self._tracked.flush()

    def measure(self, method: FineTuningMethod, model: Any, texts: Any, settings: Any, start: Any = None) -> Any:
        """A model's results on the test split, with a count while its texts are embedded."""
        label = "starting model on test" if start is None else "tuned model on test"
        with self.surroundings.text_progress(label) as progress:
            return method.measure(
                model,
                texts,
                settings,
                precision=self.precision,
                seed=self.config.seed,
                start=start,
                progress=progress,
            )

    def progress_callbacks(self) -> list[pl.Callback]:
        """A bar over the training steps, where one is wanted."""
        if not self.config.trainer.get("enable_progress_bar", True):
            return []
        return [StepProgress(self.surroundings.console, f"validation_{self.config.method.main_metric}")]

    def finish(self, report: Report, model: Any, values: Mapping[str, Any]) -> None:
        """Writes the tuned model, the report and its pictures, closes the record, and shows the table.

        Args:
            report: of the method.
            model: the tuned model, on the CPU.
            values: per-query arrays by name, for comparisons with other runs.
        """
        assert self._tracked is not None
        with self.phase("saving"):
            model.save(self.folder / MODEL_NAME)
            found = report.to_dict()
            write_report(found, self.folder)
            save_pictures(found, self.folder / PICTURES_NAME)
            with atomic_write(self.folder / PER_QUERY_NAME, "wb") as file:
                np.savez_compressed(file, **values)
        self._tracked.finish(metrics_of_report(found), seconds=self.seconds)
        print_report(found)
        self.say(f"run: {self.folder}")
