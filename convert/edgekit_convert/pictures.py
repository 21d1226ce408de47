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


def evenly_spread(count: int, limit: int) -> NDArray[np.intp]:
    """Indices of all of `count` things, or of `limit` of them from the first to the last."""
    return np.linspace(0, count - 1, min(count, limit)).astype(np.intp)


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
        found = image_files(source)
        files = [found[i] for i in evenly_spread(len(found), MAX_CALIBRATION)]
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
    chosen = evenly_spread(len(kept), MAX_CALIBRATION)
    return Pictures(np.concatenate([kept[i] for i in chosen]), _digest([source]))
