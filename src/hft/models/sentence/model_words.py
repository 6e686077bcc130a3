"""What `config_sentence_transformers.json` says of a model as a whole: prompts, similarity, length of the vectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from hft.errors import ModelError
from hft.models.sentence.keys import read_object, refusal, value_of

__all__ = ["ModelWords", "Similarity", "read_model_words"]

Similarity = Literal["cosine", "dot", "euclidean", "manhattan"]
_SIMILARITIES = ("cosine", "dot", "euclidean", "manhattan")
# Names under which sentence-transformers' documentation has an item's prompt looked up; `encode_document` of 6.2 finds
# `document` alone.
_OTHER_ITEM_PROMPTS = ("passage", "corpus")


@dataclass(frozen=True)
class ModelWords:
    """What a folder says of the model as a whole.

    Args:
        file: where it stands.
        prompts: by name, as the folder has them; "" where one is null.
        default_prompt_name: of the prompt that `encode` takes where nobody says which.
        similarity: by which vectors are compared; None: nobody says.
        truncate_dim: numbers of a vector that are kept; None: all.
        default_route: of two towers, that of `encode` where nobody says which; None: the folder has no routes.
    """

    file: Path = Path("config_sentence_transformers.json")
    prompts: Mapping[str, str] = field(default_factory=dict)
    default_prompt_name: str | None = None
    similarity: Similarity | None = None
    truncate_dim: int | None = None
    default_route: str | None = None

    def query_prompt(self, wanted: str | None) -> str:
        """The text before each query: what the user wants, or what the folder says.

        Raises:
            ModelError: the folder can be read in two ways.
        """
        return self._prompt("model.query_prompt", "query", wanted)

    def item_prompt(self, wanted: str | None) -> str:
        """As `query_prompt`, for items."""
        for name in _OTHER_ITEM_PROMPTS:
            if wanted is None and "document" not in self.prompts and self.prompts.get(name):
                prompt = self.prompts[name]
                raise self._ambiguous(f"prompts.{name}", prompt, "model.item_prompt", "encode_document", prompt)
        return self._prompt("model.item_prompt", "document", wanted)

    def _prompt(self, key: str, name: str, wanted: str | None) -> str:
        if wanted is not None:
            return wanted
        default = self.prompts.get(self.default_prompt_name or "", "")
        if name not in self.prompts and default:
            method = f"encode_{name}"
            raise self._ambiguous("default_prompt_name", self.default_prompt_name, key, method, default)
        return self.prompts.get(name, "")

    def _ambiguous(self, said: str, value: Any, key: str, method: str, prompt: str) -> ModelError:
        quoted = "'" + prompt.replace("'", "\\'") + "'"
        return ModelError(
            f"{self.file}: {said}={value!r} can be read in two ways: sentence-transformers' encode uses this prompt "
            f'when asked, its {method} none. Say which prompt you want: {key}="{quoted}" or {key}="\'\'".'
        )


def read_model_words(folder: Path) -> ModelWords:
    """The words of a folder; none where the file is missing.

    Raises:
        ModelError: a key or a value that hft does not honour.
    """
    file = folder / "config_sentence_transformers.json"
    if not file.is_file():
        return ModelWords(file)
    config = read_object(file)  # sentence-transformers leaves out the keys that it does not know
    kind = config.get("model_type", "SentenceTransformer")
    if kind != "SentenceTransformer":
        raise refusal(file, "model_type", kind, "hft tunes models that give a text one vector. Choose such a model.")
    _require_requirements(file, config.get("requirements"))
    prompts = value_of(file, config, "prompts", dict, {})
    if any(not isinstance(prompt, str | None) for prompt in prompts.values()):
        raise refusal(file, "prompts", prompts, "Each prompt is a text. Correct the file.")
    default = value_of(file, config, "default_prompt_name", str)
    if default is not None and default not in {"query", "document", *prompts}:
        raise refusal(
            file, "default_prompt_name", default, f"Among the prompts are {sorted(prompts)}. Correct the file."
        )
    similarity = config.get("similarity_fn_name")
    if similarity not in (None, *_SIMILARITIES):
        raise refusal(file, "similarity_fn_name", similarity, f"Known are {', '.join(_SIMILARITIES)}.")
    dim = value_of(file, config, "truncate_dim", int)
    if dim is not None and dim < 1:
        raise refusal(file, "truncate_dim", dim, "A vector keeps 1 number or more. Correct the file.")
    texts = {name: prompt or "" for name, prompt in prompts.items()}
    return ModelWords(file, texts, default, similarity, dim)


def _require_requirements(file: Path, requirements: Any) -> None:
    """What the model asks of installed packages, as sentence-transformers checks it."""
    if not isinstance(requirements, dict):
        return
    import platform
    from importlib.metadata import PackageNotFoundError, version

    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    for package, wanted in requirements.items():
        if package.replace("_", "-") == "sentence-transformers":
            continue  # whose part hft does itself
        name = "torch" if package == "pytorch" else str(package)
        specifier = wanted.get("specifier", "") if isinstance(wanted, dict) else wanted
        try:
            found: str | None = platform.python_version() if name == "python" else version(name)
        except (PackageNotFoundError, ValueError):
            found = None
        try:
            met = found is not None and SpecifierSet(str(specifier)).contains(found, prereleases=True)
        except InvalidSpecifier:
            continue  # one that cannot be read asks for nothing
        if not met:
            advice = f"Installed is {found or 'no such package'}. Install what the model asks for: {name}{specifier}."
            raise refusal(file, f"requirements.{package}", wanted, advice)
