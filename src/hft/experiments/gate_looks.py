"""Looks at a gate split: each one is written down before its answer is known, and counted.

A look is a run of the experiment `hft/promotions` in the tracking store. It is made first and counted afterwards, its
own run among the counted: a process that dies in between has looked all the same, and of two at once neither can count
fewer than there are. Runs that somebody deletes in MLflow go on counting.

Looks at one set of test queries share its level, so each look says which set it is at and what it compares: the same
comparison at the same set, made again, is no further candidate.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hft.checksums import SEAL_TAG, check_tags, sealed_tags
from hft.experiments.manager import ExperimentsManager
from hft.experiments.run_record import utc_now
from hft.experiments.store import open_client, tracking_errors

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

PROMOTIONS = "hft/promotions"

_METHOD_TAG = "hft.method"
_SPLIT_TAG = "hft.gate.split"
_BEGUN_TAG = "hft.begun"
_ANSWER_TAG = "hft.gate.answer"
_UNITS_TAG = "hft.gate.units"
_COMPARISON_TAG = "hft.gate.comparison"


@dataclass(frozen=True)
class Look:
    """One look.

    Args:
        number: of all looks at this split with this method, from 1.
        candidate: how many comparisons were made over the same test queries so far, this one included.
        sets: how many sets of test queries were looked at so far, this one included.
        mlflow_run_id: the store's id of the run that stands for it.
    """

    number: int
    candidate: int
    sets: int
    mlflow_run_id: str


class GateLooks:
    """The looks that a store knows of.

    Args:
        uri: of the store, which is made where it does not exist.

    Raises:
        TrackingError: (every method) the store is away or refuses.
    """

    def __init__(self, uri: str) -> None:
        self._manager = ExperimentsManager(uri)

    def begin(
        self, method: str, split: str, facts: Mapping[str, Any], *, units: str, comparison: Mapping[str, Any]
    ) -> Look:
        """Writes a look down. From here on it counts.

        Args:
            method: name of the method.
            split: name of the split that is looked at.
            facts: more of what is told, for the run's params in the store.
            units: hash of the test queries and what is known of them.
            comparison: what is held against what, for the params too.
        """
        compared = json.dumps(comparison, sort_keys=True)
        tags = {
            _METHOD_TAG: method,
            _SPLIT_TAG: split,
            _UNITS_TAG: units,
            _COMPARISON_TAG: hashlib.sha256(compared.encode()).hexdigest(),
            _BEGUN_TAG: utc_now(),
        }
        name = f"{method} {comparison.get('candidate', '')}"[:80]
        config = {**comparison, **facts, "units": units}
        run_id = self._manager.start_run(PROMOTIONS, uuid.uuid4().hex, name=name, config=config, tags=sealed_tags(tags))
        looks = self._looks(method, split)
        # Looks from before sets were told apart are of a set each.
        sets = [look.get(_UNITS_TAG, f"look {number}") for number, look in enumerate(looks)]
        here = {look[_COMPARISON_TAG] for look in looks if look.get(_UNITS_TAG) == units}
        return Look(len(looks), len(here), len(set(sets)), run_id)

    def end(self, look: Look, answer: str, values: Mapping[str, float]) -> None:
        """Adds the answer of the gate, and the values that led to it."""
        moment = {"step": look.number, "time": 0.0}
        self._manager.log_rows(look.mlflow_run_id, [{**values, **moment}])
        self._manager.end_run(look.mlflow_run_id, "FINISHED", {_ANSWER_TAG: answer})

    def count(self, method: str, split: str) -> int:
        """How many looks there were so far."""
        return len(self._looks(method, split))

    def _looks(self, method: str, split: str) -> list[dict[str, str]]:
        """The tags of every look so far.

        Raises:
            DamagedError: those of one are not what was written: nobody knows what it looked at.
        """
        from mlflow.entities import ViewType

        with self._calls() as client:
            experiment = client.get_experiment_by_name(PROMOTIONS)
            if experiment is None:
                return []
            found, token = [], None
            while True:
                page = client.search_runs([experiment.experiment_id], "", ViewType.ALL, 1000, page_token=token)
                for run in page:
                    _check(run)
                tags = [run.data.tags for run in page]
                found += [tag for tag in tags if tag.get(_METHOD_TAG) == method and tag.get(_SPLIT_TAG) == split]
                token = page.token
                if not token:
                    return found

    @contextmanager
    def _calls(self) -> Iterator[MlflowClient]:
        with tracking_errors(self._manager.uri):
            yield open_client(self._manager.uri)


def _check(run: Run) -> None:
    sealed = (_METHOD_TAG, _SPLIT_TAG, _UNITS_TAG, _COMPARISON_TAG, _BEGUN_TAG, SEAL_TAG)
    remedy = "Restore the store from a copy: without it nobody knows how often a split was looked at."
    tags = {name: run.data.tags[name] for name in sealed if name in run.data.tags}
    check_tags(tags, f"run {run.info.run_id} of the experiment {PROMOTIONS}", remedy)
