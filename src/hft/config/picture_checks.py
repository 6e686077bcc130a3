"""Whether a method whose items are pictures gets some, and nothing that only texts have."""

from __future__ import annotations

from typing import Any

from hft.config.report import CheckReport, Finding
from hft.config.targets import TargetChecker
from hft.config.tree import ConfigTree

# Class variables that say it, of methods and of sources.
_RANKS_PICTURES, _HAS_PICTURES = "ranks_pictures", "has_pictures"


def check_pictures(tree: ConfigTree, checker: TargetChecker, report: CheckReport) -> None:
    """Refuse a source of texts, parts and changed words where items are pictures; of a source of one's own nothing is
    told."""
    if checker.constant_of(tree.get("method"), _RANKS_PICTURES) is not True:
        return
    source: Any = tree.get("data.source")
    target = source.get("_target_") if isinstance(source, dict) else None
    is_ours = isinstance(target, str) and target.startswith("hft.")
    if is_ours and checker.constant_of(source, _HAS_PICTURES) is not True:
        found = f"found {target}, whose items are texts, but the items of this method are pictures"
        advice = "choose data=pictures, or a method for texts: method=text"
        report.errors.append(Finding("data.source", found, advice=advice))
    for key, what in (("data.item_splitter", "parts"), ("data.augmentation.items", "words to change")):
        if tree.get(key) is not None:
            found = f"is set, but the items of this method are pictures, which have no {what}"
            report.errors.append(Finding(key, found, advice=f"write {key}=null"))
