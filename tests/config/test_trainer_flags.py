"""Every flag of Lightning's Trainer is run with as it says, or refused by the check."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from hft.config import check
from hft.config.trainer_flags import OWNED, TrainerFlags


def errors(*overrides: str) -> dict[str, str]:
    return {finding.where: str(finding) for finding in check(overrides).errors}


def test_every_flag_of_lightnings_is_known() -> None:
    from pytorch_lightning import Trainer

    flags = set(inspect.signature(Trainer).parameters)
    assert flags == set(TrainerFlags.model_fields) | set(OWNED)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("trainer.accumulate_grad_batches=0", "greater than or equal to 1"),
        ("trainer.accumulate_grad_batches=true", "found True"),
        ("trainer.gradient_clip_val=-1", "greater than or equal to 0"),
        ("trainer.gradient_clip_val=nan", "a finite number"),
        ("+trainer.gradient_clip_algorithm=max", "'norm' or 'value'"),
        ("trainer.max_steps=-2", "greater than or equal to -1"),
        ("trainer.max_steps=null", "found None"),
        ("+trainer.min_steps=0", "greater than or equal to 1"),
        ("+trainer.min_epochs=2", "more than settings.num_epochs=1"),
        ("+trainer.max_time=9", "DD:HH:MM:SS"),
        ("+trainer.max_time='00:10'", "DD:HH:MM:SS"),
        ("+trainer.max_time='00:00:00:00'", "above 0"),
        ("+trainer.max_time={minutes:0}", "above 0"),
        ("+trainer.max_time={minuts:3}", "{minutes: 10}"),
        ("+trainer.limit_train_batches=0", "greater than or equal to 1"),
        ("+trainer.limit_train_batches=1.5", "less than or equal to 1"),
        ("+trainer.overfit_batches=2", "data.limit_sessions"),
        ("+trainer.limit_test_batches=2", "data.limit_sessions"),
        ("trainer.accelerator=tpu", "'auto', 'cpu', 'gpu' or 'cuda'"),
        ("trainer.precision=16", "weights stay in float32"),
        ("+trainer.profiler=slow", "'simple', 'advanced' or 'pytorch'"),
        ("+trainer.callbacks=3", "a list of nodes with a _target_"),
        ("+trainer.callbacks={a:1}", "a list of nodes with a _target_"),
        ("+trainer.plugins=[slurm]", "a list of nodes with a _target_"),
        ("trainer.log_every_n_steps=50", "every step is written down"),
        ("trainer.enable_progress_bar=3", "a valid boolean"),
        ("+trainer.deterministic=often", "'warn'"),
        ("+trainer.default_root_dir=x", "set outputs"),
        ("+trainer.barebones=true", "leave the flag out"),
        ("+trainer.reload_dataloaders_every_n_epochs=1", "leave the flag out"),
        ("trainer._partial_=false", "allowed: true"),
    ],
)
def test_a_flag_that_would_end_the_training_or_change_nothing_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, override: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    found = errors(override)
    where = override.partition("=")[0].removeprefix("+")
    assert [key for key in found if key.startswith(where)]
    assert says in " ".join(found.values())


@pytest.mark.parametrize(
    "override",
    [
        "+trainer.max_time={minutes:3}",
        "+trainer.limit_train_batches=0.5",
        "+trainer.limit_train_batches=3",
        "+trainer.callbacks=null",
        "+trainer.callbacks=[{_target_:pytorch_lightning.callbacks.LearningRateFinder}]",
        "+trainer.profiler=simple",
        "+trainer.deterministic=warn",
        "+trainer.detect_anomaly=true",
        "trainer.gradient_clip_val=null",
        "trainer.precision=32",
        "trainer.max_steps=-1",
    ],
)
def test_a_flag_that_a_training_can_be_run_with_is_not_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, override: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert errors(override) == {}
