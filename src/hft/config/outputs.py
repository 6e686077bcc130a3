"""Whether runs can be written where the config says."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from hft.config.report import Finding

_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")


def check_outputs(config: DictConfig) -> list[Finding]:
    """Refuse a folder for runs that is a file, cannot be made or written, or whose path Hydra would misread.

    Nothing is left behind.

    Args:
        config: composed; an `outputs` that is no text is left to the check of types.
    """
    value = OmegaConf.select(config, "outputs", throw_on_resolution_failure=False)
    if not isinstance(value, str) or not value:
        return []
    folder = Path(value).absolute()
    if "${" in str(folder) or _CONTROLS.search(str(folder)):
        # Hydra keeps whole paths in its config and follows what it takes for references in them.
        found = (
            f"runs would lie in {str(folder)!r}: Hydra cannot keep apart ${{...}}, or a control character, in a path"
        )
        return [Finding("outputs", found, advice="rename that folder, or run hft from another one")]
    while not os.path.lexists(folder) and folder != folder.parent:
        folder = folder.parent
    reason = None
    if not folder.is_dir():
        reason = f"{folder} is not a folder"
    else:
        try:
            # Permissions alone do not tell: /proc and a read-only disk refuse root too.
            with tempfile.TemporaryDirectory(prefix=".hft-check-", dir=folder):
                pass
        except OSError as error:
            reason = error.strerror
    return [] if reason is None else [Finding("outputs", f"cannot write to {value} ({reason}). Set outputs=DIR")]


def run_folder(config: DictConfig) -> str | None:
    """Where a single run would land; None where only Hydra's job can tell.

    Args:
        config: composed, with Hydra's own node.
    """
    try:
        value = OmegaConf.select(config, "hydra.run.dir")
    except (OmegaConfBaseException, ValueError):
        return None
    return value if isinstance(value, str) else None
