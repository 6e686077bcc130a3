"""Promotion: a candidate and the champion measured over the same queries of the gate split, and what follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hft.errors import ConfigError
from hft.settings import PROMOTION_WINDOW
from hft.threads import wait_politely
from hft.user_modules import seek_user_modules

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt
    from omegaconf import DictConfig

    from hft.data import PreparationReport
    from hft.experiments import RunRecord
    from hft.experiments.champion_version import Champion
    from hft.experiments.gate_looks import Look
    from hft.metrics.promotion import Gate, Held, Verdict

CHAMPION, BEST, INITIAL = "champion", "best champion ever", "initial model"


@dataclass(frozen=True)
class Rival:
    """What a candidate was held against.

    Args:
        role: `champion`, `best champion ever`, or `initial model` where there is no champion yet.
        run: its record; None for the initial model.
        held: the comparison.
    """

    role: str
    run: RunRecord | None
    held: Held


@dataclass(frozen=True)
class Promotion:
    """What came of the wish to promote a run.

    Args:
        method: whose champion it would be.
        metric: that the gate looks at.
        split: that was looked at.
        candidate: the run.
        rivals: what it was held against, the champion first; empty where the run is champion already.
        gate: what it had to show; None where no look was taken.
        look: which look it was; None where none was taken.
        verdict: of the gate; None where no look was taken.
        champion: the champion now; None where there is none.
    """

    method: str
    metric: str
    split: str
    candidate: RunRecord
    rivals: tuple[Rival, ...]
    gate: Gate | None
    look: Look | None
    verdict: Verdict | None
    champion: Champion | None


def promote(record: RunRecord, config: DictConfig, *, outputs: str | Path, uri: str) -> Promotion:
    """Makes a run the champion of its method if it stands the gate.

    The look is written down before the gate answers; the champion changes in one step, after all else is written.

    Args:
        record: the candidate.
        config: its data, its metrics and the `promotion` node; checked first.
        outputs: where runs land.
        uri: of the store.

    Raises:
        ConfigError, DataError, ModelError: the request was wrong; no look was taken.
        RunNotFoundError: the champion's model is gone.
        TrackingError: the store is away or refuses.
    """
    wait_politely()
    seek_user_modules()
    from hft.config import require_valid

    require_valid(config)
    _require_promotable(record, config)
    from hft.experiments.champions import record_of
    from hft.experiments.registry import Champions

    _require_gate(config)
    champions, method = Champions(uri, outputs), record.method
    metric, split = str(config.method.main_metric), str(config.promotion.split)
    champion = champions.champion(method)
    if champion is not None and champion.run_id == record.run_id:
        return Promotion(method, metric, split, record, (), None, None, None, champion)
    champions.require_model(record)
    rivals: dict[str, RunRecord | None] = {INITIAL: None}
    if champion is not None:
        rivals = {CHAMPION: record_of(champion, outputs, champions.uri)}
        if champion.best != champion.version:
            rivals[BEST] = record_of(champions.version(method, champion.best), outputs, champions.uri)
    values, units = _measured(record, rivals, config)
    return _at_the_gate(record, config, rivals, values, units, champions, champion)


def _require_promotable(record: RunRecord, config: DictConfig) -> None:
    from hft.experiments import MODEL_NAME

    name = f"run {record.run_id[:8]} ({record.folder})"
    if record.status_now != "done":
        reason = f": {record.results.error}" if record.results.error else ""
        raise ConfigError(f"{name}: is {record.status_now}{reason}. Only a run that is done can be promoted.")
    if config.method.meta.name != record.method:
        raise ConfigError(
            f"{name}: belongs to the method {record.method}, and cannot become champion of {config.method.meta.name}. "
            "Leave out the override of `method`."
        )
    if not (record.folder / MODEL_NAME).is_dir():
        raise ConfigError(
            f"{name}: has no model in its folder: it was pruned, or not kept by its sweep. "
            "Run it again (hft reproduce RUN) and promote that run."
        )


def _require_gate(config: DictConfig) -> None:
    """Refuses what the gate would refuse, before anything is measured and a look is spent."""
    _gate(config, 1)


def _gate(config: DictConfig, candidate: int) -> Gate:
    from hft.metrics.promotion import Gate

    node = config.promotion
    # A record from before there were windows has none.
    return Gate(node.rule, node.margin, candidate, node.alpha, node.get("window", PROMOTION_WINDOW))


def _measured(
    record: RunRecord, rivals: Mapping[str, RunRecord | None], config: DictConfig
) -> tuple[dict[str, Mapping[str, npt.NDArray[Any]]], str]:
    """What was measured, and the hash of the test queries and what is known of them.

    By rival, arrays as FineTuningMethod.values gives them: `start` is the rival's, `tuned` the candidate's.
    """
    from hydra.utils import instantiate

    from hft.experiments import MODEL_NAME
    from hft.models import load_saved_model
    from hft.running import Surroundings, data_options, on_device, settings_of, starting_model, store_folder
    from hft.running.texts import declared_by, differ, names_other_texts, seen_by, source_of, texts_of_run

    surroundings = Surroundings.of(config)
    with surroundings.applied():
        method, settings = instantiate(config.method), settings_of(config)
        options = data_options(config, None, surroundings.say, makes_store=False)
        of_data = texts_of_run(record)
        by_own = not names_other_texts(config, of_data)
        if not by_own:
            surroundings.say("every model is measured by the texts that this request names, not by its own")
        source, splitter = source_of(config, of_data), instantiate(config.data.splitter)
        data = method.prepare(source, splitter, **options, required_splits=(config.promotion.split,))
        if line := _left_out(data.report):
            surroundings.say(line)
        kept = store_folder(config, "tokens", surroundings.say, makes=False)
        declared = declared_by(config, of_data, data)
        measured: dict[str, Any] = {}
        texts = None
        for role, run in {"candidate": record, **rivals}.items():
            loaded = (
                _initial_model(config, starting_model) if run is None else load_saved_model(run.folder / MODEL_NAME)
            )
            own = texts_of_run(run) if run is not None and by_own else None
            if own is not None and differ(own, declared):
                surroundings.say(f"the {role} is measured by its own texts, {own.in_words()}")
            texts = method.tokenize(loaded, seen_by(data, source, own, declared), kept)
            label = f"{role} on {config.promotion.split}"
            with on_device(loaded, surroundings), surroundings.text_progress(label) as progress:
                measured[role] = method.measure(
                    loaded, texts, settings, precision=surroundings.precision, seed=config.seed, progress=progress
                )
        values = {role: method.values(measured[role], measured["candidate"], texts) for role in rivals}
        return values, data.split_hash(config.promotion.split)


def _left_out(report: PreparationReport) -> str | None:
    """That lines of the data could not be read, and why; None where all could."""
    count = sum(report.quarantined.values())
    if not count:
        return None
    reasons = "; ".join(f"{number:,} x {reason}" for reason, number in sorted(report.reasons.items()))
    return f"{count:,} line{'s' * (count != 1)} of the data left out ({reasons})"


def _initial_model(config: DictConfig, starting_model: Any) -> Any:
    """The model group's model, whatever run the candidate itself started from."""
    first = config.copy()
    first.iteration.start_from = None
    return starting_model(first)[0]


