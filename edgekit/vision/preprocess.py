"""Camera frame to input tensor: the one implementation.

Calibration, evaluation and the live camera all call `prepare`. Normalization is not here because
it is folded into the model, which takes raw pixel values.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekit.model.geometry import Geometry
from edgekit.vision.view import Region


def crop_box(
    frame_height: int, frame_width: int, geometry: Geometry, region: Region | None = None
) -> tuple[int, int, int, int]:
    """The part of a frame that the model sees, as (top, left, height, width) in whole pixels.

    Args:
        frame_height, frame_width: of the frame, in pixels.
        geometry: the model's input geometry.
        region: where in the frame the model looks; the whole frame by default.
    """
    if region is not None:
        top, left, height, width = region_box(frame_height, frame_width, region)
        inner = crop_box(height, width, geometry)
        return top + inner[0], left + inner[1], inner[2], inner[3]
    height, width = geometry.centre_of(frame_height, frame_width)
    return (frame_height - height) // 2, (frame_width - width) // 2, height, width


def region_box(frame_height: int, frame_width: int, region: Region) -> tuple[int, int, int, int]:
    """A region as (top, left, height, width) in whole pixels of a frame, at least one each way."""
    left, top = round(frame_width * region.x), round(frame_height * region.y)
    right = round(frame_width * (region.x + region.width))
    bottom = round(frame_height * (region.y + region.height))
    # One that begins half a pixel before the end of the frame is rounded to nothing behind it.
    left, top = min(left, frame_width - 1), min(top, frame_height - 1)
    return top, left, max(1, bottom - top), max(1, right - left)


def cut(frame: NDArray[np.uint8], region: Region | None) -> NDArray[np.uint8]:
    """The region of a frame (H, W, 3), in the same memory; the frame itself without one.

    `prepare` makes the same of it as of the frame with the region.
    """
    if region is None:
        return frame
    top, left, height, width = region_box(frame.shape[0], frame.shape[1], region)
    return frame[top : top + height, left : left + width]


def prepare(
    frame: NDArray[np.uint8], geometry: Geometry, region: Region | None = None
) -> NDArray[np.uint8]:
    """Crop and resize a frame to the model's input.

    Bilinear interpolation reads every pixel until the frame is twice the input; a larger frame
    is first averaged over a square about as wide as the scale, so that nothing between the
    sampled pixels is lost (anti-aliasing). All arithmetic is on whole numbers.

    Args:
        frame: (H, W, 3) uint8, RGB.
        geometry: the model's input geometry.
        region: where in the frame the model looks; the whole frame by default.

    Returns:
        (1, height, width, 3) uint8, RGB, raw pixel values.

    Raises:
        ValueError: `frame` is not (H, W, 3) uint8.
    """
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
        raise ValueError(f"a frame is (H, W, 3) uint8, not {frame.shape} {frame.dtype}")
    top, left, height, width = crop_box(frame.shape[0], frame.shape[1], geometry, region)
    view = frame[top : top + height, left : left + width]
    scale = min(height / geometry.height, width / geometry.width)
    box = 2 * int(scale / 2) + 1
    smooth = cv2.blur(view, (box, box)) if box > 1 else view
    resized = cv2.resize(smooth, (geometry.width, geometry.height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized, dtype=np.uint8)[np.newaxis]
