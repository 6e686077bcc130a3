"""What stands behind the encoder: pooling, and the modules after it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hft.errors import ModelError
from hft.models.sentence.keys import read_object, refusal, require_known, value_of

__all__ = [
    "ACTIVATIONS",
    "POOLING_FLAGS",
    "POOLING_MODES",
    "DenseLayout",
    "DropoutLayout",
    "HeadLayout",
    "NormLayout",
    "NormalizeLayout",
    "PoolingLayout",
    "PoolingMode",
    "read_head_module",
    "read_pooling",
]

PoolingMode = Literal["mean", "cls", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]
POOLING_MODES: tuple[PoolingMode, ...] = ("mean", "cls", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")

# The older spelling, a flag a mode; several are put side by side in this order.
POOLING_FLAGS: dict[str, PoolingMode] = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
# The width is the encoder's, whatever stands there.
_WIDTHS = ("embedding_dimension", "word_embedding_dimension")

# Of torch.nn.modules.activation: those without weights and without arguments, by class name; and none at all.
ACTIVATIONS = (
    "Identity", "Tanh", "GELU", "ReLU", "ReLU6", "SiLU", "Sigmoid", "LogSigmoid", "ELU", "SELU", "CELU", "LeakyReLU",
    "Mish", "Softplus", "Softsign", "Softshrink", "Hardshrink", "Tanhshrink", "Hardtanh", "Hardswish", "Hardsigmoid",
)  # fmt: skip

_ELSEWHERE = "hft's modules after pooling read and write the text's vector. Choose another model."


@dataclass(frozen=True)
class PoolingLayout:
    """How tokens become a text: the modes' vectors side by side, with the prompt's tokens or without."""

    modes: tuple[PoolingMode, ...] = ("mean",)
    include_prompt: bool = True


@dataclass(frozen=True)
class DenseLayout:
    """A dense layer: where its weights are, its shape, and the class name of its activation."""

    folder: Path
    in_features: int
    out_features: int
    bias: bool = True
    activation: str = "Tanh"
    residual: bool = False


@dataclass(frozen=True)
class NormLayout:
    """A layer norm of so many features; its weights are in the folder."""

    folder: Path
    dimension: int


@dataclass(frozen=True)
class DropoutLayout:
    """Dropout of the text's vector, in training alone."""

    probability: float


@dataclass(frozen=True)
class NormalizeLayout:
    """Vectors get length 1."""


HeadLayout = DenseLayout | NormLayout | DropoutLayout | NormalizeLayout


def read_pooling(folder: Path) -> PoolingLayout:
    """A Pooling module's config.

    Raises:
        ModelError: a key or a mode that nobody knows.
    """
    file = folder / "config.json"
    config = read_object(file)
    require_known(file, config, ("pooling_mode", "include_prompt", *_WIDTHS, *POOLING_FLAGS))
    mode = config.get("pooling_mode")
    modes = [mode] if isinstance(mode, str) else mode
    if modes is None:
        modes = [name for flag, name in POOLING_FLAGS.items() if config.get(flag)] or ["mean"]
    if not isinstance(modes, list) or not modes or any(name not in POOLING_MODES for name in modes):
        raise refusal(file, "pooling_mode", mode, f"Known are {', '.join(POOLING_MODES)}, or a list of them.")
    return PoolingLayout(tuple(modes), value_of(file, config, "include_prompt", bool, True))


def read_head_module(kind: str, folder: Path) -> HeadLayout | None:
    """A module that stands after pooling; None where the kind is none of these.

    Raises:
        ModelError: a key or a value that hft does not honour.
    """
    if kind == "Dense":
        return _dense(folder)
    if kind == "LayerNorm":
        file, config = _config(folder, ("dimension",))
        return NormLayout(folder, _needed(file, config, "dimension"))
    if kind == "Dropout":
        file, config = _config(folder, ("dropout",))
        probability = float(value_of(file, config, "dropout", (int, float), 0.2))  # type: ignore[arg-type]
        if not 0.0 <= probability < 1.0:
            raise refusal(file, "dropout", probability, "It is a share, 0 or more and below 1.")
        return DropoutLayout(probability)
    if kind == "Normalize":
        file = folder / "config.json"
        config = read_object(file) if file.is_file() else {}
        require_known(file, config, ("module_input_name", "module_output_name"))
        _require_plain_names(file, config)
        return NormalizeLayout()
    return None


def _dense(folder: Path) -> DenseLayout:
    file = folder / "config.json"
    config = read_object(file)  # sentence-transformers leaves out the keys of a Dense that it does not know
    _require_plain_names(file, config)
    path = value_of(file, config, "activation_function", str, "torch.nn.modules.activation.Tanh")
    activation = path.rsplit(".", 1)[-1]
    if not path.startswith("torch.nn.") or activation not in ACTIVATIONS:
        advice = f"hft knows of torch.nn.modules: {', '.join(ACTIVATIONS)}. Choose another model."
        raise refusal(file, "activation_function", path, advice)
    return DenseLayout(
        folder,
        _needed(file, config, "in_features"),
        _needed(file, config, "out_features"),
        bias=value_of(file, config, "bias", bool, True),
        activation=activation,
        residual=value_of(file, config, "use_residual", bool, False),
    )


def _require_plain_names(file: Path, config: dict[str, Any]) -> None:
    for key in ("module_input_name", "module_output_name"):
        value = config.get(key)
        if value is not None and value != "sentence_embedding":
            raise refusal(file, key, value, _ELSEWHERE)


def _config(folder: Path, known: tuple[str, ...]) -> tuple[Path, dict[str, Any]]:
    file = folder / "config.json"
    config = read_object(file)
    require_known(file, config, known)
    return file, config


def _needed(file: Path, config: dict[str, Any], key: str) -> int:
    value = value_of(file, config, key, int)
    if value is None or value < 1:
        raise ModelError(f"{file}: {key} is {value}, expected a width of 1 or more. Correct the file.")
    return int(value)
