"""Runs a recorded run again, under the recorded surroundings, and compares."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hft.errors import ConfigError, ReproductionError
from hft.experiments.environment import restored_environment
from hft.experiments.opening import before_step_one
from hft.experiments.plain import Difference, differences, plain
from hft.experiments.run_folder import new_run_folder
from hft.experiments.run_record import RunRecord, load_record
from hft.experiments.verdict import Check, Verdict, first_half, judge, stopped_early

if TYPE_CHECKING:
    from omegaconf import DictConfig

# Trains by a config, in a folder that is there and empty.
Train = Callable[["DictConfig", Path], object]


class _StoppedError(ReproductionError):
    """The first half of the new record tells that the runs cannot be equal."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.sentence)
        self.verdict = verdict


def reproduce(
    recorded: RunRecord, config: DictConfig, train: Train, *, written: DictConfig | None = None
) -> tuple[Verdict, RunRecord]:
    """Repeats a run and compares the two.

    Other data or another base model end it before step 1: the runs could not be equal.

    Args:
        recorded: the run.
        config: from `config_to_repeat`; trusted.
        train: called with the config and a new run folder.
        written: the config as it was before its interpolations were followed, for the new record.

    Returns:
        the verdict, and the record of the repeated run.

    Raises:
        ConfigError: the run did not finish, so that there is nothing to compare with.
    """
    require_finished(recorded)
    folder = new_run_folder(str(config.outputs), recorded.method)

    def look(now: RunRecord) -> None:
        now.reproduces = recorded.run_id
        now.choices, now.overrides = dict(recorded.choices), list(recorded.overrides)
        now.config_unresolved = _as_written(written, now)
        now.save()
        verdict = stopped_early(first_half(recorded, now))
        if verdict is not None:
            raise _StoppedError(verdict)

    with restored_environment(recorded.environment) as refused, _watched(look):
        try:
            train(config, folder)
        except _StoppedError as stopped:
            return stopped.verdict, load_record(folder)
    now = load_record(folder)
    verdict = judge(recorded, now)
    told = [Check("surroundings", "as recorded", reason, None) for reason in refused]
    return Verdict((*verdict.checks, *told), verdict.holds, verdict.sentence), now


def require_finished(recorded: RunRecord) -> None:
    """Refuses a run that did not end well.

    Raises:
        ConfigError: there is nothing to compare with.
    """
    if recorded.status != "done":
        raise ConfigError(
            f"run {recorded.run_id[:8]} ({recorded.folder}): is {recorded.status_now}, so that there is nothing to "
            "compare with. Expected a run that is done; to start a new one from its config, give overrides: "
            f"hft reproduce {recorded.folder} seed={recorded.environment.seed or 0}"
        )


def vary(
    recorded: RunRecord,
    config: DictConfig,
    train: Train,
    *,
    written: DictConfig | None = None,
    overrides: Sequence[str] = (),
    choices: Mapping[str, Any] | None = None,
) -> RunRecord:
    """Runs a variation of a recorded run.

    Args:
        recorded: the run.
        config: its config with the changes; trusted.
        train: called with the config and a new run folder.
        written: the config as it was before its interpolations were followed, for the new record.
        overrides: those that make the variation.
        choices: options of the groups among them.

    Returns:
        the record of the new run.
    """
    from omegaconf import OmegaConf

    method = OmegaConf.select(config, "method.meta.name", default=None) or recorded.method
    folder = new_run_folder(str(config.outputs), str(method))

    def look(now: RunRecord) -> None:
        now.varies = recorded.run_id
        now.choices = {**recorded.choices, **(choices or {})}
        now.overrides = [*recorded.overrides, *overrides]
        now.config_unresolved = _as_written(written, now)
        now.save()

    with _watched(look):
        train(config, folder)
    return load_record(folder)


def variation(recorded: RunRecord, config: DictConfig) -> list[Difference]:
    """What a variation changes in the resolved config."""
    from omegaconf import OmegaConf

    resolved = OmegaConf.to_container(config, resolve=True)
    assert isinstance(resolved, dict)
    return differences(recorded.config, {str(key): value for key, value in resolved.items()})


def _as_written(written: DictConfig | None, now: RunRecord) -> dict[str, Any]:
    if written is None:
        return now.config_unresolved
    from omegaconf import OmegaConf

    container: Any = plain(OmegaConf.to_container(written, resolve=False))
    return dict(container)


@contextmanager
def _watched(look: Callable[[RunRecord], None]) -> Iterator[None]:
    token = before_step_one.set(look)
    try:
        yield
    finally:
        before_step_one.reset(token)
