"""Pictures, and ways to give them."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from edgekit_convert.feeding.candidates import NORMALIZATIONS
from edgekit_convert.given.pictures import GivenPictures
from edgekit_convert.pictures import Pictures
from edgekit_convert.weights.trained import normalize
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import TensorDataset

from edgekit.errors import EdgekitError
from edgekit.model.geometry import Geometry
from edgekit.model.manifest import Normalization
from tests.convert.toys import noise

IMAGENET = NORMALIZATIONS["ImageNet's mean and standard deviation"]
HALF = NORMALIZATIONS["pixels from -1 to 1"]
TO_1 = NORMALIZATIONS["pixels from 0 to 1"]
AT_32 = Geometry(32, 32)
PIXELS = noise(12, 32, 32, 3)
NORMALIZED = normalize(PIXELS, IMAGENET)  # (N, 3, H, W)
LABELS = np.arange(12) % 3
CLASSES = ["cat", "dog", "owl"]
TENSORS = TensorDataset(torch.from_numpy(NORMALIZED), torch.from_numpy(LABELS))


def load(
    data: Any,
    *,
    labels: list[str] | None = None,
    geometry: Geometry = AT_32,
    asked: Normalization = IMAGENET,
    told: list[str] | None = None,
) -> Pictures:
    """Calibration pictures, or with `labels` evaluation pictures."""
    pictures = GivenPictures(data, "calibration" if labels is None else "evaluate")
    notify = (told if told is not None else []).append
    return pictures.load(geometry, asked, lambda _: None, labels, notify)


def refused(data: Any, **options: Any) -> str:
    """Why pictures are refused, in one line."""
    with pytest.raises(EdgekitError) as error:
        load(data, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def png(picture: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "png")
    return file.getvalue()


class Numbers(torch.utils.data.Dataset[Any]):
    """A data set of what a function makes of a number."""

    def __init__(self, make: Callable[[int], Any], count: int = len(PIXELS)) -> None:
        self.make, self.count = make, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> Any:
        if number >= self.count:
            raise IndexError(number)
        return self.make(number)
