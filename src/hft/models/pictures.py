"""Pictures as numbers: decoded, brought to one size, held as bytes until a tower computes with them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hft.errors import DataError, ModelError
from hft.parsing import parse_json

__all__ = ["BACKGROUND_KEY", "PackedPictures", "PicturePreparation", "read_preparation"]

# What OpenAI's CLIP was trained with, and what its kin without a word of their own expect.
_MEAN = (0.48145466, 0.4578275, 0.40821073)
_STD = (0.26862954, 0.26130258, 0.27577711)
_WHITE = (255, 255, 255)
# Beside what transformers reads of preprocessor_config.json.
BACKGROUND_KEY = "hft_background"
# Of PIL, which is asked for by number so that it need not be imported here.
_BICUBIC = 3

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class PackedPictures:
    """Pictures of one size, as a tower takes them.

    Args:
        pixels: uint8[pictures, size, size, 3], red, green, blue.
    """

    pixels: Pixels

    def __len__(self) -> int:
        return len(self.pixels)


@dataclass(frozen=True)
class PicturePreparation:
    """From a file to the pixels of a tower: as CLIP's image processor does it, but for transparency.

    The shorter edge is brought to `resize` pixels (bicubic), the middle is cut out, and what is transparent shows
    `background` (CLIP's processor drops the alpha channel, so that whatever colour lies hidden there appears).

    Args:
        size: pixels of an edge of the square that the tower takes.
        resize: pixels that the shorter edge is brought to; at least `size`.
        mean, std: of the channels, on a scale of 0..1, to normalise with.
        background: red, green, blue.
    """

    size: int
    resize: int
    mean: tuple[float, float, float] = _MEAN
    std: tuple[float, float, float] = _STD
    background: tuple[int, int, int] = _WHITE

    def pixels(self, file: Path) -> Pixels:
        """uint8[size, size, 3] of a file.

        Raises:
            DataError: it is not there, or no picture that can be decoded.
        """
        try:
            from PIL import Image
        except ImportError as error:
            raise DataError('Pictures need Pillow, which is not installed. Run: pip install "hft[vision]"') from error
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with Image.open(file) as picture:
                    return self._square(picture)
        except FileNotFoundError as error:
            raise DataError(f"{file}: no such picture.") from error
        except Exception as error:  # decoders raise whatever they like
            raise DataError(
                f"{file}: cannot be decoded as a picture ({error}). Copy it again, or leave it out."
            ) from error

    def _square(self, picture: Any) -> Pixels:
        plain = self._without_transparency(picture)
        width, height = plain.size
        short, long = min(width, height), max(width, height)
        other = max(self.resize, int(self.resize * long / short))
        plain = plain.resize((self.resize, other) if width <= height else (other, self.resize), _BICUBIC)
        left, top = (plain.size[0] - self.size) // 2, (plain.size[1] - self.size) // 2
        return np.asarray(plain.crop((left, top, left + self.size, top + self.size)), dtype=np.uint8)

    def _without_transparency(self, picture: Any) -> Any:
        from PIL import Image

        if "A" not in picture.getbands() and "transparency" not in picture.info:
            return picture.convert("RGB")
        with_alpha = picture.convert("RGBA")
        ground = Image.new("RGBA", with_alpha.size, (*self.background, 255))
        return Image.alpha_composite(ground, with_alpha).convert("RGB")


def read_preparation(folder: Path, size: int) -> PicturePreparation:
    """The preparation that a model's folder declares in preprocessor_config.json; CLIP's where it declares none.

    Args:
        folder: of the model.
        size: pixels of an edge that the vision tower takes.

    Raises:
        ModelError: the file is damaged, or asks for what hft does not do.
    """
    file = folder / "preprocessor_config.json"
    if not file.is_file():
        return PicturePreparation(size, size)
    try:
        said = parse_json(file.read_bytes())
        resize = _edge(said.get("size", size))
        mean, std = (tuple(map(float, said.get(name, default))) for name, default in _CHANNELS)
        background = tuple(map(int, said.get(BACKGROUND_KEY, _WHITE)))
        if len(mean) != 3 or len(std) != 3 or resize < size:
            raise ValueError(f"size {resize}, {len(mean)} channels; expected at least {size}, and 3")
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{file}: is no image processor's that hft can follow ({error}). Copy the model again."
        ) from error
    return PicturePreparation(size, resize, mean, std, background)  # type: ignore[arg-type]


_CHANNELS = (("image_mean", _MEAN), ("image_std", _STD))


def _edge(size: Any) -> int:
    """Pixels of the shorter edge, as an int or as a mapping says it."""
    if isinstance(size, dict):
        size = size["shortest_edge"] if "shortest_edge" in size else min(size["height"], size["width"])
    return int(size)
