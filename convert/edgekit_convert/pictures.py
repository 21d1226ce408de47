"""Calibration and evaluation pictures as input tensors."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import ImageError
from edgekit.frames import IMAGE_SUFFIXES, image_files, iter_video, read_image
from edgekit.preprocess import Geometry, prepare

MAX_CALIBRATION = 500


@dataclass(frozen=True)
class Pictures:
    """Prepared calibration pictures.

    Attributes:
        tensors: (N, H, W, 3) uint8, RGB.
        sha256: over the sorted SHA-256 of the files they came from, in hexadecimal.
    """

    tensors: NDArray[np.uint8]
    sha256: str


def _digest(files: list[Path]) -> str:
    hashes = sorted(hashlib.sha256(file.read_bytes()).digest() for file in files)
    return hashlib.sha256(b"".join(hashes)).hexdigest()


def _spread_files(files: list[Path], limit: int) -> list[Path]:
    if len(files) <= limit:
        return files
    return [files[i] for i in np.linspace(0, len(files) - 1, limit).astype(int)]


def load_calibration(source: Path, geometry: Geometry, advance: Callable[[int], None]) -> Pictures:
    """Prepare the pictures of a folder, or the frames of a video.

    Of more than `MAX_CALIBRATION`, that many are taken, evenly spread.

    Args:
        source: image folder (searched in depth) or video file.
        geometry: the model's input geometry.
        advance: called with the number of pictures read since.

    Raises:
        ImageError, SourceError: nothing there, or a picture cannot be read.
    """
    if not source.exists():
        raise ImageError(f"no calibration pictures at {source}; name an image folder or a video")
    if source.is_dir():
        files = _spread_files(image_files(source), MAX_CALIBRATION)
        tensors = []
        for file in files:
            tensors.append(prepare(read_image(file), geometry))
            advance(1)
        return Pictures(np.concatenate(tensors), _digest(files))
    if source.suffix.lower() in IMAGE_SUFFIXES:
        raise ImageError(f"{source} is one picture; calibration needs a folder or a video of many")
    # A video's length is not known before its end: when too many frames are kept, drop every
    # second one and take them at twice the distance from then on.
    kept: list[NDArray[np.uint8]] = []
    distance = 1
    for number, frame in enumerate(iter_video(source)):
        if number % distance:
            continue
        kept.append(prepare(frame, geometry))
        advance(1)
        if len(kept) == 2 * MAX_CALIBRATION:
            kept = kept[::2]
            distance *= 2
    chosen = np.linspace(0, len(kept) - 1, min(len(kept), MAX_CALIBRATION)).astype(int)
    return Pictures(np.concatenate([kept[i] for i in chosen]), _digest([source]))
