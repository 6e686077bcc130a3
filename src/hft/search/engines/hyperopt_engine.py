"""Hyperopt's algorithms by ask and tell: TPE, random search, annealing."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from hyperopt import STATUS_FAIL, STATUS_NEW, STATUS_OK, Domain, anneal, rand, tpe
from hyperopt.base import JOB_STATE_DONE, JOB_STATE_NEW, Trials, trials_from_docs

from hft.search.engines.encoding import Encoding
from hft.search.engines.hyperopt_expression import expression_of
from hft.search.engines.options import algorithm_of, checked_options, signs_of
from hft.search.engines.past_trials import PastTrial, past_trials
from hft.search.engines.proposals import NewProposals
from hft.search.engines.ranks import union_of_iterations
from hft.search.settings import SearchSettings
from hft.search.spaces.space import SearchSpace
from hft.search.specs import Params
from hft.search.trial import Outcome

Document = dict[str, Any]

# Trials with a value before the algorithm is asked; random until then.
STARTUP = {"tpe": 20, "anneal": 1, "random": 0}


class HyperoptEngine:
    """One of Hyperopt's algorithms over a space.

    Failed, pruned and running trials are documents without a loss. To TPE they count among the trials that did not do
    well, so that it looks elsewhere; annealing does not see them, since it would walk on from them.
    """

    def __init__(self, space: SearchSpace, settings: SearchSettings) -> None:
        """Take a space and settings.

        Raises:
            ConfigError: several metrics, another engine's algorithm, an unknown option.
        """
        self._algorithm = algorithm_of("hyperopt", settings)
        self._options = checked_options("hyperopt", settings)
        self._startup = self._options.pop("n_startup_jobs", STARTUP[self._algorithm])
        (self._sign,) = signs_of("hyperopt", self._algorithm, settings)
        self._encoding = Encoding(space)
        self._domain = Domain(_never_called, expression_of(space, self._encoding))
        self._proposals = NewProposals(space, settings.seed)
        self._past: list[PastTrial] = []
        self._documents: dict[int, Document] = {}
        self._losses: dict[int, float] = {}

    def ask(self, number: int, params: Params | None = None) -> Params:
        """Parameters of a trial; see `Engine.ask`. Never None: nothing is ever left to nobody."""
        if params is None:
            suggest = self._suggest_from_known(number)
            params = self._proposals.propose(number, suggest)
        self._proposals.note(params)
        self._documents[number] = _document(self._id(number), self._encoding.positions(params), self._domain)
        return dict(params)

    def tell(self, number: int, outcome: Outcome) -> None:
        """What came of a trial; see `Engine.tell`. A value that is not finite is a failure."""
        document = self._documents[number]
        document["state"] = JOB_STATE_DONE
        is_value = outcome.state == "done" and len(outcome.values) == 1 and math.isfinite(outcome.values[0])
        if not is_value:
            document["result"] = {"status": STATUS_FAIL}
            return
        self._losses[number] = self._sign * outcome.values[0]
        document["result"] = {"status": STATUS_OK, "loss": self._losses[number]}

    def observe(self, observations: Sequence[tuple[Params, float]]) -> None:
        """Past trials to learn from; see `Engine.observe`. They come before all others in TPE's order of age."""
        self._past = past_trials("hyperopt", self._algorithm, 1, self._encoding, observations)

    def _id(self, number: int) -> int:
        """Hyperopt's number of a trial: past ones come first."""
        return number + len(self._past)

    def _suggest_from_known(self, number: int) -> Callable[[int], Params]:
        known = self._known_trials()
        positions_from = self._positions_from(known)
        return lambda seed: self._encoding.params(positions_from(self._id(number), seed))

    def _known_trials(self) -> Trials:
        """What the algorithm is to see now, losses ranked within their iteration if there is a past."""
        documents = [self._documents[number] for number in sorted(self._documents)]
        if self._past:
            past, present = union_of_iterations([trial.loss for trial in self._past], list(self._losses.values()))
            for number, loss in zip(self._losses, present, strict=True):
                self._documents[number]["result"]["loss"] = loss
            documents = [
                _document(position, trial.positions, self._domain, loss)
                for position, (trial, loss) in enumerate(zip(self._past, past, strict=True))
            ] + documents
        if self._algorithm == "anneal":
            documents = [document for document in documents if "loss" in document["result"]]
        return trials_from_docs(documents, validate=False)

    def _positions_from(self, known: Trials) -> Callable[[int, int], dict[str, float]]:
        """Suggests positions for a trial id and a seed."""
        with_value = sum("loss" in document["result"] for document in known.trials)

        def positions(trial_id: int, seed: int) -> dict[str, float]:
            if self._algorithm == "random" or with_value < max(self._startup, 1):
                documents = rand.suggest([trial_id], self._domain, known, seed)
            elif self._algorithm == "anneal":
                documents = anneal.suggest([trial_id], self._domain, known, seed, **self._options)
            else:
                options = {**self._options, "n_startup_jobs": 0, "verbose": False}
                documents = tpe.suggest([trial_id], self._domain, known, seed, **options)
            values = documents[0]["misc"]["vals"]
            return {key: float(found[0]) for key, found in values.items() if len(found)}

        return positions


def _document(trial_id: int, positions: dict[str, float], domain: Domain, loss: float | None = None) -> Document:
    """Hyperopt's record of a trial. What is not active has empty lists."""
    return {
        "tid": trial_id,
        "state": JOB_STATE_NEW if loss is None else JOB_STATE_DONE,
        "spec": None,
        "result": {"status": STATUS_NEW} if loss is None else {"status": STATUS_OK, "loss": loss},
        "misc": {
            "tid": trial_id,
            "cmd": domain.cmd,
            "workdir": None,
            "idxs": {key: [trial_id] if key in positions else [] for key in domain.params},
            "vals": {key: [positions[key]] if key in positions else [] for key in domain.params},
        },
        "exp_key": None,
        "owner": None,
        "version": 0,
        "book_time": None,
        "refresh_time": None,
    }


def _never_called(point: Any) -> float:
    raise AssertionError("the sweep evaluates, not Hyperopt")
