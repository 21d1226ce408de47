"""Image files, and folders of them, as RGB pictures."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekit.errors import ImageError

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})


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
