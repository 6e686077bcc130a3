"""Search spaces, engines behind one ask/tell seam, and the sweep loop. Imports nothing at all until it is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hft.search.identity import canonical
    from hft.search.overrides import override_lines, parameter_of
    from hft.search.settings import ALGORITHMS, PrunerSettings, SearchSettings, Stage
    from hft.search.space import SearchSpace, space_changes
    from hft.search.specs import Choice, Integer, Normal, Parameter, Params, RawValue, Uniform
    from hft.search.trial import Known, Outcome, Trial, TrialPruned

__all__ = [
    "ALGORITHMS",
    "Choice",
    "Integer",
    "Known",
    "Normal",
    "Outcome",
    "Parameter",
    "Params",
    "PrunerSettings",
    "RawValue",
    "SearchSettings",
    "SearchSpace",
    "Stage",
    "Trial",
    "TrialPruned",
    "Uniform",
    "canonical",
    "override_lines",
    "parameter_of",
    "space_changes",
]

_HOMES = {
    "ALGORITHMS": "settings",
    "Choice": "specs",
    "Integer": "specs",
    "Known": "trial",
    "Normal": "specs",
    "Outcome": "trial",
    "Parameter": "specs",
    "Params": "specs",
    "PrunerSettings": "settings",
    "RawValue": "specs",
    "SearchSettings": "settings",
    "SearchSpace": "space",
    "Stage": "settings",
    "Trial": "trial",
    "TrialPruned": "trial",
    "Uniform": "specs",
    "canonical": "identity",
    "override_lines": "overrides",
    "parameter_of": "overrides",
    "space_changes": "space",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"hft.search.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'hft.search' has no attribute {name!r}")
