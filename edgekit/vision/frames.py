"""Recorded pictures: image files, folders of them, and videos, as RGB frames."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekit.errors import ImageError, SourceError
from edgekit.vision.truncation import is_cut_off

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})
# Seconds; a time stamp beyond (thirty years) is none.
_LONGEST = 1e9


def read_image(path: Path) -> NDArray[np.uint8]:
    """Decode an image file to (H, W, 3) uint8, RGB, upright as its EXIF orientation says.

    Raises:
        ImageError: the file is missing, empty, truncated or not an image.
    """
    try:
        content = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise ImageError(f"cannot read the image {path}: {error.strerror}") from error
    if content.size == 0:
        raise ImageError(f"the image {path} is empty")
    if content[:2].tobytes() == b"\xff\xd8" and b"\xff\xd9" not in content[-1024:].tobytes():
        # OpenCV decodes a cut-off JPEG to a picture that is grey below the cut.
        raise ImageError(f"the image {path} is truncated; copy it again or remove it")
    try:
        decoded = cv2.imdecode(content, cv2.IMREAD_COLOR_RGB)
    except cv2.error as error:
        raise ImageError(f"{path} cannot be decoded as an image: {error.err}") from error
    if decoded is None:
        raise ImageError(f"{path} is not an image, or is damaged")
    return np.asarray(decoded, dtype=np.uint8)


def image_files(folder: Path) -> list[Path]:
    """The image files in `folder` and below, sorted by path.

    Raises:
        ImageError: `folder` is not a folder, or no image is in it.
    """
    if not folder.is_dir():
        raise ImageError(f"{folder} is not a folder of images")
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        kinds = ", ".join(sorted(suffix[1:] for suffix in IMAGE_SUFFIXES))
        raise ImageError(f"no images in {folder} (looked for {kinds})")
    return files


class _Clock:
    """Times of a video's frames, from its time stamps where those increase.

    Args:
        fps: frames per second that the container states, for frames without a usable stamp.
    """

    def __init__(self, fps: float) -> None:
        self._step = 1 / fps if 0 < fps < 1000 else 1 / 30
        self.now = -1.0
        self._stamp = 0.0

    def tick(self, stamp: float) -> float:
        """The time of the next frame in seconds, given its time stamp in seconds; first 0."""
        if self.now < 0:
            # OpenCV takes a decoding time stamp for a presentation time stamp of 0: not usable.
            self.now = 0.0
            return self.now
        passed = stamp - self._stamp if 0 <= stamp < _LONGEST else 0.0
        self._stamp = stamp
        self.now += passed if passed > 0 else self._step
        return self.now


def _read_video(path: Path) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    if not path.is_file():
        raise SourceError(f"no video file at {path}")
    # FFmpeg alone: other backends would try after it, and fill stderr with what they think of it.
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        if not capture.isOpened():
            raise SourceError(f"{path} does not open as a video; is it complete, and a video?")
        if is_cut_off(path):
            raise SourceError(f"the video {path} is truncated; copy it again")
        clock = _Clock(capture.get(cv2.CAP_PROP_FPS))
        read = True
        while capture.grab():
            read, frame = capture.retrieve()
            if not read:
                break
            seconds = clock.tick(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
            yield seconds, np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), dtype=np.uint8)
        if clock.now < 0 and read:
            raise SourceError(f"the video {path} has no frames")
        # OpenCV stops at a packet that cannot be decoded as it does at the end of the file.
        if not read or capture.grab():
            raise SourceError(
                f"the video {path} is damaged after {max(0.0, clock.now):.1f} s; copy or record it "
                "again"
            )
    finally:
        capture.release()


def iter_video(path: Path) -> Iterator[NDArray[np.uint8]]:
    """Yield every frame of a video as (H, W, 3) uint8, RGB; memory use does not grow.

    The video keeps one resolution: after a change OpenCV 4.11 returns wrong pictures, and nothing
    tells (opencv/opencv#27116).

    Raises:
        SourceError: the file is missing, does not open as a video, is truncated, has no frame, or
            is damaged; the frames before the damage are yielded first.
    """
    return (pixels for _, pixels in _read_video(path))


def iter_timed(path: Path) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Yield the frames of a video file, an image folder or a single image with their times.

    The time is in seconds from the start and always increases: a video's own time stamps, and a
    second for each picture of a folder.

    Raises:
        SourceError, ImageError: as `iter_video`, `image_files` and `read_image` do.
    """
    if path.is_dir():
        for number, file in enumerate(image_files(path)):
            yield float(number), read_image(file)
    elif path.suffix.lower() in IMAGE_SUFFIXES:
        yield 0.0, read_image(path)
    else:
        yield from _read_video(path)
