"""What of a search's settings cannot be together, whoever made them."""

from __future__ import annotations

from hft.errors import ConfigError
from hft.search.settings import SearchSettings


def check_settings(settings: SearchSettings) -> None:
    """Whether the settings go together.

    Raises:
        ConfigError: they contradict each other.
    """
    if len(settings.direction) != len(settings.metric):
        raise ConfigError(
            f"search.direction: {len(settings.direction)} given ({', '.join(settings.direction)}) for "
            f"{len(settings.metric)} metrics ({', '.join(settings.metric)}); expected one a metric"
        )
    if len(set(settings.metric)) < len(settings.metric):
        raise ConfigError(f"search.metric: found {', '.join(settings.metric)}; allowed: each metric once")
    pruner = settings.pruner
    if pruner is not None and pruner.kind == "hyperband" and pruner.max_reports is None:
        raise ConfigError(
            "search.pruner.max_reports: missing; hyperband needs the number of reports of a trial that is never stopped"
        )
