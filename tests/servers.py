"""Real servers for the tests that need one. Where a server's package is missing they are skipped, and fail in CI."""

from __future__ import annotations

import importlib
import os
from types import ModuleType
from typing import NoReturn

import pytest

# Fixtures that give a server. A test that asks for one has the mark `servers` (see conftest.py).
FIXTURES = frozenset({"postgres_server", "s3_server", "mlflow_server"})


def server_package(name: str) -> ModuleType:
    """The package that brings a server."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        lacking(f"no package {name} ({error}): scripts/install servers")


def lacking(reason: str) -> NoReturn:
    """Skips a test for want of a server; fails it where CI is true, as .ci/run sets it."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
