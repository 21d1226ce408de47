"""Whether a camera's pictures, and the answers to them, are still those that a model is for.

A fixed camera shows one scene for hours: its frames are like each other, and a corner only of what
the model was made with, so a test of equal distributions would always alarm. What is asked instead
is whether most of the last minutes lies where next to nothing of the model's own pictures does.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgekit.inference.figures import answer_figures, picture_figures
from edgekit.model.profile import ANSWER_FIGURES, PICTURE_FIGURES, Profile

# Frames are sampled so far apart at least; those between look the same.
INTERVAL = 1.0  # seconds


class Thresholds(NamedTuple):
    """What decides whether a sign is raised; `benchmarks/drift.py` shows what each costs.

    Attributes:
        window: samples that are looked back upon.
        pictures: fraction of the window that must lie beyond a limit for a sign to be raised. Most
            of it: a hand before the lens is no drift.
        answers: the same for scores, of which `unsure` are always beyond.
        leave: part of that below which the sign is taken back.
        deviations: standard deviations of the model's own pictures, up to which one is usual.
        unsure: fraction of the model's own answers that are less sure than usual ones.
    """

    window: int = 240
    pictures: float = 0.5
    answers: float = 0.35
    leave: float = 0.5
    deviations: float = 2.5
    unsure: float = 0.05


THRESHOLDS = Thresholds()


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
        tolerance: what is allowed beside, in the figure's own unit: of pictures that are all alike
            the next one is not quite like them.
    """

    figure: str
    side: int
    tolerance: float
    text: str
    advice: str


_LIGHT = "mend the light, or collect such pictures (edgekit collect) and convert again"
_LENS = "clean and focus the lens, or collect such pictures (edgekit collect) and convert again"
_SCENE = "look at what it sees, collect such pictures (edgekit collect), train and convert again"

# There is none for the margin: it told nothing that the best score did not (docs/drift.md).
_RULES = (
    _Rule("brightness", -1, 4, "darker than {these}", _LIGHT),
    _Rule("brightness", +1, 4, "brighter than {these}", _LIGHT),
    _Rule("contrast", -1, 0.05, "less contrast than {these}", _LENS),
    _Rule("contrast", +1, 0.05, "more contrast than {these}", _LIGHT),
    _Rule("warmth", -1, 0.01, "a colour cast towards blue, beyond {these}", _LIGHT),
    _Rule("warmth", +1, 0.01, "a colour cast towards red, beyond {these}", _LIGHT),
    _Rule("greenness", -1, 0.01, "a colour cast towards purple, beyond {these}", _LIGHT),
    _Rule("greenness", +1, 0.01, "a colour cast towards green, beyond {these}", _LIGHT),
    _Rule("sharpness", -1, 0.05, "more blurred than {these}", _LENS),
    _Rule("sharpness", +1, 0.05, "more noise or detail than {these}", _LENS),
    _Rule("score", -1, 0.02, "less sure than of {these}", _SCENE),
)


class _Watched(NamedTuple):
    """A rule for a certain model.

    Attributes:
        limit: the value beyond which its figure is unusual.
        raised: samples of the window beyond it that raise the sign.
        text: what is told then.
    """

    rule: _Rule
    limit: float
    raised: float
    text: str


class DriftMonitor:
    """Compares the last minutes of a camera with a model's profile; memory does not grow.

    Attributes:
        drift: what is different now, if anything is.
        raised: for each figure and side, how many samples of the window beyond its limit raise it.
    """

    def __init__(self, profile: Profile, thresholds: Thresholds = THRESHOLDS) -> None:
        self._thresholds = thresholds
        self._watched = [*_watch(profile, thresholds)]
        rules = [watched.rule for watched in self._watched]
        figures = PICTURE_FIGURES + ANSWER_FIGURES
        self._figures = np.array([figures.index(rule.figure) for rule in rules], np.intp)
        self._sides = np.array([rule.side for rule in rules])
        self._limits = self._sides * [watched.limit for watched in self._watched]
        self.raised = np.array([watched.raised for watched in self._watched])
        self.reset()

    def reset(self) -> None:
        """Forget what was seen: another recording begins."""
        window, watched = self._thresholds.window, len(self._watched)
        self._beyond = np.zeros((window, watched), bool)
        self._times = np.zeros(window)
        self._counts = np.zeros(watched, np.intp)
        self._since = np.full(watched, math.nan)
        self._samples = 0
        self._next = -math.inf
        self.drift: Drift | None = None

    @property
    def ready(self) -> bool:
        """Whether enough was seen to raise any sign."""
        return self._samples >= max(self.raised, default=0)

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
        self.add(picture_figures(tensor) + answer_figures(scores), time)

    def beyond(self, figures: ArrayLike) -> NDArray[np.bool_]:
        """Which figures lie beyond their limits (…, limits), of samples (…, figures)."""
        # What is no number is not within the limits.
        usual = self._sides * np.asarray(figures)[..., self._figures] <= self._limits
        return np.asarray(~usual)

    def add(self, figures: tuple[float, ...], time: float) -> None:
        """Look at a sample's `PICTURE_FIGURES` and `ANSWER_FIGURES`."""
        beyond = self.beyond(figures)
        place = self._samples % len(self._times)
        self._counts += beyond.astype(np.intp) - self._beyond[place]
        self._beyond[place], self._times[place] = beyond, time
        self._samples += 1
        told = ~np.isnan(self._since)
        rises = ~told & (self._counts >= self.raised)
        falls = told & (self._counts < self._thresholds.leave * self.raised)
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
        told = [self._watched[index] for index in raised]
        signs = [Sign(watched.rule.figure, watched.text) for watched in told]
        advice = dict.fromkeys(watched.rule.advice for watched in told)
        return Drift(float(self._since[raised].min()), signs, "; ".join(advice))


def _watch(profile: Profile, thresholds: Thresholds) -> Iterator[_Watched]:
    for rule in _RULES:
        of_answers = rule.figure in ANSWER_FIGURES
        reference = profile.answers if of_answers else profile.pictures
        if reference is None:
            continue
        values, images = reference.figures[rule.figure], reference.images
        if of_answers:
            limit = _answer_limit(values, images, thresholds.unsure)
            part = thresholds.answers
        else:
            limit = _picture_limit(values, images, rule.side, thresholds.deviations)
            part = thresholds.pictures
        limit += rule.side * rule.tolerance
        these = "nearly anything" if values[0] < limit < values[-1] else "anything"
        how = "evaluated" if reference.source == "evaluation" else "calibrated"
        text = rule.text.format(these=f"{these} it was {how} on")
        yield _Watched(rule, limit, part * thresholds.window, text)


def _picture_limit(values: list[float], images: int, side: int, deviations: float) -> float:
    """How far a normal distribution goes in so many `deviations`.

    Its standard deviation is taken from the median and the outermost 5 %, so that neither the other
    side nor a single odd picture decides. Of n pictures it is not known better than to
    1.3 / sqrt(n) of itself, the standard error of a 5 % quantile; two of these are added.
    """
    median, outermost = values[len(values) // 2], values[-2 if side > 0 else 1]
    unknown = 1 + 2 * 1.3 / math.sqrt(images)
    return median + deviations * unknown * (outermost - median) / 1.645


def _answer_limit(values: list[float], images: int, unsure: float) -> float:
    """The quantile `unsure`, or as much lower as it may really be, by its standard error."""
    level = unsure - math.sqrt(unsure * (1 - unsure) / images)
    return float(np.interp(level, np.linspace(0, 1, len(values)), values))
