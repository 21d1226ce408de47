"""A contact sheet: pictures on which two models disagree."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

_WIDTH, _HEIGHT, _GAP, _CAPTION, _TITLE = 296, 222, 14, 70, 76
_COLUMNS = 4
_FAINT, _PAPER, _CARD = (108, 112, 120), (238, 240, 243), (255, 255, 255)
_BAND, _NOTE, _A, _B = (30, 36, 48), (176, 184, 198), (11, 92, 134), (166, 84, 10)
_FONT = cv2.FONT_HERSHEY_DUPLEX

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]


class Card(NamedTuple):
    """A picture (H, W, 3) uint8 RGB, the answers of both models, and a line about it."""

    picture: Image
    a: tuple[str, float]
    b: tuple[str, float]
    note: str


def thumbnail(pixels: Image) -> Image:
    """A frame scaled to the size of a card, whole and without distortion."""
    height, width = pixels.shape[:2]
    scale = min(_WIDTH / width, _HEIGHT / height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(pixels, size, interpolation=way), dtype=np.uint8)


def contact_sheet(cards: Sequence[Card], title: str, note: str) -> bytes:
    """Draw the cards as a PNG file.

    Args:
        cards: in the order they are shown.
        title, note: written above.
    """
    columns = max(1, min(_COLUMNS, len(cards)))
    rows = -(-len(cards) // columns)
    step = _HEIGHT + _CAPTION + _GAP
    width = max(_GAP + columns * (_WIDTH + _GAP), _GAP + 3 * (_WIDTH + _GAP))
    sheet = np.full((_TITLE + _GAP + rows * step, width, 3), _PAPER, np.uint8)
    sheet[:_TITLE] = _BAND
    _write(sheet, title, (_GAP + 4, 36), 0.72, _CARD)
    _write(sheet, note, (_GAP + 4, 61), 0.45, _NOTE)
    for place, card in enumerate(cards):
        row, column = divmod(place, columns)
        _draw(sheet, card, _GAP + column * (_WIDTH + _GAP), _TITLE + _GAP + row * step)
    done, png = cv2.imencode(".png", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
    assert done
    return png.tobytes()


def _draw(sheet: Image, card: Card, left: int, top: int) -> None:
    sheet[top : top + _HEIGHT + _CAPTION, left : left + _WIDTH] = _CARD
    height, width = card.picture.shape[:2]
    y, x = top + (_HEIGHT - height) // 2, left + (_WIDTH - width) // 2
    sheet[y : y + height, x : x + width] = card.picture
    base = top + _HEIGHT
    for line, (name, answer, colour) in enumerate((("A", card.a, _A), ("B", card.b, _B))):
        label, score = answer
        text = f"{name}  {label}  {score:.0%}"
        _write(sheet, text, (left + 10, base + 20 + 22 * line), 0.5, colour)
    _write(sheet, card.note, (left + 10, base + 61), 0.38, _FAINT)


def _write(sheet: Image, text: str, at: tuple[int, int], scale: float, colour: Colour) -> None:
    # OpenCV's own fonts have no other characters.
    plain = text.encode("ascii", "replace").decode()
    cv2.putText(sheet, plain, at, _FONT, scale, colour, 1, cv2.LINE_AA)
