"""Puts the user's own configs before the packaged ones."""

from __future__ import annotations

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin


class HftSearchPathPlugin(SearchPathPlugin):
    """Searches `./conf` of the current folder first, in hft's own app and in no other."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Add the user's folders when the main config is hft's; leave every other app as it is.

        Raises:
            ConfigError: `./conf/train.yaml` belongs to another app.
        """
        if any(entry.provider == "main" and entry.path == "pkg://hft.conf" for entry in search_path.get_path()):
            from hft.config.searchpath import prepend_user_folders

            prepend_user_folders(search_path)
