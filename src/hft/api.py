"""What `hft` offers from Python beside composing and training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hft.threads import wait_politely
from hft.user_modules import seek_user_modules

if TYPE_CHECKING:
    from hft.models import ImageTextModel, TextEmbeddingModel


def load(run: str | Path, outputs: str | Path = "outputs") -> TextEmbeddingModel | ImageTextModel:
    """The tuned model of a run.

    Args:
        run: a run folder, or an id or name that `hft runs` lists; the folder of a saved model as well.
        outputs: where runs land.

    Raises:
        RunNotFoundError: no run answers to it.
        ModelError: its model cannot be loaded.
    """
    wait_politely()
    seek_user_modules()
    from hft.experiments import find_run
    from hft.experiments.run_model import require_model
    from hft.models import load_saved_model

    folder = Path(run)
    if not (folder / "modules.json").is_file() and not (folder / "config.json").is_file():
        folder = require_model(find_run(str(run), str(outputs)), outputs)
    return load_saved_model(folder)
