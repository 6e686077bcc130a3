"""Pictures moved and zoomed at random while a model trains: the same thing seen from elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["PictureChanges"]


@dataclass(frozen=True)
class PictureChanges:
    """A shift and a zoom of each picture, drawn from torch's generator at each step; what comes in shows the edge.

    Source: the random crops of Krizhevsky et al., "ImageNet classification with deep convolutional neural networks",
    2012, section 4.1, as one affine map.

    Args:
        shift: share of an edge that a picture moves at most, each way; 0: it stays.
        zoom: share of its size by which it grows or shrinks at most; 0: it stays.
    """

    shift: float = 0.0
    zoom: float = 0.0

    def __call__(self, pictures: Tensor) -> Tensor:
        """FloatTensor[pictures, channels, size, size], as given where nothing is to change."""
        if not self.shift and not self.zoom:
            return pictures
        # Drawn on the CPU: the same numbers on every device.
        drawn = torch.rand(len(pictures), 3).to(pictures.device) * 2.0 - 1.0
        maps = pictures.new_zeros(len(pictures), 2, 3)
        maps[:, 0, 0] = maps[:, 1, 1] = 1.0 + self.zoom * drawn[:, 0]
        maps[:, :, 2] = 2.0 * self.shift * drawn[:, 1:]
        grid = functional.affine_grid(maps, list(pictures.shape), align_corners=False)
        return functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
