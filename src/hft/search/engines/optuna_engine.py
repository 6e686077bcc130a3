"""Optuna's algorithms by ask and tell, over a study in memory: TPE, CMA-ES, NSGA-II, random search, QMC."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from hft.search.engines.encoding import Encoding, is_active
from hft.search.engines.options import algorithm_of, checked_options, signs_of
from hft.search.engines.optuna_axes import distribution_of, from_optuna, suggested_by, to_optuna
from hft.search.engines.optuna_samplers import make_sampler, quiet_optuna
from hft.search.engines.past_trials import PastTrial, past_trials
from hft.search.engines.proposals import NewProposals, seed_of
from hft.search.engines.ranks import union_of_iterations
from hft.search.settings import SearchSettings
from hft.search.spaces.space import SearchSpace
from hft.search.specs import Params
from hft.search.trial import Outcome

# Samplers that hold nothing between proposals get a seed of their own for each; the others go on from trial to trial.
WITHOUT_MEMORY = ("tpe", "random")


@dataclass
class _Record:
    """A trial as told, to build a study from anew."""

    held: dict[str, Any]
    state: TrialState = TrialState.RUNNING
    losses: list[float] = field(default_factory=list)
    reported: dict[int, float] = field(default_factory=dict)


class OptunaEngine:
    """One of Optuna's algorithms over a space. Categories are held as positions, so that values may be anything."""

    def __init__(self, space: SearchSpace, settings: SearchSettings) -> None:
        """Take a space and settings.

        Raises:
            ConfigError: another engine's algorithm, an unknown option, a space that the algorithm cannot search.
        """
        self._space = space
        self._settings = settings
        self._algorithm = algorithm_of("optuna", settings)
        self._options = checked_options("optuna", settings)
        self._signs = signs_of("optuna", self._algorithm, settings)
        self._encoding = Encoding(space)
        self._distributions = {key: distribution_of(axis) for key, axis in self._encoding.axes.items()}
        self._proposals = NewProposals(space, settings.seed)
        self._past: list[PastTrial] = []
        self._records: dict[int, _Record] = {}
        self._trials: dict[int, Trial] = {}
        with quiet_optuna():
            self._sampler = self._make_sampler(seed_of(settings.seed, 0))
            self._study = self._new_study()

    def ask(self, number: int, params: Params | None = None) -> Params:
        """Parameters of a trial; see `Engine.ask`. Never None."""
        with quiet_optuna():
            if self._past:
                self._study = self._study_of_ranks()
            if params is not None:
                trial = self._given(params)
            elif self._algorithm in WITHOUT_MEMORY:
                trial, params = self._proposed_anew(number)
            else:
                trial, params = self._proposed_by(self._sampler)
        self._trials[number] = trial
        self._records[number] = _Record(dict(trial.params))
        self._proposals.note(params)
        return dict(params)

    def tell(self, number: int, outcome: Outcome) -> None:
        """What came of a trial; see `Engine.tell`. Values that are not finite, or not one a metric, are a failure."""
        record = self._records[number]
        is_whole = len(outcome.values) == len(self._signs) and all(math.isfinite(value) for value in outcome.values)
        losses = [sign * value for sign, value in zip(self._signs, outcome.values, strict=True)] if is_whole else []
        if outcome.state == "pruned":
            record.state = TrialState.PRUNED
            # Optuna keeps no intermediate values of several metrics.
            if len(losses) == 1:
                record.reported = {_step_of(outcome): losses[0]}
        elif outcome.state == "done" and is_whole:
            record.state, record.losses = TrialState.COMPLETE, losses
        else:
            record.state = TrialState.FAIL
        if not self._past:
            self._tell_study(self._trials[number], record)

    def observe(self, observations: Sequence[tuple[Params, float]]) -> None:
        """Past trials to learn from; see `Engine.observe`."""
        self._past = past_trials("optuna", self._algorithm, len(self._signs), self._encoding, observations)

    def _make_sampler(self, seed: int) -> BaseSampler:
        return make_sampler(self._algorithm, self._options, self._space, self._encoding, len(self._signs), seed)

    def _new_study(self) -> optuna.Study:
        return optuna.create_study(directions=["minimize"] * len(self._signs), sampler=self._sampler)

    def _given(self, params: Params) -> Trial:
        """A trial of parameters that came from elsewhere, of which the study holds what the space has.

        A random sampler stands in meanwhile: the algorithm's own is not to think that they are its proposals.
        """
        positions = self._encoding.positions(params)
        held = {key: to_optuna(self._encoding.axes[key], position) for key, position in positions.items()}
        self._study.sampler = RandomSampler(seed=0)
        self._study.enqueue_trial(held)
        trial = self._study.ask()
        for key in held:
            suggested_by(trial, key, self._distributions[key])
        return trial

    def _proposed_anew(self, number: int) -> tuple[Trial, Params]:
        """A proposal not made before, with a sampler of its own; those taken back count as failed, so as nothing."""
        made: list[Trial] = []

        def suggest(seed: int) -> Params:
            trial, params = self._proposed_by(self._make_sampler(seed))
            made.append(trial)
            suggested.append(params)
            return params

        suggested: list[Params] = []
        params = self._proposals.propose(number, suggest)
        is_last = suggested[-1] is params
        for trial in made[:-1] if is_last else made:
            self._study.tell(trial, state=TrialState.FAIL)
        return (made[-1] if is_last else self._given(params)), params

    def _proposed_by(self, sampler: BaseSampler) -> tuple[Trial, Params]:
        """A trial and its parameters as a sampler proposes them, parents before children."""
        self._study.sampler = sampler
        trial = self._study.ask()
        params: Params = {}
        for parameter in self._space.parameters:
            if is_active(parameter, params):
                axis = self._encoding.axes[parameter.key]
                found = suggested_by(trial, parameter.key, self._distributions[parameter.key])
                params[parameter.key] = axis.decode(from_optuna(axis, found))
        return trial, params

    def _tell_study(self, trial: Trial, record: _Record) -> None:
        with quiet_optuna():
            for step, loss in record.reported.items():
                trial.report(loss, step)
            values = record.losses if record.state == TrialState.COMPLETE else None
            self._study.tell(trial, values, state=record.state)

    def _study_of_ranks(self) -> optuna.Study:
        """A study of past and present trials, whose values are ranks within their iteration. Optuna does not let go of
        a value once told, and ranks change with every trial: so it is made anew."""
        done = [record for record in self._records.values() if record.state == TrialState.COMPLETE]
        past, present = union_of_iterations([trial.loss for trial in self._past], [record.losses[0] for record in done])
        study = self._new_study()
        for trial, loss in zip(self._past, past, strict=True):
            held = {key: to_optuna(self._encoding.axes[key], at) for key, at in trial.positions.items()}
            study.add_trial(self._frozen(_Record(held, TrialState.COMPLETE), loss))
        losses = iter(present)
        for record in self._records.values():
            study.add_trial(self._frozen(record, next(losses) if record.state == TrialState.COMPLETE else None))
        return study

    def _frozen(self, record: _Record, loss: float | None) -> FrozenTrial:
        distributions = {key: self._distributions[key] for key in record.held}
        return create_trial(
            state=record.state,
            value=loss,
            params=record.held,
            distributions=distributions,
            intermediate_values=record.reported,
        )


def _step_of(outcome: Outcome) -> int:
    """The report at which a trial was pruned, where the sweep says it: later ones did better."""
    step = outcome.details.get("step", 0)
    return step if isinstance(step, int) and step >= 0 else 0
