"""The sweep loop, once for every engine and every launcher: ask, launch, tell, persist."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from hft.errors import StorageError
from hft.search.engines import make_engine as make_named_engine
from hft.search.engines.engine import MakeEngine
from hft.search.hooks import SweepHooks, SweepState
from hft.search.launching.launcher import Finished, Launcher, TakesParams
from hft.search.loop.journal import Ask, Journal, Tell
from hft.search.loop.outcome_check import checked
from hft.search.loop.proposing import Proposal, Proposing
from hft.search.loop.settings_check import check_settings
from hft.search.loop.stages import ANSWERS_DIFFERENTLY, StagePlan
from hft.search.loop.sweep_folder import Header, past_hash, set_aside, settle_header, sweep_lock
from hft.search.loop.sweep_record import SweepRecord
from hft.search.pruning.intermediate import last_report
from hft.search.settings import SearchSettings
from hft.search.spaces.overrides import override_lines
from hft.search.spaces.space import SearchSpace
from hft.search.specs import Params
from hft.search.trial import Known, Outcome, Trial


class Sweep:
    """A search, or an enumeration, in a folder: begun, or gone on with where it stopped.

    Serial sweeps are repeatable trial by trial, resumed or not. What a kill can cost is the trials in flight: they run
    again under their numbers, their folders renamed `N.interrupted-K`.

    Two hundred trials of a Python function that fails now and then:

        from hft.search import FunctionLauncher, SearchSettings, SearchSpace, Sweep

        def loss(params):
            if params["depth"] > 8:
                raise MemoryError("too deep")
            return (params["x"] - 0.3) ** 2 + params["depth"] / 100

        space = SearchSpace.parse({"x": {"low": 0, "high": 1}, "depth": {"low": 1, "high": 9, "integer": True}})
        settings = SearchSettings(max_evals=200, seed=1)
        state = Sweep("sweeps/loss", space, settings, engine="hyperopt", launcher=FunctionLauncher(loss)).run()
        print(state.best.params, state.best.value)
    """

    def __init__(
        self,
        folder: str | Path,
        space: SearchSpace,
        settings: SearchSettings,
        *,
        engine: str,
        launcher: Launcher,
        hooks: SweepHooks | None = None,
        fixed: Sequence[str] = (),
        queue: Sequence[Params] = (),
        only_queue: bool = False,
        observations: Sequence[tuple[Params, float]] = (),
        is_search: bool = True,
        details: Mapping[str, Any] | None = None,
        make_engine: MakeEngine | None = None,
    ) -> None:
        """
        Args:
            folder: of the sweep; made where it is missing.
            space: what is varied.
            settings: of the search.
            engine: `hyperopt`, `optuna` or `exhaustive`.
            launcher: where trials run. Closed at the end.
            hooks: of the caller.
            fixed: Hydra overrides that every trial gets, before its own.
            queue: parameters that are evaluated first.
            only_queue: nothing else is evaluated.
            observations: past trials, (params, gain), to learn from.
            is_search: False for an enumeration, whose jobs need not return a value.
            details: to be remembered in the header, JSON-able.
            make_engine: instead of the engine of that name.

        Raises:
            ConfigError: the settings contradict each other.
        """
        check_settings(settings)
        self.folder = Path(folder).absolute()
        self._space, self._settings, self._launcher = space, settings, launcher
        self._hooks = hooks or SweepHooks()
        self._fixed, self._is_search = tuple(fixed), is_search
        self._header = Header(
            kind="search" if is_search else "exhaustive",
            engine=engine,
            settings=settings,
            space=space.to_dict(),
            fixed=self._fixed,
            past=past_hash(queue, only_queue, observations),
            details=details or {},
        )
        made = make_engine or partial(make_named_engine, engine)
        self._plan = StagePlan(space, settings, made, tuple(queue), only_queue, observations)
        self._journal, self._record = Journal(self.folder), SweepRecord(settings.signs)
        self._pending: deque[Trial] = deque()  # begun, to be answered or started
        self._twins: list[Trial] = []  # wait for a running trial with the same parameters
        self._running: set[int] = set()
        self._proposing: Proposing
        self._ended: str | None = None
        self._notes: list[str] = []
        self._began, self._before = time.monotonic(), 0.0

    def run(self) -> SweepState:
        """Runs to the end of the budget, the time or the space, and returns how the sweep stands then.

        Raises:
            ConfigError: the folder holds another sweep, or another process runs it.
            StorageError: the disk is full; the journal is whole, and the sweep can go on later.
        """
        try:
            with sweep_lock(self.folder):
                settle_header(self.folder, self._header)
                try:
                    self._open()
                    self._loop()
                finally:
                    self._journal.close()
        finally:
            self._launcher.close()
        return self.state

    @property
    def state(self) -> SweepState:
        """The sweep as it stands."""
        standing = self._record.standing
        stage = standing.stage or 0
        return SweepState(
            folder=self.folder,
            space=self._space,
            settings=self._settings,
            trials=tuple(self._record.trials.values()),
            best=standing.best(stage),
            front=standing.front(stage),
            elapsed=self._elapsed(),
            stage=self._proposing.stage.number,
            ended=self._ended,
            is_search=self._is_search,
            notes=tuple(self._notes),
        )

    def _open(self) -> None:
        events = [
            replace(event, params=self._space.restored(event.params)) if isinstance(event, Ask) else event
            for event in self._journal.open()
        ]
        self._record = SweepRecord.of(events, self._settings.signs)
        self._began, self._before = time.monotonic(), self._record.elapsed
        for trial in self._record.running():
            self._record.trials[trial.number] = again = replace(trial, started=_now())
            self._pending.append(again)
        self._proposing = Proposing(self._plan, self._record)
        if isinstance(self._launcher, TakesParams):
            self._launcher.take(self.folder, self._settings.metric, lambda number: self._record.trials[number].params)

    def _loop(self) -> None:
        try:
            self._hooks.on_start(self.state, resumed=bool(self._record.trials))
            self._fill()
            while self._running:
                ended = [self._finish(finished) for finished in self._launcher.wait()]
                if self._launcher.slots > 1:
                    self._fill()  # no slot waits for what the hooks do; one slot runs nothing before the next `wait`
                for trial in ended:
                    self._hooks.on_trial_end(trial, self.state)
                self._fill()
        except BaseException:
            self._ended = "stopped"
            with suppress(Exception):  # what stopped the sweep is what the caller must hear of
                self._hooks.on_end(self.state)
            raise
        self._hooks.on_end(self.state)

    def _fill(self) -> None:
        """Gives every free slot a trial. With none in flight afterwards, the sweep has ended."""
        self._pending.extendleft(reversed(self._twins))
        self._twins.clear()
        slots = self._launcher.slots
        while len(self._running) < slots and len(self._twins) < slots:
            limit = self._limit()
            if limit is not None:
                self._ended = None if self._running else limit
                return
            trial = self._pending.popleft() if self._pending else self._ask()
            if trial is None:
                return
            self._dispatch(trial)

    def _limit(self) -> str | None:
        """Why nothing more is started, whatever the stage."""
        settings = self._settings
        if settings.max_failures is not None and self._record.n_failed > settings.max_failures:
            return "failures"
        # However short the time, one trial is run: without one there is nothing to tell.
        has_ended = any(trial.state != "running" for trial in self._record.trials.values())
        if settings.timeout is not None and has_ended and self._elapsed() >= settings.timeout:
            return "timeout"
        return None

    def _ask(self) -> Trial | None:
        """A new trial; None: the sweep has ended, or what runs must end first."""
        proposal = self._proposing.next()
        engine = self._proposing.stage.engine
        if engine is not None and engine.differs and ANSWERS_DIFFERENTLY not in self._notes:
            self._notes.append(ANSWERS_DIFFERENTLY)
        if not isinstance(proposal, Proposal):
            self._ended = proposal
            return None
        number, stage = self._record.next_number, self._proposing.stage.number
        event = Ask(number, stage, proposal.params, proposal.source, proposal.given, _now(), self._elapsed())
        self._journal.append(event)
        return self._record.add(event)

    def _dispatch(self, trial: Trial) -> None:
        """Answers a trial from the record, lets it wait for its twin, or starts it."""
        same = self._record.same(trial)
        ended = next((twin for twin in same if twin.state in ("done", "pruned")), None)
        if ended is not None:
            outcome = Outcome(
                "pruned" if ended.state == "pruned" else "done",
                values=ended.values,
                reason=ended.reason,
                folder=ended.folder,
                details=ended.details,
            )
            self._answer(trial, outcome, ended.known_from or f"trial {ended.number}")
            return
        if any(twin.number in self._running for twin in same):
            self._twins.append(trial)
            return
        overrides = [*self._fixed, *override_lines(trial.params), *self._proposing.stage.overrides]
        known = self._hooks.known(trial.params, overrides)
        if known is not None and self._is_usable(known):
            outcome = Outcome("done", values=tuple(map(float, known.values)), folder=known.folder)
            self._answer(trial, outcome, known.source)
            return
        set_aside(self.folder, trial.number)
        self._hooks.on_trial_start(trial, self.state)
        self._running.add(trial.number)
        self._launcher.start(trial.number, overrides)

    def _answer(self, trial: Trial, outcome: Outcome, known_from: str) -> None:
        ended = self._end(trial, outcome, known_from)
        self._hooks.on_trial_end(ended, self.state)

    def _is_usable(self, known: Known) -> bool:
        return checked(Outcome("done", values=known.values), self._settings.metric).state == "done"

    def _finish(self, finished: Finished) -> Trial:
        outcome, number = finished.outcome, finished.number
        self._running.remove(number)
        if isinstance(outcome.error, StorageError):
            # A full disk is no property of the trial, and would end the next one as well: it is asked again later.
            raise outcome.error
        if self._is_search or outcome.values:
            outcome = checked(outcome, self._settings.metric)
        if outcome.state == "pruned" and (last := last_report(self.folder, number)) is not None:
            # Engines rank what was stopped by how far it came.
            step, value = last
            outcome = replace(outcome, values=outcome.values or (value,), details={"step": step, **outcome.details})
        folder = self.folder / str(number)
        if outcome.state == "failed" and outcome.folder is None and folder.is_dir():
            outcome = replace(outcome, folder=str(folder))  # its process ended before it could say where it ran
        # To the millisecond, so that a trial that is read back is the trial that was written.
        return self._end(self._record.trials[number], replace(outcome, seconds=round(outcome.seconds, 3)))

    def _end(self, trial: Trial, outcome: Outcome, known_from: str | None = None) -> Trial:
        # The error holds the frames of the job, and with them all that it worked on: events are kept, it is not.
        kept = replace(outcome, error=None).placed(self.folder)
        event = Tell(trial.number, kept, known_from, self._elapsed())
        self._journal.append(event)
        ended = self._record.add(event)
        if self._proposing.stage.engine is not None:
            self._proposing.stage.engine.tell(trial.number, outcome)
        return ended

    def _elapsed(self) -> float:
        return self._before + time.monotonic() - self._began


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
