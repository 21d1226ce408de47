"""Text in pictures: OpenCV's own letters are those of ASCII; others are the system's fonts'."""

import functools
import subprocess
import unicodedata
from importlib.util import find_spec

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekit import child

_ASCII = cv2.FONT_HERSHEY_DUPLEX
# Pixels of an em in which capitals are as high as those of `_ASCII` at scale 1.
_EM = 29.0
# Latin letters that are no ASCII letter with an accent.
_LETTERS = str.maketrans(
    {"ß": "ss", "æ": "ae", "Æ": "Ae", "ø": "o", "Ø": "O", "œ": "oe", "ł": "l", "Ł": "L", "đ": "d",
     "ı": "i", "–": "-", "—": "-", "’": "'"}
)  # fmt: skip

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]


def write(image: Image, text: str, at: tuple[int, int], scale: float, colour: Colour) -> None:
    """Write a line of text, or what `plain` makes of it where no font has its letters.

    Args:
        image: (H, W, 3) uint8; is written on.
        text: the line.
        at: where its baseline begins, in pixels from the left and the top.
        scale: its size, as OpenCV counts.
        colour: in the order of the image's channels.
    """
    font = _font_for(text)
    if font is None:
        cv2.putText(image, plain(text), at, _ASCII, scale, colour, 1, cv2.LINE_AA)
        return
    from PIL import Image as Pictures
    from PIL import ImageDraw, ImageFont

    picture = Pictures.fromarray(image)
    face = ImageFont.truetype(font, round(_EM * scale))
    ImageDraw.Draw(picture).text(at, text, colour, face, anchor="ls")
    image[:] = np.asarray(picture)


def is_written(text: str) -> bool:
    """Whether `write` writes a text as it is."""
    return text.isascii() or _font_for(text) is not None


def _font_for(text: str) -> str | None:
    """A font of the system for a text; None for what is ASCII, and where there is none."""
    letters = frozenset(f"{ord(letter):x}" for letter in text if not letter.isascii())
    return _font_with(letters) if letters else None


@functools.cache
def _font_with(letters: frozenset[str]) -> str | None:
    """A font that has letters, which are code points in hexadecimal, and ASCII.

    Returns:
        None where there is none, no Pillow to draw with it, or no fontconfig to find it.
    """
    if find_spec("PIL") is None:
        return None
    pattern = f":charset={' '.join(sorted(letters))} 41 61 30:scalable=true:color=false"
    fonts = sorted(_ask("fc-list", pattern))
    # The system's own choice first, where that has them all.
    preferred = _ask("fc-match", f"sans{pattern}")
    return next(filter(_opens, sorted(fonts, key=lambda font: font not in preferred)), None)


def _opens(font: str) -> bool:
    """Whether Pillow, which may have been built without FreeType, reads a font."""
    from PIL import ImageFont

    try:
        ImageFont.truetype(font, 10)
    except (ImportError, OSError):
        return False
    return True


def plain(text: str) -> str:
    """The text in ASCII: letters lose their accents, and what is no such letter is its number."""
    letters = unicodedata.normalize("NFKD", text.translate(_LETTERS))
    kept = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return kept.encode("ascii", "backslashreplace").decode()


def _ask(program: str, pattern: str) -> list[str]:
    try:
        done = child.run([program, "--format=%{file}\n", pattern], timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.decode("utf-8", "replace").split("\n")[:-1]
