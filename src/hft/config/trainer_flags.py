"""Flags of Lightning's Trainer: what may be set, what hft sets itself, and what must agree with other keys."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from hft.config.report import CheckReport, Finding
from hft.config.schema import Target
from hft.config.tree import UNKNOWN, ConfigTree, has_unknown
from hft.config.validation import findings_of

_DISTRIBUTED = "more than one device comes with the distributed engines"
_A_TIME = "DD:HH:MM:SS (00:00:10:00 is ten minutes), or a mapping such as {minutes: 10}; above 0"


def _is_a_time(value: Any) -> Any:
    if isinstance(value, str):
        if not re.fullmatch(r"\d+:\d\d:\d\d:\d\d", value) or not any(map(int, value.split(":"))):
            raise ValueError(_A_TIME)
    elif value is not None:
        try:
            lasts = isinstance(value, dict) and timedelta(**value) > timedelta()
        except (TypeError, OverflowError):
            lasts = False
        if not lasts:
            raise ValueError(_A_TIME)
    return value


def _are_targets(value: Any) -> Any:
    nodes = [] if value is None else value
    if not isinstance(nodes, list) or not all(isinstance(node, dict) and "_target_" in node for node in nodes):
        raise ValueError("a list of nodes with a _target_: [{_target_: my_callbacks.Mine}]")
    return value


Count = Annotated[int, Field(ge=1)]
Targets = Annotated[Any, AfterValidator(_are_targets)]


class TrainerFlags(BaseModel):
    """Flags that a user may set, with the values that a training can be run with; `description` says what to do."""

    model_config = ConfigDict(extra="ignore", strict=True)

    accelerator: Literal["auto", "cpu", "gpu", "cuda"] = "auto"
    strategy: Any = "auto"
    devices: Any = 1
    num_nodes: Any = 1
    precision: Literal["auto", "32-true", "bf16-mixed", "32", "bf16", 32] = Field(
        "auto", description="weights stay in float32; fp16 is not offered: bf16 is as fast, and needs no scaled loss"
    )
    callbacks: Targets = None
    plugins: Targets = None
    max_epochs: Any = None
    min_epochs: Count | None = None
    max_steps: Annotated[int, Field(ge=-1)] = -1
    min_steps: Count | None = None
    max_time: Annotated[Any, AfterValidator(_is_a_time)] = None
    limit_train_batches: Count | Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    enable_checkpointing: bool | None = None
    enable_progress_bar: bool | None = None
    accumulate_grad_batches: Count = Field(1, description="1 does not accumulate")
    gradient_clip_val: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] | None = Field(
        None, description="null does not clip"
    )
    gradient_clip_algorithm: Literal["norm", "value"] | None = None
    deterministic: bool | Literal["warn"] | None = None
    benchmark: bool | None = None
    profiler: Literal["simple", "advanced", "pytorch"] | Target | None = None
    detect_anomaly: bool = False


@dataclass(frozen=True)
class _Owned:
    """A flag that is hft's to set.

    Args:
        harmless: values that change nothing.
        advice: what to set instead.
    """

    harmless: tuple[Any, ...]
    advice: str


_WHEN_TO_VALIDATE = "to validate more or less often, set settings.test_each_n_inputs"
_OF_THE_VALIDATION = "to make validation faster, set data.validation_pool or data.limit_sessions"
_OF_EVALUATION = "test is measured whole; to measure less of it, set data.limit_sessions"
_LEAVE_OUT = "leave the flag out"

# hft.running.assembly.trainer_of hands these to Lightning, or could not do its work under another value, or the value
# would change nothing.
OWNED = {
    "val_check_interval": _Owned((None,), _WHEN_TO_VALIDATE),
    "check_val_every_n_epoch": _Owned((None,), _WHEN_TO_VALIDATE),
    "limit_val_batches": _Owned((None, 1, 1.0), _OF_THE_VALIDATION),
    "limit_test_batches": _Owned((None, 1.0), _OF_EVALUATION),
    "limit_predict_batches": _Owned((None, 1.0), _OF_EVALUATION),
    "overfit_batches": _Owned((0,), "to train on a few sessions, set data.limit_sessions"),
    "num_sanity_val_steps": _Owned((0,), f"hft validates the starting model before the first step; {_LEAVE_OUT}"),
    "logger": _Owned((False, None), "to choose where a run is tracked, set tracking: tracking=local, csv or server"),
    "log_every_n_steps": _Owned((None, 1), "every step is written down, whatever it says"),
    "inference_mode": _Owned((False,), f"validation must leave the model fit for training; {_LEAVE_OUT}"),
    "enable_model_summary": _Owned((False, None), f"hft prints what it does itself; {_LEAVE_OUT}"),
    "use_distributed_sampler": _Owned((False,), f"hft draws its own batches; {_LEAVE_OUT}"),
    "reload_dataloaders_every_n_epochs": _Owned((0,), f"each epoch has its own order and draws; {_LEAVE_OUT}"),
    "fast_dev_run": _Owned((False, 0), "for a short run that passes every stage, write trainer=debug"),
    "barebones": _Owned((False,), f"a run could not be validated nor written down; {_LEAVE_OUT}"),
    "sync_batchnorm": _Owned((False,), _LEAVE_OUT),
    "default_root_dir": _Owned((None,), "to choose where runs land, set outputs"),
    "enable_autolog_hparams": _Owned((True, False), _LEAVE_OUT),
    "model_registry": _Owned((None,), "to put models into the tracking store, set tracking.log_model=true"),
}


def check_trainer(tree: ConfigTree, report: CheckReport) -> None:
    """Check the node `trainer` against the rest of the config."""
    trainer = tree.get("trainer")
    if not isinstance(trainer, dict):
        return
    found = [*_of_owned(trainer), *_of_values(trainer)]
    if trainer.get("_partial_") is not True:
        found.append(
            Finding("trainer._partial_", f"found {trainer.get('_partial_')!r}: hft adds arguments of its own", "true")
        )
    told = {error.where for error in report.errors}
    report.errors.extend(finding for finding in found if finding.where not in told)
    _check_length(tree, trainer, report)
    _check_one_device(trainer, report)


def _of_owned(trainer: dict[str, Any]) -> list[Finding]:
    found = []
    for name, owned in OWNED.items():
        value = trainer.get(name, UNKNOWN)
        if value is UNKNOWN or any(value is other or _equal_numbers(value, other) for other in owned.harmless):
            continue
        found.append(Finding(f"trainer.{name}", f"found {value!r}, but hft sets this flag itself", advice=owned.advice))
    return found


def _of_values(trainer: dict[str, Any]) -> list[Finding]:
    given = {name: value for name, value in trainer.items() if not has_unknown(value)}
    try:
        TrainerFlags.model_validate(given)
    except ValidationError as error:
        fields = TrainerFlags.model_fields
        findings = findings_of(error, "trainer", given, TrainerFlags)
        advice = {f"trainer.{name}": field.description for name, field in fields.items()}
        return [Finding(f.where, f.found, f.allowed, f.nearest, f.advice or advice.get(f.where)) for f in findings]
    return []


def _equal_numbers(value: Any, other: Any) -> bool:
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in (value, other))
    return numbers and bool(value == other)


def _check_length(tree: ConfigTree, trainer: dict[str, Any], report: CheckReport) -> None:
    epochs, given = tree.get("settings.num_epochs"), trainer.get("max_epochs")
    if type(epochs) is int and given is not UNKNOWN and given != epochs:
        found = f"found {given!r}" if "max_epochs" in trainer else "is not there"
        report.errors.append(
            Finding(
                "trainer.max_epochs",
                f"{found}, but settings.num_epochs is {epochs}: schedule and curriculum would count other epochs than "
                "the trainer runs",
                "${settings.num_epochs}",
                advice="set settings.num_epochs, and leave trainer.max_epochs as it is shipped",
            )
        )
    for name in ("min_epochs", "min_steps"):
        least, most = trainer.get(name), epochs if name == "min_epochs" else trainer.get("max_steps", -1)
        if type(least) is int and type(most) is int and 0 < most < least:
            owner = "settings.num_epochs" if name == "min_epochs" else "trainer.max_steps"
            report.errors.append(Finding(f"trainer.{name}", f"found {least}, more than {owner}={most}"))
    if type(trainer.get("max_steps")) is int and trainer["max_steps"] == 0:
        report.errors.append(
            Finding(
                "trainer.max_steps",
                "found 0, so that nothing would be trained",
                "-1 (no limit), or a positive count of optimizer steps",
                advice="to measure a model without training it: hft evaluate MODEL",
            )
        )


def _check_one_device(trainer: dict[str, Any], report: CheckReport) -> None:
    devices = trainer.get("devices")
    one = devices in (None, 1, "1", UNKNOWN) or (isinstance(devices, list) and len(devices) == 1)
    # A string such as "0," names the indices of devices.
    if isinstance(devices, str) and len([part for part in devices.split(",") if part.strip()]) == 1 and "," in devices:
        one = True
    if isinstance(devices, bool) or not one:
        report.errors.append(
            Finding(
                "trainer.devices",
                f"found {devices!r}; {_DISTRIBUTED}",
                "1, or a list with one index",
                advice="write trainer.devices=1",
            )
        )
    nodes = trainer.get("num_nodes")
    if nodes not in (None, 1, UNKNOWN):
        found = f"found {nodes!r}; more than one node comes with the distributed engines"
        report.errors.append(Finding("trainer.num_nodes", found, "1"))
    strategy = trainer.get("strategy")
    if isinstance(strategy, str) and strategy not in ("auto", "single_device"):
        report.errors.append(Finding("trainer.strategy", f"found {strategy}; {_DISTRIBUTED}", "auto or single_device"))
