"""hft (Hydra Fine-Tuning): fine-tune models from a declaration.

`hft.compose(overrides)` gives a config, `hft.train(config)` runs it and gives its report, `hft.load(run)` gives the
tuned model. Importing hft imports nothing heavy.
"""

import sys

if sys.argv[:1] == ["-m"] and not sys.flags.safe_path:
    # `python -m hft` puts the current folder first on the import path: whatever lies there would run as `typing`.
    del sys.path[0]

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hft.api import load
    from hft.config import compose
    from hft.train import train

    __version__: str

__all__ = ["__version__", "compose", "load", "train"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("hft")
        except PackageNotFoundError:
            return "0+unknown"
    if name == "train":
        # The module, which can be called: it is also `python -m hft.train`.
        from importlib import import_module

        return import_module("hft.train")
    if name == "compose":
        from hft.config import compose

        return compose
    if name == "load":
        from hft.api import load

        return load
    raise AttributeError(f"module 'hft' has no attribute {name!r}")
