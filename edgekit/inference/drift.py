"""Whether a camera's pictures, and the answers to them, are still those that a model is for.

A fixed camera shows one scene for hours: its frames are like each other, and a corner only of what
the model was made with, so a test of equal distributions would always alarm. What is asked instead
is whether most of the last minutes lies where next to nothing of the model's own pictures does.
"""

import math
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgekit.inference.figures import answer_figures, picture_figures
from edgekit.model.profile import ANSWER_FIGURES, PICTURE_FIGURES, Profile, Reference

# Frames are sampled so far apart at least; those between look the same.
INTERVAL = 1.0  # seconds
# Samples that are looked back upon.
WINDOW = 240
# A sign is raised when so much of the window lies beyond the limit, and taken back below the other.
ENTER, LEAVE = 0.5, 0.25


class Sign(msgspec.Struct, frozen=True):
    """A figure that is not what it was.

    Attributes:
        figure: its name, one of `PICTURE_FIGURES` and `ANSWER_FIGURES`.
        text: what is different, for example `darker than anything it was calibrated on`.
    """

    figure: str
    text: str


class Drift(msgspec.Struct, frozen=True):
    """What has changed.

    Attributes:
        since: the frame's own time, in seconds, from which it lies beyond what is usual.
        signs: what is different; at least one.
        advice: what to do about it.
    """

    since: float
    signs: list[Sign]
    advice: str


class _Rule(NamedTuple):
    """What is told when a figure lies below (-1) or above (+1) what is usual.

    Attributes:
        tolerance: by how much at least it may do so, in the figure's own unit.
    """

    figure: str
    side: int
    text: str
    tolerance: float
    advice: str


_LIGHT = "collect pictures in this light (edgekit collect), check the answers, and convert again"
_LENS = (
    "look at the lens, whether it is covered, dirty or out of focus; if all is well, collect "
    "pictures (edgekit collect), check the answers, and convert again"
)
_SCENE = (
    "look at what the camera sees, and at its lens; if both are as they should be, collect "
    "pictures (edgekit collect), check the answers, and train and convert again"
)

_RULES = (
    _Rule("brightness", -1, "darker than anything it was {seen}", 8, _LIGHT),
    _Rule("brightness", +1, "brighter than anything it was {seen}", 8, _LIGHT),
    _Rule("contrast", -1, "less contrast than anything it was {seen}", 4, _LENS),
    _Rule("contrast", +1, "more contrast than anything it was {seen}", 8, _LIGHT),
    _Rule("warmth", -1, "a colour cast towards blue, beyond anything it was {seen}", 0.02, _LIGHT),
    _Rule("warmth", +1, "a colour cast towards red, beyond anything it was {seen}", 0.02, _LIGHT),
    _Rule(
        "greenness", -1, "a colour cast towards purple, beyond anything it was {seen}", 0.02, _LIGHT
    ),
    _Rule(
        "greenness", +1, "a colour cast towards green, beyond anything it was {seen}", 0.02, _LIGHT
    ),
    _Rule("sharpness", -1, "more blurred than anything it was {seen}", 0.1, _LENS),
    _Rule("sharpness", +1, "more noise or detail than anything it was {seen}", 0.1, _LENS),
    _Rule("score", -1, "less sure than nearly all that it was {seen}", 0.02, _SCENE),
    _Rule("margin", -1, "more torn than by nearly all that it was {seen}", 0.02, _SCENE),
)


class DriftMonitor:
    """Compares the last minutes of a camera with a model's profile; memory does not grow.

    Attributes:
        drift: what is different now, if anything is.
        ready: whether enough was seen to tell.
    """

    def __init__(self, profile: Profile) -> None:
        self._rules: list[_Rule] = []
        limits: list[float] = []
        texts: list[str] = []
        for names, reference in (
            (PICTURE_FIGURES, profile.pictures),
            (ANSWER_FIGURES, profile.answers),
        ):
            for rule in _RULES:
                if reference is not None and rule.figure in names:
                    self._rules.append(rule)
                    limits.append(rule.side * _limit(reference, rule))
                    texts.append(rule.text.format(seen=_seen(reference)))
        self._limits = np.array(limits)
        self._texts = texts
        self._sides = np.array([rule.side for rule in self._rules])
        figures = PICTURE_FIGURES + ANSWER_FIGURES
        self._figures = np.array([figures.index(rule.figure) for rule in self._rules], np.intp)
        self.reset()

    def reset(self) -> None:
        """Forget what was seen: another recording begins."""
        self._beyond = np.zeros((WINDOW, len(self._rules)), bool)
        self._times = np.zeros(WINDOW)
        self._counts = np.zeros(len(self._rules), np.intp)
        self._since = np.full(len(self._rules), math.nan)
        self._samples = 0
        self._next = -math.inf
        self.drift: Drift | None = None

    @property
    def ready(self) -> bool:
        """Whether enough was seen to raise a sign."""
        return self._samples >= ENTER * WINDOW

    def update(self, tensor: NDArray[np.uint8], scores: NDArray[np.float32], time: float) -> None:
        """Look at a frame, or pass it over where one was looked at less than `INTERVAL` ago.

        Args:
            tensor: (1, height, width, 3) uint8, what the model was given.
            scores: (classes,), what it answered.
            time: the frame's own, in seconds; where it runs backwards, a new recording begins.
        """
        if time < self._next:
            if time >= self._next - INTERVAL:
                return
            self.reset()
        self._next = time + INTERVAL
        values = np.array(picture_figures(tensor) + answer_figures(scores))
        self._add(self._sides * values[self._figures] > self._limits, time)

    def _add(self, beyond: NDArray[np.bool_], time: float) -> None:
        place = self._samples % WINDOW
        self._counts += beyond.astype(np.intp) - self._beyond[place]
        self._beyond[place], self._times[place] = beyond, time
        self._samples += 1
        raised = ~np.isnan(self._since)
        rises = ~raised & (self._counts >= ENTER * WINDOW)
        falls = raised & (self._counts < LEAVE * WINDOW)
        if not (rises.any() or falls.any()):
            return
        for rule in np.flatnonzero(rises):
            self._since[rule] = self._times[self._beyond[:, rule]].min()
        self._since[falls] = math.nan
        self.drift = self._told()

    def _told(self) -> Drift | None:
        raised = np.flatnonzero(~np.isnan(self._since))
        if not raised.size:
            return None
        signs = [Sign(self._rules[i].figure, self._texts[i]) for i in raised]
        advice = dict.fromkeys(self._rules[i].advice for i in raised)
        return Drift(float(self._since[raised].min()), signs, "; ".join(advice))


def _seen(reference: Reference) -> str:
    return "evaluated on" if reference.source == "evaluation" else "calibrated on"


def _limit(reference: Reference, rule: _Rule) -> float:
    """The value beyond which a figure is unusual."""
    values = reference.figures[rule.figure]
    if rule.figure in ANSWER_FIGURES:
        return values[1] - rule.tolerance
    if rule.side < 0:
        values = [-value for value in reversed(values)]
    median, high, maximum = values[len(values) // 2], values[-2], values[-1]
    scale = (high - median) / math.log(10)
    reach = high + scale * (math.log(50) + 8.7 / math.sqrt(reference.images))
    return rule.side * max(maximum + rule.tolerance, reach)
