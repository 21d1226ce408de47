"""Wrong answers, the longest of them with a picture."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgekit.offline.player import Played
from edgekit.offline.surest import Surest
from edgekit.vision.encode import encode_jpeg, fit

_WIDTH = 320  # of a picture, in pixels


@dataclass
class Mistake:
    """Consecutive frames with the same wrong answer.

    Attributes:
        truth, answer: labels.
        start, end: seconds.
        first, frames: place of the first frame, and their number.
        late: it stood from the interval's start until the right answer came.
        score: highest smoothed score of the answer.
        scores: the model's own answer at that frame, best first.
        jpeg: the picture of that frame, as the camera gave it.
    """

    truth: str
    answer: str
    start: float
    end: float
    first: int
    late: bool = False
    frames: int = 0
    score: float = -1.0
    scores: list[tuple[str, float]] = field(default_factory=list)
    jpeg: bytes = b""


class Mistakes:
    """Gathers them; of the `maximum` longest, keeps the picture where the answer was surest."""

    def __init__(self, maximum: int) -> None:
        self._kept = Surest[Mistake](maximum)
        self._now: Mistake | None = None
        self._picture: NDArray[np.uint8] | None = None
        # Since the interval's start, while no answer in it was right.
        self._waiting: list[Mistake] | None = None

    def enter(self, time: float) -> None:
        """An interval begins."""
        self.end(time)
        self._waiting = []

    def wrong(self, one: Played, truth: str) -> None:
        """A frame that is wrong."""
        frame, result = one.frame, one.result
        if self._now is not None and self._now.answer != result.label:
            self._finish(frame.time)
        if self._now is None:
            self._now = Mistake(truth, result.label, frame.time, frame.time, frame.position)
        self._now.frames += 1
        if result.verdict.score > self._now.score:
            self._now.score, self._now.scores = result.verdict.score, one.scores
            self._picture = frame.pixels

    def right(self, time: float) -> None:
        """A frame that is right."""
        self._finish(time)
        for mistake in self._waiting or ():
            mistake.late = True
        self._waiting = None

    def end(self, time: float) -> None:
        """The interval is over."""
        self._finish(time)
        self._waiting = None

    def longest(self) -> list[Mistake]:
        """Those that were kept, in order."""
        return self._kept.in_order()

    @property
    def count(self) -> int:
        """How many there were."""
        return self._kept.count

    def _finish(self, time: float) -> None:
        mistake, self._now = self._now, None
        if mistake is None:
            return
        mistake.end = time
        if self._waiting is not None:
            self._waiting.append(mistake)
        self._kept.add(mistake.end - mistake.start, lambda: self._pictured(mistake))

    def _pictured(self, mistake: Mistake) -> Mistake:
        assert self._picture is not None
        mistake.jpeg = encode_jpeg(fit(self._picture, _WIDTH, self._picture.shape[0]))
        return mistake
