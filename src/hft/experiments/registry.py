"""Champions: the registered model of a method, its versions, and the alias that says which one counts.

The store is the one truth. A promotion is a version of the registered model that bears the method's name; what the gate
saw stands in the version's tags; the alias `champion` is moved in one call after everything else was written, so that a
process that dies leaves the old champion or the new one, and nothing between. Each version knows the version that was
champion before it, which is where a rollback goes, and the best one of its day, which a candidate that need not be
better than the champion is held against as well.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hft.errors import ConfigError, RunNotFoundError
from hft.experiments.champion_version import (
    METHOD_TAG,
    ROLLED_BACK_TAG,
    Champion,
    champion_of_version,
    version_tags,
)
from hft.experiments.run_folder import MODEL_NAME
from hft.experiments.run_model import require_model
from hft.experiments.run_record import RunRecord, utc_now
from hft.experiments.store import (
    TrackingError,
    absolute_uri,
    check_uri,
    open_client,
    sqlite_file,
    tracking_errors,
    why_away,
)
from hft.experiments.tracked_result import RUN_ID_TAG
from hft.files import storage_errors

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHAMPION = "champion"

_LOCK_SECONDS = 60
# MLflow refuses the first two; a quote could not be searched for.
_REFUSED_IN_MODEL_NAMES = re.compile(r"[/:'\"\\]|^\.+")


class Champions:
    """The registry of one store. A store that does not exist has no champion; only a promotion makes one.

    Args:
        uri: of the store.
        outputs: where runs land; a version names its run's folder from there.

    Raises:
        TrackingError: (every method) the store is away or refuses.
    """

    def __init__(self, uri: str, outputs: str | os.PathLike[str] = "outputs") -> None:
        check_uri(uri)
        self._outputs = outputs
        self.uri = absolute_uri(uri)
        self._client: MlflowClient | None = None

    def champion(self, method: str) -> Champion | None:
        """The champion of a method; None where there is none."""
        versions, current = self._read(method)
        return None if current is None else versions[current]

    def version(self, method: str, version: int) -> Champion:
        """One version.

        Raises:
            RunNotFoundError: the store has no such version.
        """
        versions, _ = self._read(method)
        return _at(versions, version, method, self.uri)

    def methods(self) -> list[str]:
        """Names of the methods that have a champion."""
        if not self._exists():
            return []
        with self._calls() as client:
            models = list(_pages(client.search_registered_models))
        return sorted(model.tags[METHOD_TAG] for model in models if METHOD_TAG in model.tags)

    def kept(self, method: str) -> list[Champion]:
        """The champion, its predecessor and the best one, as far as there are such."""
        versions, current = self._read(method)
        if current is None:
            return []
        champion = versions[current]
        wanted = dict.fromkeys([current, champion.predecessor, champion.best])
        return [versions[number] for number in wanted if number is not None and number in versions]

    def history(self, method: str) -> list[Champion]:
        """Every version that was champion, oldest first.

        A version that a killed promotion left behind never was: neither the champion nor one before it in line, and
        never rolled back.
        """
        versions, current = self._read(method)
        reached = {number for number, version in versions.items() if version.rolled_back_at is not None}
        open_ends = [*reached, *([] if current is None else [current])]
        while open_ends:
            number: int | None = open_ends.pop()
            while number is not None and number in versions:
                reached.add(number)
                number = versions[number].predecessor
        return [versions[number] for number in sorted(reached)]

    def require_model(self, record: RunRecord) -> None:
        """Refuses a run whose model the store could not point to; to be asked before anything is measured.

        Raises:
            ConfigError: a server does not have the run's model.
        """
        if self._exists():
            with self._calls() as client:
                self._source(client, record)

    def promote(
        self,
        record: RunRecord,
        *,
        expected: Champion | None,
        is_best: bool,
        batch: str | None = None,
        gate: Mapping[str, Any] | None = None,
    ) -> Champion:
        """Makes a run the champion of its method.

        Args:
            record: the run, in its folder.
            expected: the champion that it was held against; None where there was none.
            is_best: whether it was shown to be better than the best champion so far.
            batch: `data.batch_id` of the data that it was judged on.
            gate: what the gate saw, for the version's tags.

        Raises:
            ConfigError: another run became champion since; or a server does not have the run's model.
        """
        method, name = record.method, model_name(record.method)
        with self._alone(), self._calls() as client:
            self._make_model(client, method)
            versions, current = self._read(method)
            if current != (None if expected is None else expected.version):
                raise ConfigError(
                    f"{method}: another run became champion while this one was measured. "
                    "Promote again, to hold it against the new one."
                )
            source, mlflow_run_id = self._source(client, record)
            best = None if is_best or current is None else versions[current].best
            tags = version_tags(
                record,
                mlflow_run_id,
                predecessor=current,
                best=best,
                batch=batch,
                gate=gate or {},
                outputs=self._outputs,
            )
            made = client.create_model_version(
                name,
                source,
                mlflow_run_id,
                tags,
                description=f"{record.name or record.folder.name}, promoted by hft",
            )
            client.set_registered_model_alias(name, CHAMPION, str(made.version))
        return self.version(method, int(made.version))

    def rollback(self, method: str, look: Callable[[Champion], object]) -> tuple[Champion, Champion]:
        """Makes the champion's predecessor champion again.

        Args:
            method: name of the method.
            look: is given the predecessor before anything is written, and may refuse it.

        Returns:
            the version that was champion, and the one that is it now.

        Raises:
            ConfigError: there is nothing to go back to.
        """
        self._way_back(method)
        with self._alone():
            champion, predecessor = self._way_back(method)
            look(predecessor)
            name = model_name(method)
            with self._calls() as client:
                client.set_model_version_tag(name, str(champion.version), ROLLED_BACK_TAG, utc_now())
                client.set_registered_model_alias(name, CHAMPION, str(predecessor.version))
        return self.version(method, champion.version), predecessor

    def _way_back(self, method: str) -> tuple[Champion, Champion]:
        versions, current = self._read(method)
        if current is None:
            others = ", ".join(self.methods())
            hint = f" Methods that have one: {others}." if others else ""
            raise ConfigError(f"{method}: has no champion in {self.uri}: there is nothing to go back from.{hint}")
        champion = versions[current]
        if champion.predecessor is None:
            raise ConfigError(
                f"{method}: the champion, version {current} (run {champion.run_id[:8]}), is the first one: "
                "there is nothing to go back to. Promote another run: hft promote RUN"
            )
        return champion, _at(versions, champion.predecessor, method, self.uri)

    def _read(self, method: str) -> tuple[dict[int, Champion], int | None]:
        """All versions of a method's model by number, and the number of the champion."""
        if not self._exists():
            return {}, None
        name = model_name(method)
        with self._calls() as client:
            models = client.search_registered_models(_named(name), max_results=1)
            if not models:
                return {}, None
            found = [v for v in _pages(client.search_model_versions, _named(name)) if RUN_ID_TAG in v.tags]
        alias = models[0].aliases.get(CHAMPION)
        versions = {int(version.version): champion_of_version(version, method) for version in found}
        if alias is None:
            return versions, None
        _at(versions, int(alias), method, self.uri)
        return versions, int(alias)

    def _source(self, client: MlflowClient, record: RunRecord) -> tuple[str, str | None]:
        """Where the store finds the run's model, and its own id of the run."""
        mlflow_run_id = _id_in_store(client, record)
        if mlflow_run_id is not None and _has_model(client, mlflow_run_id):
            return f"runs:/{mlflow_run_id}/{MODEL_NAME}", mlflow_run_id
        if sqlite_file(self.uri) is None and not self.uri.startswith("file:"):
            raise ConfigError(
                f"{record.folder}: {self.uri} does not have the model of this run, and a server cannot read your "
                "folder. A run that is tracked there with tracking.log_model=true has it there; what is pending is "
                "pushed by: hft runs --sync"
            )
        return require_model(record).absolute().as_uri(), mlflow_run_id

    def _make_model(self, client: MlflowClient, method: str) -> None:
        from mlflow.exceptions import MlflowException

        name = model_name(method)
        if client.search_registered_models(_named(name), max_results=1):
            return
        try:
            client.create_registered_model(name, {METHOD_TAG: method}, f"Champions of the method {method}")
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":  # another process was quicker
                raise

    def _exists(self) -> bool:
        file = sqlite_file(self.uri)
        return file is None or file.is_file()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One process at a time moves the alias of a local store. On a server the check just before must do."""
        from filelock import FileLock, Timeout

        file = sqlite_file(self.uri)
        if file is None:
            yield
            return
        with storage_errors(file):
            file.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(file.parent / f".{file.name}.champions.lock", _LOCK_SECONDS)
        try:
            lock.acquire()
        except Timeout as error:
            raise TrackingError(f"{self.uri}: another process has moved champions for {_LOCK_SECONDS} s.") from error
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def _calls(self) -> Iterator[MlflowClient]:
        away = why_away(self.uri) if self._client is None else None
        with tracking_errors(self.uri):
            if away is not None:
                raise TrackingError(away)
            if self._client is None:
                self._client = open_client(self.uri)
            yield self._client


def model_name(method: str) -> str:
    """The registered model of a method: its name; where MLflow would refuse it, a like one that no other method has."""
    accepted = _REFUSED_IN_MODEL_NAMES.sub("_", method)
    if accepted == method:
        return method
    return f"{accepted}-{hashlib.sha256(method.encode()).hexdigest()[:8]}"


def _has_model(client: MlflowClient, mlflow_run_id: str) -> bool:
    return MODEL_NAME in {file.path for file in client.list_artifacts(mlflow_run_id)}


def _id_in_store(client: MlflowClient, record: RunRecord) -> str | None:
    """The store's id of a run that it has; None where it does not."""
    from mlflow.exceptions import MlflowException

    wanted = record.tracking.mlflow_run_id
    if wanted is None:
        return None
    try:
        run = client.get_run(wanted)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None
        raise
    return wanted if run.data.tags.get(RUN_ID_TAG) == record.run_id else None


def _named(name: str) -> str:
    return f"name = '{name}'"


def _at(versions: Mapping[int, Champion], number: int, method: str, uri: str) -> Champion:
    if number in versions:
        return versions[number]
    raise RunNotFoundError(
        f"{method}: version {number} of its registered model in {uri} is gone or was not made by hft promote. "
        f"Point the alias {CHAMPION!r} in MLflow to one of: {', '.join(map(str, sorted(versions))) or 'none is left'}."
    )


def _pages(search: Any, *arguments: Any) -> Iterable[Any]:
    token: str | None = None
    while True:
        page = search(*arguments, page_token=token)
        yield from page
        token = page.token
        if not token:
            return
