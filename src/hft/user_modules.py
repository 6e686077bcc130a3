"""Modules of the user's own folder: sought only for classes that a config names, after the installed packages.

The current folder is on nobody's import path. A `yaml.py` that lies beside somebody's outputs must not run because a
library asks for `yaml`, nor a `tensorflow.py` because one asks whether there is such a package.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    ModuleSpec,
    SourceFileLoader,
)
from types import CodeType, FrameType, ModuleType

# Python's own switch: a child process does not put the current folder on its import path.
SAFE_PATH = "PYTHONSAFEPATH"

# Where Hydra turns a `_target_` into an object.
_TARGETS_ARE_LOCATED = ("hydra._internal.utils", "_locate")
_IMPORT_SYSTEM = {"importlib", "_frozen_importlib", "_frozen_importlib_external"}


class _UncachedSource(SourceFileLoader):
    """Runs the source that lies there: bytecode beside it may be another's."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


def find_user_module(name: str, folders: Sequence[str] | None = None) -> ModuleSpec | None:
    """Where a module of the user's lies; it is not imported.

    Args:
        name: dotted.
        folders: of the package that it is in; None: the current folder, for a module at the top.
    """
    for folder in [_current_folder()] if folders is None else folders:
        finder = FileFinder(folder, (ExtensionFileLoader, EXTENSION_SUFFIXES), (_UncachedSource, SOURCE_SUFFIXES))
        spec = finder.find_spec(name)
        if spec is not None:
            return spec
    return None


def installed_module(name: str) -> ModuleSpec | None:
    """Where a module at the top lies by all other rules of Python: installed, on PYTHONPATH, of an app's own folder."""
    for finder in sys.meta_path:
        if finder is not _finder and hasattr(finder, "find_spec"):
            spec = finder.find_spec(name, None)
            if spec is not None:
                return spec
    return None


def seek_user_modules() -> None:
    """From now on classes that configs name are found in the folder that is current now, unless one is installed."""
    _finder.folder = _current_folder()
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


class _UserModules(MetaPathFinder):
    """Answers Hydra, which asks for a `_target_`, and modules of the user's folder, which import each other."""

    def __init__(self) -> None:
        self.folder = ""
        self._found: set[str] = set()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        top = fullname.partition(".")[0]
        if path is not None:
            return find_user_module(fullname, list(path)) if top in self._found else None
        if not self._may_be_sought(sys._getframe(1)) or installed_module(fullname) is not None:
            return None
        spec = find_user_module(fullname, [self.folder])
        if spec is not None:
            self._found.add(fullname)
        return spec

    def _may_be_sought(self, frame: FrameType | None) -> bool:
        while frame is not None and _top_name(frame) in _IMPORT_SYSTEM:
            frame = frame.f_back
        if frame is None:
            return False
        asks = (frame.f_globals.get("__name__"), frame.f_code.co_name)
        return asks == _TARGETS_ARE_LOCATED or _top_name(frame) in self._found


def _current_folder() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:  # it was removed
        return os.devnull


def _top_name(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


_finder = _UserModules()
