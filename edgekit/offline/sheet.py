"""A contact sheet: pictures on which two models disagree."""

from collections.abc import Sequence

import cv2
import numpy as np

from edgekit.offline.comparison import PICTURE_HEIGHT, PICTURE_WIDTH, Disagreement
from edgekit.offline.lettering import Image, write
from edgekit.text import clock, percent
from edgekit.vision.encode import encode_png

_WIDTH, _HEIGHT = PICTURE_WIDTH, PICTURE_HEIGHT
_GAP, _CAPTION, _TITLE = 14, 70, 76
_COLUMNS = 4
_FAINT, _PAPER, _CARD = (108, 112, 120), (238, 240, 243), (255, 255, 255)
_BAND, _NOTE, _A, _B = (30, 36, 48), (176, 184, 198), (11, 92, 134), (166, 84, 10)


class Sheet(bytes):
    """A PNG file, which a notebook shows."""

    def __repr__(self) -> str:
        return f"<contact sheet: PNG, {len(self):,} bytes>"

    def _repr_png_(self) -> bytes:
        return bytes(self)


def contact_sheet(disagreements: Sequence[Disagreement], title: str, note: str) -> Sheet:
    """A card for each disagreement, as a PNG file.

    Args:
        disagreements: in the order they are shown.
        title, note: written above.
    """
    columns = max(1, min(_COLUMNS, len(disagreements)))
    rows = -(-len(disagreements) // columns)
    step = _HEIGHT + _CAPTION + _GAP
    width = max(_GAP + columns * (_WIDTH + _GAP), _GAP + 3 * (_WIDTH + _GAP))
    sheet = np.full((_TITLE + _GAP + rows * step, width, 3), _PAPER, np.uint8)
    sheet[:_TITLE] = _BAND
    write(sheet, title, (_GAP + 4, 36), 0.72, _CARD)
    write(sheet, note, (_GAP + 4, 61), 0.45, _NOTE)
    for place, one in enumerate(disagreements):
        row, column = divmod(place, columns)
        _draw(sheet, one, _GAP + column * (_WIDTH + _GAP), _TITLE + _GAP + row * step)
    return Sheet(encode_png(sheet))


def _draw(sheet: Image, one: Disagreement, left: int, top: int) -> None:
    sheet[top : top + _HEIGHT + _CAPTION, left : left + _WIDTH] = _CARD
    picture = _enlarged(one.picture)
    height, width = picture.shape[:2]
    y, x = top + (_HEIGHT - height) // 2, left + (_WIDTH - width) // 2
    sheet[y : y + height, x : x + width] = picture
    base = top + _HEIGHT
    for line, (name, answer, colour) in enumerate((("A", one.a, _A), ("B", one.b, _B))):
        label, score = answer
        text = f"{name}  {label}  {percent(score, 0)}"
        write(sheet, text, (left + 10, base + 20 + 22 * line), 0.5, colour)
    note = f"{one.recording}, {clock(one.time, fine=True)}"
    write(sheet, note, (left + 10, base + 61), 0.38, _FAINT)


def _enlarged(picture: Image) -> Image:
    """A picture that fills a card, whole and without distortion."""
    height, width = picture.shape[:2]
    scale = min(_WIDTH / width, _HEIGHT / height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_NEAREST), dtype=np.uint8)
