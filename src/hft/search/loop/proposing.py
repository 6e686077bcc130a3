"""What a sweep tries next: the queue, then the engine, stage after stage, until the budget or the space is used up."""

from __future__ import annotations

from dataclasses import dataclass, field

from hft.search.loop.stages import RunningStage, StagePlan
from hft.search.loop.sweep_record import SweepRecord
from hft.search.specs import Params
from hft.search.trial import Source

# So many answers from the record in a row, and the engine has nothing new to say.
MOST_KNOWN_IN_A_ROW = 200


@dataclass(frozen=True)
class Proposal:
    """Parameters to try.

    Args:
        params: active parameters.
        source: who proposes them.
        given: the engine was handed them.
    """

    params: Params
    source: Source
    given: bool


@dataclass
class Proposing:
    """Goes through the stages of a search.

    Args:
        plan: the stages.
        record: of the sweep, which grows.
    """

    plan: StagePlan
    record: SweepRecord
    stage: RunningStage = field(init=False)

    def __post_init__(self) -> None:
        self._enter(max(self.record.last_stage, self.plan.first))
        if self.stage.engine is not None and not self.record.trials:
            self.stage.engine.made()  # what it cannot search is refused before anything is announced

    def next(self) -> Proposal | str | None:
        """What to try; or why the sweep has ended; or None: what runs must end first, another stage may follow."""
        while True:
            reason = self._end_of_stage()
            proposal = self._propose() if reason is None else None
            if proposal is not None:
                return proposal
            if self.record.running():
                return None
            if self.stage.number >= self.plan.last or self._budget_is_spent():
                return reason or "exhausted"
            self._enter(self.stage.number + 1)

    def _end_of_stage(self) -> str | None:
        stage, record = self.stage, self.record
        spent = stage.budget is not None and record.counted(stage.number) >= stage.budget
        if spent or self._budget_is_spent():
            return "budget"
        if stage.next_queued() is not None:
            return None
        if stage.engine is None:
            return "budget"
        if stage.is_exhausted or record.known_in_a_row(stage.number) >= MOST_KNOWN_IN_A_ROW:
            return "exhausted"
        return "exhausted" if stage.is_tried_whole(record.tried(stage.number)) else None

    def _budget_is_spent(self) -> bool:
        most = self.plan.settings.max_evals
        return most is not None and self.record.counted() >= most

    def _propose(self) -> Proposal | None:
        """From the queue or the engine; None: the engine has nothing left."""
        stage, record = self.stage, self.record
        number = record.next_number
        queued = stage.next_queued()
        given = queued
        if given is None:
            given = stage.untried(record.tried(stage.number), record.known_in_a_row(stage.number), number)
        params = given if stage.engine is None else stage.engine.ask(number, given)
        if params is None:
            stage.is_exhausted = True
            return None
        return Proposal(params, "engine" if queued is None else "enqueued", given is not None)

    def _enter(self, number: int) -> None:
        standing = self.record.standing
        best = next((found for stage in range(number - 1, -1, -1) if (found := standing.best(stage))), None)
        self.stage = self.plan.open(number, self.record.events(number), None if best is None else dict(best.params))
