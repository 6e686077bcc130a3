"""Flags of Lightning's Trainer that hft sets itself, and those that must agree with other keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hft.config.report import CheckReport, Finding
from hft.config.tree import UNKNOWN, ConfigTree

_DISTRIBUTED = "more than one device comes with the distributed engines"


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

# hft.running.assembly.trainer_of hands these to Lightning, or could not do its work under another value.
OWNED = {
    "val_check_interval": _Owned((None,), _WHEN_TO_VALIDATE),
    "check_val_every_n_epoch": _Owned((None,), _WHEN_TO_VALIDATE),
    "limit_val_batches": _Owned((None, 1, 1.0), _OF_THE_VALIDATION),
    "num_sanity_val_steps": _Owned((0,), "hft validates the starting model before the first step; leave the flag out"),
    "logger": _Owned((False, None), "to choose where a run is tracked, set tracking: tracking=local, csv or server"),
    "inference_mode": _Owned((False,), "validation must leave the model fit for training; leave the flag out"),
    "enable_model_summary": _Owned((False,), "hft prints what it does itself; leave the flag out"),
    "use_distributed_sampler": _Owned((False,), "hft draws its own batches; leave the flag out"),
    "fast_dev_run": _Owned((False, 0), "for a short run that passes every stage, write trainer=debug"),
}


def check_trainer(tree: ConfigTree, report: CheckReport) -> None:
    """Check the node `trainer` against the rest of the config."""
    trainer = tree.get("trainer")
    if not isinstance(trainer, dict):
        return
    for name, owned in OWNED.items():
        value = trainer.get(name, UNKNOWN)
        if value is UNKNOWN or any(value is other or _equal_numbers(value, other) for other in owned.harmless):
            continue
        report.errors.append(
            Finding(f"trainer.{name}", f"found {value!r}, but hft sets this flag itself", advice=owned.advice)
        )
    _check_length(tree, trainer, report)
    _check_one_device(trainer, report)


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
