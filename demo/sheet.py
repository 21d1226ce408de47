"""A contact sheet: frames of the clip with what the model said."""

import json
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekit.vision.videos import read_video

_COLUMNS, _ROWS = 4, 3
_WIDTH, _GAP, _CAPTION, _TITLE = 296, 14, 56, 76
_FAINT, _PAPER, _CARD = (120, 124, 132), (238, 240, 243), (255, 255, 255)
_BAND, _RIGHT, _WRONG = (30, 36, 48), (24, 135, 84), (205, 48, 44)
_FONT = cv2.FONT_HERSHEY_DUPLEX

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]


def _write(sheet: Image, text: str, at: tuple[int, int], scale: float, colour: Colour) -> None:
    cv2.putText(sheet, text, at, _FONT, scale, colour, 1, cv2.LINE_AA)


def _card(
    sheet: Image, left: int, top: int, frame: Image, answer: tuple[str, float], truth: str
) -> None:
    """Draw a frame with what it shows, what was answered and a bar as long as the score."""
    label, score = answer
    colour = _RIGHT if label == truth else _WRONG
    shown = round(_WIDTH * frame.shape[0] / frame.shape[1])
    sheet[top : top + shown, left : left + _WIDTH] = cv2.resize(
        frame, (_WIDTH, shown), interpolation=cv2.INTER_AREA
    )
    sheet[top + shown : top + shown + _CAPTION, left : left + _WIDTH] = _CARD
    bar = top + shown
    sheet[bar : bar + 5, left : left + _WIDTH] = _PAPER
    sheet[bar : bar + 5, left : left + round(_WIDTH * score)] = colour
    _write(sheet, f"{label}  {score:.0%}", (left + 10, bar + 29), 0.62, colour)
    _write(sheet, f"truth: {truth}", (left + 10, bar + 48), 0.42, _FAINT)


def contact_sheet(
    clip: Path, answers: list[tuple[str, float]], truth: list[str | None], title: str
) -> Image:
    """Draw evenly spread frames that show a toy, each with its answer; RGB.

    Args:
        clip: the video.
        answers: (label, score) of each frame.
        truth: label of each frame; None where neither answer would be wrong.
        title: written above.
    """
    toys = [i for i, label in enumerate(truth) if label not in (None, "nothing")]
    # The middles of equal parts, so that neither the answers nor we choose what is shown.
    count = _COLUMNS * _ROWS
    chosen = [toys[(2 * part + 1) * len(toys) // (2 * count)] for part in range(count)]
    wanted = set(chosen)
    frames = {i: frame for i, (_, frame) in enumerate(read_video(clip)) if i in wanted}
    height, width = frames[chosen[0]].shape[:2]
    step = round(_WIDTH * height / width) + _CAPTION + _GAP
    sheet = np.full(
        (_TITLE + _GAP + _ROWS * step, _GAP + _COLUMNS * (_WIDTH + _GAP), 3), _PAPER, np.uint8
    )
    sheet[:_TITLE] = _BAND
    _write(sheet, title, (_GAP + 4, 36), 0.82, _CARD)
    note = f"{count} frames, evenly spread over the toys' time in view; bar: the answer's score"
    _write(sheet, note, (_GAP + 4, 61), 0.45, (176, 184, 198))
    for place, index in enumerate(chosen):
        row, column = divmod(place, _COLUMNS)
        left, top = _GAP + column * (_WIDTH + _GAP), _TITLE + _GAP + row * step
        _card(sheet, left, top, frames[index], answers[index], str(truth[index]))
    return sheet


def write_sheet(
    path: Path, clip: Path, answers: list[tuple[str, float]], truth_file: Path, title: str
) -> None:
    """Draw the contact sheet and write it as PNG."""
    sheet = contact_sheet(clip, answers, json.loads(truth_file.read_text()), title)
    if not cv2.imwrite(str(path), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR)):
        raise OSError(f"cannot write the contact sheet {path}")
