"""What single values cannot tell: whether parts of a config go together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hft.config.data_locations import check_data_locations
from hft.config.metric_checks import check_metrics
from hft.config.model_layers import check_fixed_layers
from hft.config.no_effect import warn_of_no_effect
from hft.config.paths_and_shares import check_model_folders, check_names, check_shares
from hft.config.picture_checks import check_pictures
from hft.config.report import CheckReport, Finding
from hft.config.targets import TargetChecker
from hft.config.trainer_flags import check_trainer
from hft.config.tree import ConfigTree

# Codes of params.examples_order that take pairs of irrelevant sessions only (hft.training.ExamplesType).
OF_IRRELEVANT_SESSIONS = {3, 6, 9, 10}


def cross_check(
    tree: ConfigTree, checker: TargetChecker, named: Iterable[str], defaults: dict[str, Any], report: CheckReport
) -> None:
    """Check what goes together.

    Args:
        tree: the config.
        checker: reads targets.
        named: dotted keys that the user named on the command line.
        defaults: the values of the shipped train.yaml, to tell which ones were set.
    """
    check_metrics(tree, checker, report)
    check_trainer(tree, report)
    check_shares(tree, checker, report)
    check_model_folders(tree, report)
    check_names(tree, report)
    check_data_locations(tree, checker, report)
    check_fixed_layers(tree, report)
    check_pictures(tree, checker, report)
    _check_curriculum(tree, report)
    warn_of_no_effect(tree, checker, set(named), defaults, report)


def _check_curriculum(tree: ConfigTree, report: CheckReport) -> None:
    order = tree.get("params.examples_order")
    if not isinstance(order, list) or tree.get("params.not_irrelevant_only") is not True:
        return
    empty = [code for code in order if code in OF_IRRELEVANT_SESSIONS]
    if empty:
        report.errors.append(
            Finding(
                "params.examples_order",
                f"found {empty[0]}, which takes pairs of irrelevant sessions, but params.not_irrelevant_only leaves "
                "those sessions out, so that there is no such pair",
                ", ".join(str(code) for code in range(1, 12) if code not in OF_IRRELEVANT_SESSIONS),
                advice="choose another code, or write params.not_irrelevant_only=false",
            )
        )
