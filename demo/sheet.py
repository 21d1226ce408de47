"""A contact sheet: frames of the clip with what the model said."""

import json
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgekit.frames import iter_video

_COLUMNS, _ROWS = 4, 3
_WIDTH, _GAP, _CAPTION, _TITLE = 300, 12, 34, 64
_INK, _PAPER, _RIGHT, _WRONG = (35, 35, 40), (250, 250, 248), (30, 130, 70), (200, 45, 40)

Image = NDArray[np.uint8]


def _write(
    sheet: Image, text: str, at: tuple[int, int], scale: float, colour: tuple[int, int, int]
) -> None:
    cv2.putText(sheet, text, at, cv2.FONT_HERSHEY_DUPLEX, scale, colour, 1, cv2.LINE_AA)


def contact_sheet(
    clip: Path, answers: list[tuple[str, float]], truth: list[str | None], title: str
) -> Image:
    """Draw evenly spread frames that have a truth, each with its answer; RGB.

    Args:
        clip: the video.
        answers: (label, score) of each frame.
        truth: label of each frame; None where neither answer would be wrong.
        title: written above.
    """
    # A toy in the middle of its pass shows best, and each pass should be there once.
    toys = [i for i, label in enumerate(truth) if label not in (None, "nothing")]
    chosen = [toys[i] for i in np.linspace(4, len(toys) - 5, _COLUMNS * _ROWS).astype(int)]
    frames = {i: frame for i, frame in enumerate(iter_video(clip)) if i in set(chosen)}
    height, width = frames[chosen[0]].shape[:2]
    shown = round(_WIDTH * height / width)
    sheet = np.full(
        (_TITLE + _ROWS * (shown + _CAPTION + _GAP) + _GAP, _GAP + _COLUMNS * (_WIDTH + _GAP), 3),
        _PAPER,
        np.uint8,
    )
    _write(sheet, title, (_GAP, 42), 0.85, _INK)
    for place, index in enumerate(chosen):
        row, column = divmod(place, _COLUMNS)
        left = _GAP + column * (_WIDTH + _GAP)
        top = _TITLE + row * (shown + _CAPTION + _GAP)
        picture = cv2.resize(frames[index], (_WIDTH, shown), interpolation=cv2.INTER_AREA)
        sheet[top : top + shown, left : left + _WIDTH] = picture
        label, score = answers[index]
        right = label == truth[index]
        colour = _RIGHT if right else _WRONG
        text = f"{label}  {score:.0%}" + ("" if right else f"  (is {truth[index]})")
        cv2.rectangle(sheet, (left, top + shown), (left + _WIDTH - 1, top + shown + 5), colour, -1)
        _write(sheet, text, (left + 2, top + shown + 27), 0.6, colour)
    return sheet


def write_sheet(
    path: Path, clip: Path, answers: list[tuple[str, float]], truth_file: Path, title: str
) -> None:
    """Draw the contact sheet and write it as PNG."""
    sheet = contact_sheet(clip, answers, json.loads(truth_file.read_text()), title)
    cv2.imwrite(str(path), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
