"""Videos of plain frames, written with what the product already needs: OpenCV."""

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

SIZE = (160, 120)


def write_clip(path: Path, values: Iterable[int], fps: float = 25, codec: str = "MJPG") -> Path:
    """A video with a frame of one grey value for each of `values`."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, SIZE)
    assert writer.isOpened()
    for value in values:
        writer.write(np.full((SIZE[1], SIZE[0], 3), value, np.uint8))
    writer.release()
    return path


def write_uneven_clip(path: Path, seconds: Iterable[float]) -> Path:
    """A Matroska video with a JPEG frame at each of `seconds`."""
    raw = [cv2.VIDEOWRITER_PROP_RAW_VIDEO, 1]
    fourcc = cv2.VideoWriter.fourcc(*"MJPG")
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, fourcc, 1000, SIZE, raw)
    assert writer.isOpened()
    for second in seconds:
        writer.set(cv2.VIDEOWRITER_PROP_PTS, round(1000 * second))
        writer.write(jpeg().reshape(1, -1))
    writer.release()
    return path


def jpeg(value: int = 128) -> NDArray[np.uint8]:
    """A frame of one grey value as a JPEG file, (bytes,) uint8."""
    return cv2.imencode(".jpg", np.full((SIZE[1], SIZE[0], 3), value, np.uint8))[1]
