"""Videos of every kind, written with PyAV: what a container or a stream can say, it says."""

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 64, 48
Pixels = NDArray[np.uint8]
# By EXIF's orientation: x' = ax + cy and y' = bx + dy lay a stored pixel where it is seen; y goes
# down.
MATRICES = {
    1: (1, 0, 0, 1),
    2: (-1, 0, 0, 1),
    3: (-1, 0, 0, -1),
    4: (1, 0, 0, -1),
    5: (0, 1, 1, 0),
    6: (0, 1, -1, 0),
    7: (0, -1, -1, 0),
    8: (0, -1, 1, 0),
}


def quarters(width: int = WIDTH, height: int = HEIGHT) -> Pixels:
    """Red, green, blue and grey quarters, RGB: a picture with an up and a left."""
    pixels = np.empty((height, width, 3), np.uint8)
    top, left = height // 2, width // 2
    pixels[:top, :left], pixels[:top, left:] = (200, 40, 40), (40, 200, 40)
    pixels[top:, :left], pixels[top:, left:] = (40, 40, 200), (128, 128, 128)
    return pixels


def noise(count: int, width: int = WIDTH, height: int = HEIGHT) -> list[Pixels]:
    """Frames that take many bytes to store, the same each time."""
    random = np.random.default_rng(1)
    return [random.integers(0, 256, (height, width, 3), dtype=np.uint8) for _ in range(count)]


def write_film(
    path: Path,
    frames: Sequence[Pixels],
    *,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    matrix: int = 6,
    colour_range: int = 1,
    transfer: int = 6,
    aspect: Fraction | None = None,
    rotation: int | None = None,
    options: dict[str, str] | None = None,
    times: Sequence[int] | None = None,
    container: str | None = None,
) -> Path:
    """A video of RGB frames at 25 a second, or at `times` in 25ths.

    Args:
        matrix, colour_range, transfer: what the stream says of its colours, by the numbers of
            ITU-T H.273; the frames are stored so.
        rotation: degrees that a display matrix states.
    """
    with av.open(str(path), "w", format=container) as output:
        stream: Any = output.add_stream(codec, rate=25, options=options or {})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixel_format
        stream.codec_context.colorspace = matrix
        stream.codec_context.color_range = colour_range
        stream.codec_context.color_trc = transfer
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if rotation is not None:
            stream.set_display_rotation(rotation)
        for number, pixels in enumerate(frames):
            rgb = av.VideoFrame.from_ndarray(pixels, "rgb24")
            frame = rgb.reformat(
                format=pixel_format, dst_colorspace=matrix, dst_color_range=colour_range
            )
            frame.pts = times[number] if times else number
            frame.time_base = Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def display_matrix(path: Path, *values: int) -> None:
    """Have an MP4 file's track be shown by the matrix (a, b, c, d) instead of as it is stored."""
    content = bytearray(path.read_bytes())
    unity = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    a, b, c, d = (value << 16 for value in values)
    # Of the movie's matrix and the track's, the second.
    at = content.index(unity, content.index(b"tkhd"))
    content[at : at + len(unity)] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
