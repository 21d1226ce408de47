"""One picture, whatever it is, as raw pixels or as the values that a loader made of them."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import DatasetError, EdgekitError
from edgekit.text import first_line
from edgekit.vision.headers import SIXTEEN_BITS
from edgekit.vision.notes import Notes
from edgekit.vision.pictures import decode_image, read_image
from edgekit_convert.given.loaded import is_pil, is_tensor

_GREY = "grey, and the network takes three channels; {remedy} if it was trained on grey so repeated"
_DEGREES = 0x0112  # the EXIF tag of how a picture is to be turned


class Decoded(NamedTuple):
    """A picture.

    Attributes:
        values: (3, H, W), raw pixels in uint8, or float32 of a meaning to be found out.
        tensor: whether it came as an array or tensor, which a loader may have prepared.
    """

    values: NDArray[Any]
    tensor: bool

    @property
    def raw(self) -> bool:
        """Whether the values are pixels."""
        return self.values.dtype == np.uint8

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, in pixels."""
        _, height, width = self.values.shape
        return height, width


def decode(picture: Any, where: str, notes: Notes) -> Decoded:
    """Read a picture.

    Args:
        picture: of Pillow; the path of a file, or its content; an array or a tensor of three
            channels, before or behind height and width.
        where: which one it is, for messages.
        notes: counts what of it was not used.

    Raises:
        DatasetError, ImageError: it is none of these, or cannot be read.
    """
    try:
        return _decode(picture, where, notes)
    except EdgekitError:
        raise
    except Exception as error:  # Pillow reads a file now
        raise DatasetError(
            f"{where} cannot be read ({type(error).__name__}: {first_line(error)})"
        ) from error


def _decode(picture: Any, where: str, notes: Notes) -> Decoded:
    if is_pil(picture):
        return Decoded(_of_pillow(picture, where, notes).transpose(2, 0, 1), tensor=False)
    if isinstance(picture, Mapping):  # as Hugging Face keeps pictures that it did not decode
        picture = picture.get("bytes") or picture.get("path")
    if isinstance(picture, bytes):
        return Decoded(decode_image(picture, where, notes).transpose(2, 0, 1), tensor=False)
    if isinstance(picture, (str, os.PathLike)):
        return Decoded(read_image(Path(picture), notes).transpose(2, 0, 1), tensor=False)
    values = _of_any_type(_channels_first(as_array(picture, where), where), where)
    return Decoded(values, tensor=True)


def as_array(value: Any, where: str) -> NDArray[Any]:
    """An array of an array, or of a tensor wherever it is.

    Raises:
        DatasetError: it cannot be had, or holds other things than numbers.
    """
    try:
        if is_tensor(value):
            value = value.detach().cpu()
            # NumPy has no bfloat16.
            value = (value.float() if value.is_floating_point() else value).numpy()
        array = np.asarray(value)
    except Exception as error:  # a device's memory may be lost, or the tensor may have none
        raise DatasetError(
            f"{where} cannot be read ({type(error).__name__}: {first_line(error)})"
        ) from error
    if array.dtype.kind not in "uifb":
        raise DatasetError(
            f"{where} is {type(value).__name__} of {array.dtype}, which are no numbers"
        )
    return array


def _channels_first(values: NDArray[Any], where: str) -> NDArray[Any]:
    shape = values.shape
    if len(shape) == 2:
        raise DatasetError(f"{where}, {shape}, is " + _GREY.format(remedy="repeat it three times"))
    if len(shape) != 3:
        raise DatasetError(f"{where} has the shape {shape}, not (H, W, 3) or (3, H, W)")
    if 0 in shape:
        raise DatasetError(f"{where} is empty, {shape}")
    first, last = shape[0] == 3, shape[2] == 3
    if first and last:
        raise DatasetError(f"{where} has the shape {shape}, whose channels may be first or last")
    if first or last:
        return values if first else values.transpose(2, 0, 1)
    if 1 in (shape[0], shape[2]):
        remedy = "repeat its channel three times (in torchvision: Grayscale(3))"
        raise DatasetError(f"{where}, {shape}, is " + _GREY.format(remedy=remedy))
    if 4 in (shape[0], shape[2]):
        raise DatasetError(f"{where}, {shape}, has four channels; leave the fourth out")
    raise DatasetError(f"{where} has the shape {shape}, not (H, W, 3) or (3, H, W)")


def _of_any_type(values: NDArray[Any], where: str) -> NDArray[Any]:
    kind = values.dtype
    if kind == np.uint8:
        return values
    if kind == np.bool_:
        raise DatasetError(f"{where} is bool; give its pixels from 0 to 255 as uint8")
    if kind.kind in "ui":
        lowest, highest = int(values.min()), int(values.max())
        if lowest < 0 or highest > 255:
            remedy = "; of 16 bits take the upper 8, x >> 8" if kind.itemsize == 2 else ""
            raise DatasetError(
                f"{where} is {kind} from {lowest} to {highest}, where pixels are from 0 to "
                f"255{remedy}"
            )
        return values.astype(np.uint8)
    if not np.isfinite(values).all():
        raise DatasetError(f"{where} holds values that are not finite")
    return values.astype(np.float32)


def _of_pillow(image: Any, where: str, notes: Notes) -> NDArray[np.uint8]:
    """(H, W, 3) of a picture, as `edgekit.vision.pictures` reads its file."""
    if image.getexif().get(_DEGREES, 1) != 1:
        from PIL.ImageOps import exif_transpose

        image = exif_transpose(image)
        notes.count("turned upright, as their EXIF says")
    if image.mode in ("I", "F"):
        raise DatasetError(f"{where} has the mode {image.mode}; give its pixels as uint8")
    if image.mode.startswith("I;16"):
        notes.count(SIXTEEN_BITS)
        grey = (np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)
        return grey[..., np.newaxis].repeat(3, axis=2)
    if image.mode != "RGB":
        notes.count(f"of the mode {image.mode}, converted to RGB")
    return np.array(image.convert("RGB"), dtype=np.uint8)
