"""Where configs are looked for: `--config-dir` and `./conf` of the current folder, then the packaged groups."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hft.errors import ConfigError

if TYPE_CHECKING:
    from hydra.core.config_search_path import ConfigSearchPath

CONFIG_MODULE = "hft.conf"

# A train.yaml whose defaults list names these groups is taken to be written for hft.
_GROUPS_OF_HFT = {"method", "model", "loss"}

_config_dir: ContextVar[Path | None] = ContextVar("hft_config_dir", default=None)


@contextmanager
def config_dir_first(config_dir: str | Path | None) -> Iterator[None]:
    """Within the block, search `config_dir` before every other folder of configs.

    Raises:
        ConfigError: the folder does not exist.
    """
    folder = None if config_dir is None else Path(config_dir).absolute()
    if folder is not None and not folder.is_dir():
        raise ConfigError(f"--config-dir: found {folder}, which is not a folder. Expected a folder of config groups.")
    token = _config_dir.set(folder)
    try:
        yield
    finally:
        _config_dir.reset(token)


def packaged_folder() -> Path:
    """The folder of the configs that come with hft."""
    return Path(str(files("hft").joinpath("conf")))


def user_folders() -> list[Path]:
    """The user's own folders of configs, first the one that wins. The packaged folder is never among them."""
    candidates = [_config_dir.get(), Path.cwd() / "conf"]
    packaged = packaged_folder()
    folders: list[Path] = []
    for folder in candidates:
        if folder is None or not folder.is_dir():
            continue
        if packaged.is_dir() and folder.samefile(packaged):
            continue
        if not any(folder.samefile(seen) for seen in folders):
            folders.append(folder)
    return folders


def prepend_user_folders(search_path: ConfigSearchPath) -> None:
    """Put the user's folders before the packaged one.

    Raises:
        ConfigError: one of them holds a train.yaml that was not written for hft.
    """
    from hydra.core.config_search_path import SearchPathQuery

    folders = user_folders()
    for folder in folders:
        refuse_foreign_train(folder)
    for folder in reversed(folders):
        search_path.prepend(
            "hft-user",
            f"file://{folder}",
            anchor=SearchPathQuery(provider="hft-user")
            if any(e.provider == "hft-user" for e in search_path.get_path())
            else SearchPathQuery(provider="main"),
        )


def refuse_foreign_train(folder: Path) -> None:
    """Refuse a train.yaml of another app: it would silently replace hft's whole config.

    Raises:
        ConfigError: `folder` holds a train.yaml whose defaults list does not name hft's groups.
    """
    path = folder / "train.yaml"
    if not path.is_file():
        return
    groups = _groups_of_defaults(path)
    if groups is not None and not groups >= _GROUPS_OF_HFT:
        missing = ", ".join(sorted(_GROUPS_OF_HFT - groups))
        raise ConfigError(
            f"{path}: this train.yaml was not written for hft (its defaults list does not name the groups {missing}) "
            "and would replace hft's own. Rename it, or run hft from another folder."
        )


def shadowed_files() -> list[tuple[Path, str]]:
    """Files of the user's folders that take the place of a packaged one, each with its name in the package."""
    packaged = packaged_folder()
    found = []
    for folder in user_folders():
        for path in sorted(folder.rglob("*.yaml")):
            name = path.relative_to(folder).as_posix()
            twin = packaged / name
            if twin.is_file() and twin.read_bytes() != path.read_bytes():
                found.append((path, name))
    return found


def _groups_of_defaults(path: Path) -> set[str] | None:
    """Groups that the defaults list of a file names; None where the file is not readable YAML (reported elsewhere)."""
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        return None
    defaults = content.get("defaults") if isinstance(content, dict) else None
    return {_group_name(entry) for entry in defaults or [] if isinstance(entry, dict)}


def _group_name(entry: dict[Any, Any]) -> str:
    key = str(next(iter(entry), ""))
    return key.split()[-1].split("@")[0].lstrip("/") if key.strip() else ""