def _at_the_gate(
    record: RunRecord,
    config: DictConfig,
    rivals: Mapping[str, RunRecord | None],
    values: Mapping[str, Mapping[str, npt.NDArray[Any]]],
    units: str,
    champions: Any,
    champion: Champion | None,
) -> Promotion:
    from hft.experiments.gate_looks import GateLooks
    from hft.metrics.promotion import decide, hold

    node, method, metric = config.promotion, record.method, str(config.method.main_metric)
    batch = None if config.data.get("batch_id") is None else str(config.data.batch_id)
    comparison = {
        "candidate": record.run_id,
        **{role.replace(" ", "_"): None if run is None else run.run_id for role, run in rivals.items()},
        "metric": metric,
    }
    asked = _gate(config, 1)
    facts = {"rule": asked.rule, "margin": asked.margin, "alpha": asked.alpha, "window": asked.window, "batch": batch}
    looks = GateLooks(champions.uri)
    look = looks.begin(method, node.split, facts, units=units, comparison=comparison)
    gate = _gate(config, look.candidate)
    held = [
        Rival(
            role,
            run,
            hold(
                values[role][f"{node.split}/{metric}/tuned"],
                values[role][f"{node.split}/{metric}/start"],
                level=gate.level,
                direction=config.method.direction,
            ),
        )
        for role, run in rivals.items()
    ]
    verdict = decide(gate, held[0].held, held[1].held if len(held) > 1 else None)
    numbers = {"look": look.number, "level": gate.level, **_numbers(held)}
    looks.end(look, verdict.answer, numbers)
    if verdict.promoted:
        told = {**{key: f"{value:.6g}" for key, value in numbers.items()}, "rule": gate.rule, "metric": metric}
        told["look_run"] = look.mlflow_run_id
        champion = champions.promote(record, expected=champion, is_best=verdict.is_best, batch=batch, gate=told)
    return Promotion(method, metric, str(node.split), record, tuple(held), gate, look, verdict, champion)


def _numbers(rivals: list[Rival]) -> dict[str, float]:
    """Of each comparison, by the names that the store shows."""
    found: dict[str, float] = {"queries": rivals[0].held.queries, "candidate": rivals[0].held.candidate}
    for rival in rivals:
        prefix = rival.role.replace(" ", "_")
        found |= {prefix: rival.held.rival, f"{prefix}_gain": rival.held.gain, f"{prefix}_lower": rival.held.lower}
    return found
