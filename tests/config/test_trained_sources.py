"""A class is trusted without a word where this user trained with its very source; what a record says proves nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from hft.config import check_trusted
from hft.config.trained_sources import note_trained, source_hash
from hft.config.trust import own_classes
from hft.errors import ConfigError

CONFIG = OmegaConf.create({"loss": {"_target_": "own_losses.Mine", "slope": 1.0}})


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with a class of the user's, and an empty state folder."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = tmp_path / "place"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "own_losses.py").write_text("from own_slopes import slope\nclass Mine: ...\n")
    (folder / "own_slopes.py").write_text("slope = 1\n")
    return folder


def refused() -> bool:
    try:
        check_trusted(CONFIG)
    except ConfigError:
        return True
    return False


def test_a_class_is_trusted_once_the_user_has_trained_with_it() -> None:
    with pytest.raises(ConfigError, match=r"--trust own_losses\.Mine"):
        check_trusted(CONFIG)
    note_trained(own_classes(CONFIG))
    assert not refused()


@pytest.mark.parametrize("file", ["own_losses.py", "own_slopes.py"])
def test_another_source_is_another_class(place: Path, file: str) -> None:
    note_trained(own_classes(CONFIG))
    (place / file).write_text((place / file).read_text() + "import os\n")
    assert refused()


def test_the_same_source_elsewhere_is_trusted_and_at_another_node_it_is_not(
    place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    note_trained(own_classes(CONFIG))
    place.rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path / "moved")
    assert not refused()
    with pytest.raises(ConfigError, match="--trust"):
        check_trusted(OmegaConf.create({"method": CONFIG.loss}))


def test_another_user_has_not_trained_with_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    note_trained(own_classes(CONFIG))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another"))
    assert refused()


def test_a_package_is_hashed_with_every_module_in_it(place: Path) -> None:
    (place / "own_package" / "inner").mkdir(parents=True)
    (place / "own_package" / "classes.py").write_text("class Mine: ...\n")
    inner = place / "own_package" / "inner" / "values.py"
    inner.write_text("SIZE = 1\n")
    before = source_hash("own_package.classes.Mine")
    inner.write_text("SIZE = 2\n")
    assert before is not None
    assert source_hash("own_package.classes.Mine") not in (None, before)


def test_a_state_folder_that_cannot_be_written_to_costs_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    note_trained(own_classes(CONFIG))
    assert refused()
