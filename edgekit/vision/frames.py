"""Pictures as a person has them in Python, to frames; what could be misread is refused."""

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import ImageError
from edgekit.vision.pictures import read_image

_WANTED = "an array (H, W, 3) uint8 RGB, a Pillow image, or the path of a picture"
# Of Pillow: 16 bits and more, which `convert("RGB")` cuts off at 255.
_DEEP = ("I", "F")


def as_frame(picture: Any, *, bgr: bool = False) -> NDArray[np.uint8]:
    """A frame (H, W, 3) uint8, RGB, upright.

    Args:
        picture: an array (H, W, 3) uint8; a Pillow image; or the path of a picture.
        bgr: an array's channels are blue, green, red, as OpenCV has them.

    Raises:
        ImageError: it is none of these, or cannot be read.
    """
    if isinstance(picture, np.ndarray):
        _check(picture)
        return np.ascontiguousarray(picture[..., ::-1] if bgr else picture)
    if bgr:
        raise ImageError("bgr=True is for arrays: files and Pillow images say what they hold")
    if isinstance(picture, (str, os.PathLike)):
        return read_image(Path(picture))
    # Who has an image of Pillow has loaded it.
    pillow = sys.modules.get("PIL.Image")
    if pillow is not None and isinstance(picture, pillow.Image):
        return _of_pillow(picture)
    remedy = ""
    if hasattr(picture, "permute"):
        remedy = "; of a tensor (3, H, W) uint8 that is tensor.permute(1, 2, 0).cpu().numpy()"
    raise ImageError(f"{type(picture).__name__} is not a picture: give {_WANTED}{remedy}")


def _check(array: NDArray[Any]) -> None:
    """Refuse what is no frame.

    Raises:
        ImageError: it is none; the message says how to make it one.
    """
    shape, remedies = array.shape, []
    if array.ndim == 4:
        remedies.append("give the pictures of a batch one at a time")
    elif array.ndim == 2 or (array.ndim == 3 and shape[2] == 1):
        remedies.append("of grey, make three channels with numpy.dstack([grey] * 3)")
    elif array.ndim == 3 and shape[2] == 4:
        remedies.append("leave out the fourth channel with [..., :3]")
    elif array.ndim == 3 and shape[0] == 3 != shape[2]:
        remedies.append("turn it with .transpose(1, 2, 0)")
    elif array.ndim != 3 or shape[2] != 3 or not array.size:
        remedies.append(f"give {_WANTED}")
    if array.dtype != np.uint8:
        remedies.append(_from_values(array))
    if remedies:
        raise ImageError(
            f"a frame is (H, W, 3) uint8 RGB, not {shape} {array.dtype}: {'; '.join(remedies)}"
        )


def _from_values(array: NDArray[Any]) -> str:
    if array.dtype.kind not in "fiu":
        return "its values are no pixels"
    low, high = (float(array.min()), float(array.max())) if array.size else (0.0, 0.0)
    if not (low >= 0 and high <= 255):
        return (
            f"its values are from {low:.4g} to {high:.4g}; give the pixels, 0 to 255, as they were "
            "before they were normalized or scaled"
        )
    if array.dtype.kind == "f" and high <= 1:
        return "from 0 to 1, make pixels with (255 * frame).round().astype('uint8')"
    return "from 0 to 255, make pixels with .round().astype('uint8')"


def _of_pillow(image: Any) -> NDArray[np.uint8]:
    from PIL import ImageOps

    if image.mode.startswith(_DEEP):
        raise ImageError(
            f"the image is of mode {image.mode}, which has more than 8 bits: scale it to 0 to 255 "
            "and give an array, or the path of its file"
        )
    try:
        return np.array(ImageOps.exif_transpose(image).convert("RGB"), dtype=np.uint8)
    except (OSError, ValueError) as error:
        raise ImageError(f"the image cannot be read: {error}") from error
