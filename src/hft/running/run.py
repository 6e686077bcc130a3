"""One run while it goes on: its folder, its surroundings, its clock, and what the terminal shows."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import pytorch_lightning as pl
from omegaconf import DictConfig

from hft.config.trained_sources import note_trained
from hft.config.trust import own_classes
from hft.consoles import Console
from hft.experiments import (
    MODEL_NAME,
    PER_QUERY_NAME,
    PICTURES_NAME,
    STEPS_NAME,
    TrackedRun,
    check_tracking,
    discard_unbegun,
    metrics_of_report,
    new_run_folder,
    open_run,
    read_steps,
    resume_command,
    resume_run,
)
from hft.files import atomic_write, storage_errors
from hft.reporting import print_report, save_pictures, write_report
from hft.running.frozen import FrozenLayers, schedule_of
from hft.running.initial import initial_values
from hft.running.kept import store_folder
from hft.running.progress import StepProgress
from hft.running.resumption import as_begun, resumption_in
from hft.running.start import Start
from hft.running.surroundings import Surroundings
from hft.running.trial import Trial, kept_values
from hft.search.trial import TrialPruned
from hft.training.hardware import rounding_of

if TYPE_CHECKING:
    from hft.data import RankingData
    from hft.methods import FineTuningMethod
    from hft.metrics import Report
    from hft.training import Validator

# What a search trial has to say, in its folder.
LOG_NAME = "output.log"
LOG_WIDTH = 120


class Run:
    """A context: what escapes the block is recorded as a failure, Ctrl-C as an interruption.

    Args:
        config: the checked config.
        folder: where the run lands; None makes a new folder under `config.outputs`.
        choices, overrides: for the record, as in hft.train.
        trial: where the run is one of a sweep's. A search trial leaves test alone, draws and prints nothing, and speaks
            into `output.log` of its folder.
        elsewhere: of a run that is resumed: its process, on another machine, has ended.

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
        trial: Trial | None = None,
        elsewhere: bool = False,
    ) -> None:
        self.trial = trial
        self.curves: dict[str, list[tuple[int, float]]] = {}
        self.seconds: dict[str, float] = {}
        self.best_step = 0
        check_tracking(config.tracking)
        self._is_own_folder = folder is None
        self.folder = Path(folder) if folder else new_run_folder(config.outputs, config.method.meta.name)
        self.resumption = resumption_in(self.folder, config, _to_stderr, elsewhere=elsewhere)
        self.config = config = config if self.resumption is None else as_begun(config, self.resumption.record)
        self._applied = ExitStack()
        self.surroundings = Surroundings.of(config, self._log_file() if self.is_search_trial else None)
        self._choices, self._overrides = choices, overrides
        self._start = Start(config, self.surroundings, shares=trial is not None and trial.shares)
        self._tracked: TrackedRun | None = None

    def __enter__(self) -> Run:
        self._applied.enter_context(self.surroundings.applied())
        self.say(f"{self.config.method.meta.name}: {self.folder}")
        if self.resumption is not None:
            self.say(self.resumption.line)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._applied:
            if error is not None and self.is_search_trial:
                self.say(f"{type(error).__name__}: {error}")
            if self._tracked is not None:
                if isinstance(error, TrialPruned):
                    self._tracked.prune(str(error))
                self._tracked.__exit__(kind, error, trace)
                if isinstance(error, KeyboardInterrupt) and self.trial is None:
                    self.say(f"To go on: {resume_command(self.folder)}")
            elif self._is_own_folder:
                discard_unbegun(self.folder)

    @property
    def is_search_trial(self) -> bool:
        """Whether a search judges the run: it looks at validation alone then."""
        return self.trial is not None and self.trial.is_search

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

    def prepare(self, method: FineTuningMethod) -> RankingData:
        """The data of the config, ready for training and evaluation."""
        return self._start.data(method, self.quarantine)

    def starting_model(self) -> Any:
        """The model group's model, or the tuned model of the run that the iteration starts from.

        What comes after it draws random numbers as if nothing had been drawn before.
        """
        return self._start.model()

    def tokenize(self, method: FineTuningMethod, model: Any, data: RankingData) -> Any:
        """The texts of the data as the model's tokens."""
        texts = self._start.tokens(method, model, data)
        for line in getattr(texts, "notes", ()):
            self.say(line)
        return texts

    def begin(self, data: RankingData, model: Any) -> None:
        """Writes the first half of the record, or opens it again. Everything before the first step is known now."""
        for line in data.report.lines():
            self.say(line)
        note_trained(own_classes(self.config))
        declared = self._start.declared
        model.texts = None if declared is None else declared.to_plain()
        hashes = {"data": data.fingerprint(), "base_model": model.fingerprint}
        if self.resumption is None:
            self._tracked = self._open(hashes, data, model)
        else:
            point = self.resumption
            self._tracked = resume_run(
                point.record, self.config, hashes=hashes, step=point.step, rows=point.rows, notify=self.say
            )
            for row in read_steps(self.folder / STEPS_NAME):
                add_to_curves(self.curves, row)
        # Whatever came before, the training draws the same numbers.
        self.surroundings.seed_everything()
        if self._start.parent is None:
            self._tracked.initial_model(model.save)

    def _open(self, hashes: Mapping[str, str], data: RankingData, model: Any) -> TrackedRun:
        return open_run(
            self.config,
            self.folder,
            hashes=hashes,
            precision=self.precision,
            accelerator="gpu" if self.accelerator == "cuda" else self.accelerator,
            choices=self._choices,
            overrides=self._overrides,
            parent=self._start.parent,
            sweep=None if self.trial is None else self.trial.sweep,
            trial=None if self.trial is None else self.trial.number,
            learns_from=data.report.learns_from or None,
            texts=model.texts,
            notify=self.say,
        )

    @property
    def rows_written(self) -> int:
        """Rows of steps.jsonl."""
        assert self._tracked is not None
        return self._tracked.rows_written

    def log(self, row: Mapping[str, float]) -> None:
        """Writes down the values of one step, or of one validation, which are passed on to the tracking store."""
        assert self._tracked is not None
        self._tracked.log(row)
        add_to_curves(self.curves, row)
        if any(name.startswith("validation_") for name in row):
            self._tracked.flush()

    @contextmanager
    def fixed_layers_kept(
        self, method: FineTuningMethod, model: Any, texts: Any, settings: Any, params: Any
    ) -> Iterator[None]:
        """Inside the block what fixed layers give is read where it is kept; what pays is computed and kept first."""
        folder = store_folder(self.config, "activations", self.say)
        with ExitStack() as kept:
            if folder is not None:
                with self.phase("training"):
                    mode, precision = self.config.stores.activations, self.precision
                    hashes = partial(self._start.layer_hashes, model)
                    progress = partial(self.surroundings.text_progress, "fixed layers")
                    layers = FrozenLayers(folder, mode, precision, self.say, hashes, progress)
                    schedule = schedule_of(self.config, texts, self.trial)
                    uses = partial(method.text_uses, texts, settings, params, test=bool(schedule.tests))
                    kept.enter_context(layers.kept(model, uses, schedule))
            yield

    def measure(self, method: FineTuningMethod, model: Any, texts: Any, settings: Any, start: Any = None) -> Any:
        """A model's results on the test split, with a count while its texts are embedded; None in a search trial."""
        if self.is_search_trial:
            return None
        label = "starting model on test" if start is None else "tuned model on test"
        if start is None:
            texts = self._start.tokens_of_start(method, model, texts)
        kept = self._start.vectors_kept(model) if start is None else nullcontext()
        with self.phase("evaluation"), kept, self.surroundings.text_progress(label) as progress:
            return method.measure(
                model,
                texts,
                settings,
                precision=self.precision,
                seed=self.config.seed,
                start=start,
                progress=progress,
            )

    def initial_values(self, method: FineTuningMethod, data: RankingData, settings: Any) -> dict[str, Any]:
        """Per-query values on test of the model that the first iteration began with; see hft.running.initial."""
        with self.phase("evaluation"):
            return initial_values(self.config, method, data, settings, self.surroundings)

    def first_validation(self, validator: Validator, model: Any) -> dict[str, float]:
        """The starting model's validation; trials of one start share its vectors."""
        compute = self.surroundings.compute
        budget = getattr(getattr(model, "budget", None), "token_budget", None)
        rounding = map(str, rounding_of(model.device))
        device = (self.accelerator, self.precision, compute.model_dump_json(), str(budget), *rounding)
        vectors = self._start.validation_vectors(validator, model, *device)
        if vectors is not None or self.is_search_trial:
            return validator(model, vectors=vectors)
        with self._start.vectors_kept(model):
            return validator(model)

    def progress_callbacks(self) -> list[pl.Callback]:
        """A bar over the training steps, where one is wanted."""
        if not self.config.trainer.get("enable_progress_bar", True):
            return []
        return [StepProgress(self.surroundings.console, f"validation_{self.config.method.main_metric}")]

    def finish(self, report: Report, model: Any, values: Mapping[str, Any]) -> None:
        """Writes the tuned model, the report and its pictures, closes the record, and shows the table.

        Of a search trial only the model, the values a query and the record are written.

        Args:
            report: of the method; of a search trial on validation alone.
            model: the tuned model, on the CPU.
            values: per-query arrays by name, for comparisons with other runs.
        """
        assert self._tracked is not None
        found = report.to_dict()
        with self.phase("saving"):
            if self.trial is None or self.trial.keeps_model:
                model.save(self.folder / MODEL_NAME)
            write_values(values, self.folder)
            if report.test:
                write_report_and_pictures(found, self.folder)
        metrics = {**metrics_of_report(found), **kept_values(self.curves, self.best_step)}
        self._tracked.finish(metrics, seconds=self.seconds)
        if report.test:
            print_report(found)
        self.say(f"run: {self.folder}")

    def finish_mean(self, metrics: Mapping[str, float]) -> None:
        """Closes the record of a trial that is the mean of several trainings.

        Args:
            metrics: final values by name.
        """
        assert self._tracked is not None
        self._tracked.finish(metrics, seconds=self.seconds)

    @property
    def run_id(self) -> str | None:
        """Id of the run, once it has begun."""
        return None if self._tracked is None else self._tracked.record.run_id

    def _log_file(self) -> Console:
        with storage_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            file = self._applied.enter_context((self.folder / LOG_NAME).open("a", encoding="utf-8"))
        return Console(file=file, width=LOG_WIDTH)


def write_values(values: Mapping[str, Any], folder: Path) -> None:
    """Writes the values a query: arrays by name."""
    with atomic_write(folder / PER_QUERY_NAME, "wb") as file:
        np.savez_compressed(file, **values)


def write_report_and_pictures(report: Mapping[str, Any], folder: Path) -> None:
    """Writes what a look at test gives, after the values a query.

    Args:
        report: as `Report.to_dict` gives it.
        folder: of the run.
    """
    save_pictures(report, folder / PICTURES_NAME)
    write_report(report, folder)  # last: where it stands, the others do


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr)


def add_to_curves(curves: dict[str, list[tuple[int, float]]], row: Mapping[str, float]) -> None:
    """Adds the values of a row of steps.jsonl to their curves, (step, value) by logged name."""
    for name, value in row.items():
        if name.startswith(("train_", "validation_")) and not math.isnan(value):
            curves.setdefault(name, []).append((int(row["step"]), value))
