"""hft's own `-m`: a search to its budget with the proof of its winner, or every combination of the command line."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from hft.config.preflight import without_hydra
from hft.consoles import Console
from hft.experiments.known_runs import KnownRuns
from hft.experiments.sweep_run import SweepRun
from hft.running.enumerating import enumerate_jobs
from hft.running.search_conclusion import conclude, trial_config
from hft.running.search_hooks import RecordedAnswers, SummaryFile, TrackedSweep
from hft.running.search_past import Past, past_of
from hft.running.search_request import SearchRequest, is_search, search_request
from hft.running.search_start import data_of_search
from hft.running.shared import shared_parts
from hft.running.sweep_place import SweepPlace, sweep_place
from hft.running.trial import sweep_name
from hft.search import SweepHooks, SweepState
from hft.search.results.values_as_text import counted
from hft.search.spaces.overrides import value_text

if TYPE_CHECKING:
    from hft.search.sweeper.hydra_sweep import HydraSweep


def hft_sweep(hydra: HydraSweep, arguments: Sequence[str]) -> SweepState:
    """What `hft train -m` does.

    Args:
        hydra: what Hydra handed to its sweeper.
        arguments: overrides of the command line, sweeps among them.

    Raises:
        ConfigError: the request is wrong, another process runs the sweep, or its folder holds another one.
        TrainingError: too many trials failed, or a job of an enumeration did.
    """
    # What an earlier sweep of this process has read may have changed since.
    shared_parts.clear()
    try:
        if is_search(hydra.parsed(arguments)):
            return _search(hydra, arguments)
        return enumerate_jobs(hydra, arguments)
    finally:
        shared_parts.clear()


def _search(hydra: HydraSweep, arguments: Sequence[str]) -> SweepState:
    config, console = hydra.config, Console(stderr=True)

    def say(line: str) -> None:
        console.print(line, soft_wrap=True)

    request = search_request(config, hydra.parsed(arguments), hydra.hydra_context.config_loader, hydra.engine)
    place = sweep_place(config, request, hydra.engine)
    fixed = [*request.fixed, *_iteration_overrides(place)]
    past = past_of(config, request, place)
    if request.reuse == "replay":
        settings = request.settings.model_copy(update={"max_evals": len(past.queue)})
        request = replace(request, settings=settings)
    for line in _opening_lines(request, place, hydra.engine, past):
        say(line)
    say("preparing the data ...")
    data = data_of_search(trial_config(hydra, fixed), place)
    summary = SummaryFile()
    tracked = SweepRun(place.folder, sweep_name(place.folder, config.outputs), _tracked_config(config, place), say)
    try:
        state = hydra.run_search(
            request.space,
            request.settings,
            hooks=_hooks(hydra, request, place, fixed, tracked, summary, console),
            fixed=fixed,
            queue=past.queue,
            only_queue=request.reuse == "replay",
            observations=past.observations,
            sweep_dir=place.folder,
            extra={
                "iteration": {"name": place.iteration, "start_from": place.start_from},
                "batch_id": config.data.get("batch_id"),
                "data": data,
                "queue": past.queue,
                "observations": [list(pair) for pair in past.observations],
                "command": list(arguments),
            },
        )
    except KeyboardInterrupt:
        tracked.end("stopped")
        say(f"To go on: {shlex.join(['hft', 'train', '-m', *arguments])}")
        raise
    has_trained = sum(trial.state != "running" for trial in state.trials) > summary.ended_before
    return conclude(hydra, state, fixed, arguments, tracked, has_trained=has_trained)


def _iteration_overrides(place: SweepPlace) -> list[str]:
    if place.start_from is None:
        return []
    return [f"iteration.start_from={value_text(place.start_from)}", f"iteration.name={value_text(place.iteration)}"]


def _opening_lines(request: SearchRequest, place: SweepPlace, engine: str, past: Past) -> list[str]:
    """What is about to be searched, in words."""
    settings, size = request.settings, request.space.size
    points = "" if size is None else f", {counted(size, 'combination')}"
    stages = sum(stage.max_evals for stage in settings.stages)
    most = min((count for count in (settings.max_evals, stages or None) if count is not None), default=None)
    budget = [
        "" if most is None else counted(most, "trial"),
        "" if settings.timeout is None else f"{settings.timeout:g} s",
    ]
    how_long = " or ".join(filter(None, budget)) or "until nothing is left"
    lines = [
        f"search={request.name}: {counted(len(request.space), 'parameter')}{points}; {how_long}; "
        f"{engine} ({settings.algorithm or 'tpe'}); {settings.metric[0]}, {settings.direction[0]}",
        *request.notes,
    ]
    if place.start_from is not None:
        why = f": {place.why}" if place.why else ""
        lines.append(f"iteration {place.iteration}, from run {place.start_from[:8]}{why}")
    if past.queue:
        when = "and nothing else" if request.reuse == "replay" else "first"
        lines.append(f"search.reuse={request.reuse}: {counted(len(past.queue), 'parameter set')} of the past {when}")
    if past.observations:
        lines.append(
            f"{counted(len(past.observations), 'trial')} of the parent's iteration to learn from, by their ranks"
        )
    return [*lines, *past.notes]


def _tracked_config(config: DictConfig, place: SweepPlace) -> dict[str, Any]:
    plain: Any = OmegaConf.to_container(without_hydra(config), resolve=True)
    return {**plain, "iteration": {**plain["iteration"], "name": place.iteration, "start_from": place.start_from}}


def _hooks(
    hydra: HydraSweep,
    request: SearchRequest,
    place: SweepPlace,
    fixed: Sequence[str],
    tracked: SweepRun,
    summary: SummaryFile,
    console: Console,
) -> list[SweepHooks]:
    from hft.search.results.keep_models import KeepModels
    from hft.search.results.live_table import LiveTable
    from hft.search.results.result_files import ResultFiles

    config = hydra.config
    facts = {
        "space": request.space.to_dict(),
        "settings": request.settings.model_dump(mode="json"),
        "fixed": list(fixed),
    }
    return [
        summary,
        RecordedAnswers(
            KnownRuns(config.outputs, config.method.meta.name, place.iteration),
            lambda overrides: trial_config(hydra, overrides),
            parent=place.start_from,
            metrics=request.settings.metric,
            sweep_folder=place.folder,
        ),
        KeepModels(),
        ResultFiles(request.groups, fixed, without=("search",)),
        TrackedSweep(tracked, facts),
        LiveTable(console),
    ]
