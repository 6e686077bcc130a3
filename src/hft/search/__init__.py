"""Search spaces, engines behind one ask/tell seam, and the sweep loop. Imports nothing at all until it is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hft.search.hooks import SweepHooks, SweepState
    from hft.search.launching.function_launcher import FunctionLauncher
    from hft.search.loop.sweep import Sweep
    from hft.search.pruning.current import CurrentTrial, current_trial, report
    from hft.search.settings import ALGORITHMS, PrunerSettings, SearchSettings, Stage
    from hft.search.spaces.identity import canonical
    from hft.search.spaces.overrides import override_lines, parameter_of
    from hft.search.spaces.space import SearchSpace, space_changes
    from hft.search.specs import Choice, Integer, Normal, Parameter, Params, RawValue, Uniform
    from hft.search.trial import Known, Outcome, Trial, TrialPruned

__all__ = [
    "ALGORITHMS",
    "Choice",
    "CurrentTrial",
    "FunctionLauncher",
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
    "Sweep",
    "SweepHooks",
    "SweepState",
    "Trial",
    "TrialPruned",
    "Uniform",
    "canonical",
    "current_trial",
    "override_lines",
    "parameter_of",
    "report",
    "space_changes",
]

_HOMES = {
    "ALGORITHMS": "settings",
    "Choice": "specs",
    "CurrentTrial": "pruning.current",
    "FunctionLauncher": "launching.function_launcher",
    "Integer": "specs",
    "Known": "trial",
    "Normal": "specs",
    "Outcome": "trial",
    "Parameter": "specs",
    "Params": "specs",
    "PrunerSettings": "settings",
    "RawValue": "specs",
    "SearchSettings": "settings",
    "SearchSpace": "spaces.space",
    "Stage": "settings",
    "Sweep": "loop.sweep",
    "SweepHooks": "hooks",
    "SweepState": "hooks",
    "Trial": "trial",
    "TrialPruned": "trial",
    "Uniform": "specs",
    "canonical": "spaces.identity",
    "current_trial": "pruning.current",
    "override_lines": "spaces.overrides",
    "parameter_of": "spaces.overrides",
    "report": "pruning.current",
    "space_changes": "spaces.space",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"hft.search.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'hft.search' has no attribute {name!r}")
