"""The single train entrypoint: from a composed config to a tuned model, its report and its record.

`hft.train(config)` and `hft train` both end here. Heavy packages are imported inside functions, so that a
refused config costs no import of torch.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hft.stopping import terminations_heard
from hft.threads import wait_politely
from hft.user_modules import seek_user_modules

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from hft.metrics import Report
    from hft.running import Trial


def train(
    config: DictConfig,
    *,
    folder: str | Path | None = None,
    choices: Mapping[str, Any] | None = None,
    overrides: Sequence[str] | None = None,
    trial: Trial | None = None,
    elsewhere: bool = False,
) -> Report:
    """Fine-tunes as the config declares.

    Args:
        config: composed and complete, as hft.compose gives it. It is checked first.
        folder: where the run lands; None makes a new folder under `config.outputs`. In the folder of a run that was
            interrupted and has the same config, that one is resumed: it ends as if nothing had happened.
        choices: option of each config group, for the record; None asks Hydra.
        overrides: as given on the command line, for the record; None asks Hydra.
        trial: where the run is one of a sweep's (see hft.running.Trial). A search trial measures validation alone.
        elsewhere: resumes a run whose record says that it is running on another machine: its process has ended.

    Returns:
        the report on the test split; `report.json` in the run's folder holds the same. Of a search trial: on
        validation.

    Raises:
        ConfigError, DataError, ModelError: the request was wrong; nothing was trained.
        TrainingError, StorageError: it was tried and did not succeed; the record says so.
        TrialPruned: the search stopped its trial.
    """
    wait_politely()
    seek_user_modules()
    from hft.config import require_valid

    require_valid(config)
    from hydra.utils import instantiate

    from hft.experiments import recorded_in, require_apart
    from hft.running import Run, drop_checkpoints, fit, on_device, params_of, parts_of, settings_of, settled

    config = settled(config)
    if folder is not None and trial is None and recorded_in(folder) is None:
        require_apart(folder)
    run = Run(config, folder, choices=choices, overrides=overrides, trial=trial, elsewhere=elsewhere)
    with terminations_heard(), run:
        config = run.config
        method = instantiate(config.method)
        params, settings = params_of(config), settings_of(config)

        with run.phase("data"):
            data = run.prepare(method)
        with run.phase("model"):
            model = run.starting_model()
            instantiate(config.technique).apply(model, params)
            texts = run.tokenize(method, model, data)
        run.begin(data, model)

        layers = run.fixed_layers_kept(method, model, texts, settings, params)
        with on_device(model, run.surroundings), layers:
            start = run.measure(method, model, texts, settings)
            with run.phase("training"):
                module = method.build(model, texts, settings, params, **parts_of(config, run.precision))
                fit(module, method, config, run, None if run.resumption is None else run.resumption.checkpoint)
            tuned = run.measure(method, model, texts, settings, start=start)

        report: Report = method.evaluate(
            start, tuned, texts, settings, module=module, seed=config.seed, curves=run.curves, seconds=run.seconds
        )
        values = method.validation_values(module, texts)
        if start is not None:
            values |= {**method.values(start, tuned, texts), **run.initial_values(method, data, settings)}
        run.finish(report, model, values)
        drop_checkpoints(config, run.folder)
    return report


class _CallableModule(types.ModuleType):
    """Lets `hft.train` be both this module (`python -m hft.train`) and the function (`hft.train(config)`)."""

    def __call__(self, config: DictConfig, **options: Any) -> Report:
        return train(config, **options)


sys.modules[__name__].__class__ = _CallableModule

if __name__ == "__main__":
    from hft.cli import main

    sys.exit(main(["train", *sys.argv[1:]]))
