"""A stage of a search as it runs: its space, budget, queue, and an engine of its own that lives its journal again."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from hft.search.engines.engine import Engine, MakeEngine
from hft.search.loop.journal import Ask, Event
from hft.search.settings import SearchSettings
from hft.search.spaces.identity import canonical
from hft.search.spaces.space import SearchSpace
from hft.search.specs import Params
from hft.search.trial import Outcome

# An engine that proposes only what was tried already is passed over where the space can be listed.
_PATIENCE_WITH_KNOWN = 5
_MOST_POINTS_LISTED = 10_000

ANSWERS_DIFFERENTLY = (
    "The engine does not answer as it did when this sweep began (another version of its library?). The recorded "
    "trials are kept; what comes next is not what an uninterrupted sweep would have asked for."
)

Observations = Sequence[tuple[Params, float]]


@dataclass
class ReplayedEngine:
    """An engine that is made when it is first asked, and then repeats what the journal says it was asked and told.

    Args:
        make: the engine, new.
        events: of the stage, a list that the sweep goes on to append to.
    """

    make: Callable[[], Engine]
    events: list[Event]
    differs: bool = field(default=False, init=False)
    _engine: Engine | None = field(default=None, init=False)

    def made(self) -> Engine:
        """The engine, made now if it was not.

        Raises:
            ConfigError: the settings or the space are not for it.
        """
        if self._engine is None:
            self._engine = self.make()
            for event in self.events:
                self._repeat(self._engine, event)
        return self._engine

    def ask(self, number: int, params: Params | None = None) -> Params | None:
        """As `Engine.ask`."""
        engine = self.made()
        answer = engine.ask(number) if params is None else engine.ask(number, params=dict(params))
        return None if answer is None else dict(answer)

    def tell(self, number: int, outcome: Outcome) -> None:
        """As `Engine.tell`; an engine that was not made yet will find it among the events."""
        if self._engine is not None:
            self._engine.tell(number, outcome)

    def _repeat(self, engine: Engine, event: Event) -> None:
        if not isinstance(event, Ask):
            engine.tell(event.number, event.outcome)
            return
        if not event.given and not self.differs:
            answer = engine.ask(event.number)
            if answer is not None and canonical(answer) == canonical(event.params):
                return
            self.differs = True
        engine.ask(event.number, params=dict(event.params))


@dataclass
class RunningStage:
    """A stage.

    Args:
        number: from 0.
        space: its own.
        overrides: of its trials, after their own.
        queue: evaluated first.
        budget: trials; None: as many as the search may have.
        seed: of its engine.
        engine: None: nothing but the queue is evaluated.
        events: of the stage.
    """

    number: int
    space: SearchSpace
    overrides: tuple[str, ...]
    queue: tuple[Params, ...]
    budget: int | None
    seed: int
    engine: ReplayedEngine | None
    events: list[Event]
    is_exhausted: bool = False

    def next_queued(self) -> Params | None:
        """What stands first in the queue and was not begun yet."""
        if not self.queue:
            return None
        begun = sum(isinstance(event, Ask) and event.source == "enqueued" for event in self.events)
        return dict(self.queue[begun]) if begun < len(self.queue) else None

    def is_tried_whole(self, tried: Collection[str]) -> bool:
        """Whether every point of the space was begun.

        Args:
            tried: identities of parameter sets.
        """
        size = self.space.size
        if size is None or len(tried) < size:
            return False
        return size > _MOST_POINTS_LISTED or all(canonical(point) in tried for point in self.space.points())

    def untried(self, tried: Collection[str], known_in_a_row: int, number: int) -> Params | None:
        """A point that was never begun, drawn by the seed, once the engine has repeated itself for too long.

        Args:
            tried: identities of parameter sets.
            known_in_a_row: how many of its last answers were known.
            number: of the trial.
        """
        size = self.space.size
        if known_in_a_row < _PATIENCE_WITH_KNOWN or size is None or size > _MOST_POINTS_LISTED:
            return None
        points = [point for point in self.space.points() if canonical(point) not in tried]
        return random.Random(f"{self.seed}/{number}").choice(points) if points else None


@dataclass(frozen=True)
class StagePlan:
    """How the stages of a search follow each other.

    Args:
        space: of the search.
        settings: of the search.
        make_engine: from a space and settings.
        queue: evaluated first in the first stage; with `only_queue` in the last, whose values are the search's.
        only_queue: nothing else is evaluated.
        observations: past trials to learn from; those outside of a stage's space say nothing to it.
    """

    space: SearchSpace
    settings: SearchSettings
    make_engine: MakeEngine
    queue: tuple[Params, ...] = ()
    only_queue: bool = False
    observations: Observations = ()

    @property
    def first(self) -> int:
        """Number of the stage that comes first."""
        return self.last if self.only_queue else 0

    @property
    def last(self) -> int:
        """Number of the last stage."""
        return max(len(self.settings.stages) - 1, 0)

    def open(self, number: int, events: list[Event], best: Params | None) -> RunningStage:
        """A stage.

        Args:
            number: of the stage.
            events: of the stage so far.
            best: parameters of the best trial of the stages before.
        """
        stage = self.settings.stages[number] if self.settings.stages else None
        space, queue = self.space, self.queue if number == self.first else ()
        if stage is not None and stage.around_best is not None and best is not None and not self.only_queue:
            space = space.narrowed(best, stage.around_best)
            queue = (best, *queue) if space.contains(best) else queue
        seed = stage_seed(self.settings.seed, number)
        return RunningStage(
            number=number,
            space=space,
            overrides=() if stage is None else tuple(stage.overrides),
            queue=queue,
            budget=None if stage is None else stage.max_evals,
            seed=seed,
            engine=None if self.only_queue else ReplayedEngine(lambda: self._engine(space, seed), events),
            events=events,
        )

    def _engine(self, space: SearchSpace, seed: int) -> Engine:
        engine = self.make_engine(space, self.settings.model_copy(update={"seed": seed}))
        if self.observations:
            within = [(space.active(params), gain) for params, gain in self.observations]
            engine.observe([(params, gain) for params, gain in within if space.contains(params)])
        return engine


def stage_seed(seed: int, number: int) -> int:
    """The seed of a stage's engine: the search's own for the first, others derived, below 2**32."""
    if number == 0:
        return seed
    return int(hashlib.sha256(f"{seed}/stage/{number}".encode()).hexdigest()[:8], 16)
