"""Image files as RGB pictures: by OpenCV, and by a library of their own where it falls short."""

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekit.errors import ImageError
from edgekit.vision import optional
from edgekit.vision.folders import IMAGE_SUFFIXES
from edgekit.vision.headers import (
    FIRST_OF_SEVERAL,
    Header,
    TruncatedError,
    UnsupportedError,
    bmp_header,
    jpeg_header,
    kind_of,
    no_header,
    png_header,
    pnm_header,
    tiff_header,
    webp_header,
)
from edgekit.vision.notes import Notes
from edgekit.vision.orientation import upright

# What a picture may hold at most: 800 MB decoded. A small file can claim to be any size.
MAXIMUM_PIXELS = 1 << 28
# Bytes of padding before the end of a JPEG that some cameras write, to fill a block of theirs.
_PADDING = 512


def read_image(path: Path, notes: Notes | None = None) -> NDArray[np.uint8]:
    """Decode an image file to (H, W, 3) uint8, RGB, upright as the file says.

    What the file holds decides how it is read, not its name. Transparency and colour profiles are
    not applied, as by Pillow's `convert("RGB")`; 16 bits become 8.

    Args:
        path: the file.
        notes: counts what of a picture was not used.

    Raises:
        ImageError: the file is missing, empty, truncated, damaged, too large, not an image, or
            needs a library that is not installed.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(f"cannot read the image {path}: {error.strerror}") from error
    if not data:
        raise ImageError(f"the image {path} is empty")
    return decode_image(data, str(path), notes)


def is_image(path: Path) -> bool:
    """Whether a file is one picture, by its name or by how it begins."""
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return True
    try:
        with path.open("rb") as file:
            kind = kind_of(file.read(16))
    except OSError:
        return False
    # JPEGs that follow each other begin as one does.
    return kind is not None and path.suffix.lower() not in (".mjpeg", ".mjpg")


def decode_image(
    data: bytes, name: str, notes: Notes | None = None, maximum: int = MAXIMUM_PIXELS
) -> NDArray[np.uint8]:
    """`read_image` of a file's content; `name` is for messages, `maximum` a number of pixels."""
    kind = kind_of(data)
    if kind is None:
        raise ImageError(f"{name} is not an image, or is damaged")
    header_of, decode = _KINDS[kind]
    try:
        header = header_of(data)
        if header.width * header.height > maximum:
            raise UnsupportedError(
                f"is {header.width}x{header.height} pixels large; make it smaller"
            )
        decoded = decode(data, header)
    except TruncatedError as error:
        raise ImageError(f"the image {name} is truncated; copy it again or remove it") from error
    except UnsupportedError as error:
        raise ImageError(f"the image {name} {error}") from error
    except cv2.error as error:
        raise ImageError(f"{name} cannot be decoded as an image: {error.err}") from error
    if notes is not None and decoded.note:
        notes.count(decoded.note)
    return decoded.pixels


class _Decoded(NamedTuple):
    pixels: NDArray[np.uint8]
    note: str


def _by_opencv(data: bytes, header: Header) -> _Decoded:
    content = np.frombuffer(data, dtype=np.uint8)
    # The OpenCV of Debian 12, which boards of 32 bits have, knows no other order than blue first.
    blue_first = not hasattr(cv2, "IMREAD_COLOR_RGB")
    colour = cv2.IMREAD_COLOR if blue_first else cv2.IMREAD_COLOR_RGB
    decoded = cv2.imdecode(content, colour | cv2.IMREAD_IGNORE_ORIENTATION)
    if decoded is None:
        raise UnsupportedError("is damaged; copy it again or remove it")
    if blue_first:
        decoded = cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)
    pixels = upright(np.asarray(decoded, dtype=np.uint8), header.orientation)
    return _Decoded(pixels, header.note)


def _by_simplejpeg(data: bytes, header: Header) -> _Decoded:
    """As OpenCV decodes a JPEG, with the same library; but that takes damage for a picture."""
    simplejpeg = optional.load("simplejpeg")
    # CMYK has conventions of its own, which OpenCV knows.
    if simplejpeg is None or header.channels not in (1, 3):
        return _by_opencv(data, header)
    try:
        pixels = simplejpeg.decode_jpeg(data, "RGB")
    except ValueError as error:
        if not _is_padded(data, str(error)):
            raise UnsupportedError(f"is damaged ({error}); copy it again or remove it") from error
        pixels = simplejpeg.decode_jpeg(data, "RGB", strict=False)
    return _Decoded(upright(pixels, header.orientation), header.note)


def _is_padded(data: bytes, complaint: str) -> bool:
    """Whether what libjpeg complains of is nothing but padding before the end."""
    found = re.search("([0-9]+) extraneous bytes before marker 0xd9", complaint)
    count = int(found[1]) if found else 0
    end = data.rfind(b"\xff\xd9")
    return 0 < count <= _PADDING and len(set(data[end - count : end])) == 1


def _by_pillow(data: bytes, header: Header) -> _Decoded:
    pillow, transposing = optional.load("PIL.Image"), optional.load("PIL.ImageOps")
    heif = kind_of(data) == "HEIC"
    plugin = optional.load("pillow_heif") if heif else pillow
    if pillow is None or plugin is None:
        raise UnsupportedError(f"is a {kind_of(data)}; to read it: {optional.REMEDY}")
    if heif:
        plugin.register_heif_opener()
    try:
        with pillow.open(io.BytesIO(data)) as image:
            several = getattr(image, "n_frames", 1) > 1
            rgb = transposing.exif_transpose(image).convert("RGB")
    # Each plugin has errors of its own, and some name an object in memory.
    except Exception as error:
        raise UnsupportedError("is damaged; copy it again or remove it") from error
    return _Decoded(np.array(rgb, dtype=np.uint8), FIRST_OF_SEVERAL if several else "")


# By the name that `kind_of` gives.
_KINDS: dict[str, tuple[Callable[[bytes], Header], Callable[[bytes, Header], _Decoded]]] = {
    "JPEG": (jpeg_header, _by_simplejpeg),
    "PNG": (png_header, _by_opencv),
    "WebP": (webp_header, _by_opencv),
    "TIFF": (tiff_header, _by_opencv),
    "BMP": (bmp_header, _by_opencv),
    "PNM": (pnm_header, _by_opencv),
    "GIF": (no_header, _by_pillow),
    "HEIC": (no_header, _by_pillow),
    "AVIF": (no_header, _by_pillow),
}
