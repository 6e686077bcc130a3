"""Values that each are right, and that the run would refuse: shares that leave nothing, models and names."""

from __future__ import annotations

from pathlib import Path

from hft.config.report import CheckReport, Finding
from hft.config.targets import TargetChecker
from hft.config.tree import ConfigTree
from hft.names import EXPECTED_NAME, why_no_name

_LOADER = "hft.models.load_text_model"

# A text that starts so is a path and no name on a hub.
_STARTS_OF_PATHS = ("/", "./", "../", "~")


def check_shares(tree: ConfigTree, checker: TargetChecker, report: CheckReport) -> None:
    """Refuse shares of validation and test that leave nothing for train, where hft's own splitter gets them."""
    node = tree.get("data.splitter")
    if not isinstance(node, dict) or not str(node.get("_target_")).startswith("hft.data."):
        return
    validation, test = (checker.argument(node, name) for name in ("validation", "test"))
    numbers = all(isinstance(share, int | float) for share in (validation, test))
    if numbers and validation + test >= 1.0:
        found = f"found {validation}, and data.splitter.test is {test}: nothing is left for train"
        report.errors.append(Finding("data.splitter.validation", found, "both together less than 1"))


def check_names(tree: ConfigTree, report: CheckReport) -> None:
    """Refuse names that become folders, and lead out of theirs or cannot be made."""
    for key in ("method.meta.name", "iteration.name"):
        name = tree.get(key)
        if isinstance(name, str) and (reason := why_no_name(name)) is not None:
            report.errors.append(Finding(key, f"found {name!r}, which {reason}", EXPECTED_NAME))


def check_model_folders(tree: ConfigTree, report: CheckReport) -> None:
    """Refuse a path of a model at which there is no folder."""
    if tree.get("model._target_") != _LOADER:
        return
    for key in ("model.source", "model.items_source"):
        value = tree.get(key)
        if isinstance(value, str) and value.startswith(_STARTS_OF_PATHS) and not Path(value).expanduser().is_dir():
            found = f"there is no folder {value}"
            report.errors.append(Finding(key, found, "a folder with config.json, tokenizer.json and model.safetensors"))
