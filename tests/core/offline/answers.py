"""Answers to frames, as the code that judges them gets them."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np


def played(
    best: str,
    time: float,
    *,
    score: float = 0.9,
    label: str | None = None,
    change: bool = False,
    labels: Sequence[str] = ("x", "y", "z"),
) -> Any:
    """A frame a tenth of a second long, whose grey tells its score.

    Args:
        best: the model's own best class.
        time: in seconds.
        score: of that class, and smoothed.
        label: what was decided; by default the best class.
        change: whether that is a change.
        labels: the model's classes, of which the others share what is left.
    """
    scores = np.full(len(labels), (1 - score) / (len(labels) - 1), np.float32)
    if best in labels:
        scores[labels.index(best)] = score
    pixels = np.full((24, 32, 3), round(100 * score), np.uint8)
    frame = SimpleNamespace(time=time, position=round(10 * time), pixels=pixels)
    result = SimpleNamespace(
        label=label or best, verdict=SimpleNamespace(score=score), scores=scores
    )
    event = SimpleNamespace(event="change" if change else "heartbeat")
    return SimpleNamespace(frame=frame, result=result, scores=[(best, score)], event=event)
