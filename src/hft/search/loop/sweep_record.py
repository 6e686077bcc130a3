"""A sweep in memory: its events and what follows from them. The same whether just lived through or read back."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from hft.errors import ConfigError
from hft.search.loop.journal import Ask, Event
from hft.search.loop.standing import Standing
from hft.search.spaces.identity import canonical
from hft.search.trial import Trial


@dataclass
class SweepRecord:
    """Trials of a sweep and the counts that decide when it ends.

    Args:
        signs: of each metric.
    """

    signs: tuple[float, ...]
    trials: dict[int, Trial] = field(default_factory=dict)
    standing: Standing = field(init=False)
    elapsed: float = 0.0
    n_failed: int = 0
    _events: dict[int, list[Event]] = field(default_factory=dict, init=False)
    _same: dict[int, dict[str, list[int]]] = field(default_factory=dict, init=False)
    _counted: dict[int, int] = field(default_factory=dict, init=False)
    _known_in_a_row: dict[int, int] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.standing = Standing(self.signs)

    @classmethod
    def of(cls, events: Sequence[Event], signs: tuple[float, ...]) -> SweepRecord:
        """The record that a journal tells of.

        Raises:
            ConfigError: the events contradict each other.
        """
        record = cls(signs)
        for event in events:
            known = event.number in record.trials
            is_running = known and record.trials[event.number].state == "running"
            if (known if isinstance(event, Ask) else not is_running) or event.number < 0:
                raise ConfigError(
                    f"trials.jsonl: trial {event.number} begins or ends twice, or ends without a beginning. The "
                    "journal of a sweep is written by the sweep alone: restore it, or start the sweep in another "
                    "folder (hydra.sweep.dir=FOLDER)."
                )
            record.add(event)
        return record

    def add(self, event: Event) -> Trial:
        """Takes an event in and gives its trial as it stands after it."""
        self.elapsed = max(self.elapsed, event.elapsed)
        if isinstance(event, Ask):
            trial = event.trial()
            same = self._same.setdefault(trial.stage, {})
            same.setdefault(canonical(trial.params), []).append(trial.number)
            self._counted[trial.stage] = self._counted.get(trial.stage, 0) + 1
        else:
            trial = event.end(self.trials[event.number])
            self._end(trial)
        self.trials[trial.number] = trial
        self._events.setdefault(trial.stage, []).append(event)
        return trial

    @property
    def next_number(self) -> int:
        """Of the next trial."""
        return len(self.trials)

    @property
    def last_stage(self) -> int:
        """The last stage that has a trial; 0: there is none."""
        return max((stage for stage, events in self._events.items() if events), default=0)

    def running(self) -> list[Trial]:
        """Trials that were begun and have not ended, by number."""
        return [trial for trial in self.trials.values() if trial.state == "running"]

    def events(self, stage: int) -> list[Event]:
        """Of a stage, in order: the list that grows."""
        return self._events.setdefault(stage, [])

    def counted(self, stage: int | None = None) -> int:
        """Trials that count against the budget, of a stage or in all: those that the record answered do not."""
        return sum(self._counted.values()) if stage is None else self._counted.get(stage, 0)

    def known_in_a_row(self, stage: int) -> int:
        """How many of the stage's last trials the record answered."""
        return self._known_in_a_row.get(stage, 0)

    def same(self, trial: Trial) -> list[Trial]:
        """Other trials of the stage with the same parameters, by number."""
        numbers = self._same.get(trial.stage, {}).get(canonical(trial.params), [])
        return [self.trials[number] for number in numbers if number != trial.number]

    def tried(self, stage: int) -> Collection[str]:
        """Identities of the parameter sets of a stage that were begun."""
        return self._same.get(stage, {}).keys()

    def _end(self, trial: Trial) -> None:
        if trial.known_from is not None:
            self._counted[trial.stage] -= 1
            self._known_in_a_row[trial.stage] = self.known_in_a_row(trial.stage) + 1
        else:
            self._known_in_a_row[trial.stage] = 0
        if trial.state == "failed":
            self.n_failed += 1
        self.standing.add(trial)
