"""Whether a camera's pictures, and the answers to them, are still those that a model is for.

A fixed camera shows one scene for hours: its frames are like each other, and a corner only of what
the model was made with, so a test of equal distributions would always alarm. What is asked instead
is whether most of the last minutes lies where next to nothing of the model's own pictures does.
"""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgekit.inference.figures import answer_figures, picture_figures
from edgekit.model.profile import ANSWER_FIGURES, PICTURE_FIGURES, Profile, Reference

# Frames are sampled so far apart at least, as those between look the same. A little less than a
# second, as a camera that gives one a second does not do so evenly.
INTERVAL = 0.9  # seconds


class Window(NamedTuple):
    """The samples that are looked back upon, and the fraction of them that raises a sign."""

    samples: int
    part: float


class Thresholds(NamedTuple):
    """What decides whether a sign is raised; `benchmarks/drift.py` shows what each costs.

    Attributes:
        pictures: most of a few minutes, as a hand before the lens is no drift.
        answers: half an hour, as a thing that is left there may be a hard one; but not most of it,
            as nothing may be there most of the time, and networks are sure of that.
        leave: part of the fraction that raised a sign, below which it is taken back.
        deviations: standard deviations of the model's own pictures, up to which one is usual.
        unsure: fraction of the model's own answers that are less sure than usual ones.
    """

    pictures: Window = Window(240, 0.5)
    answers: Window = Window(1800, 0.2)
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


class _Limit(NamedTuple):
    """A rule for a certain model, the value beyond which its figure is unusual, what is told."""

    rule: _Rule
    value: float
    text: str


class Tally:
    """Counts, over a sliding window, how often figures lie beyond their limits; the part of
    `DriftMonitor` that is about pictures, or about answers.

    Attributes:
        checks: index of a figure, its side and its limit times its side, for each limit.
        raised: samples of the window beyond a limit that raise a sign.
        taken_back: fewer take it back.

    Args:
        names: of the figures.
        limits: that the model sets them.
        window: what raises a sign.
        leave: part of that below which it is taken back.
    """

    def __init__(
        self, names: Sequence[str], limits: Sequence[_Limit], window: Window, leave: float
    ) -> None:
        self.checks = [
            (names.index(limit.rule.figure), limit.rule.side, limit.rule.side * limit.value)
            for limit in limits
        ]
        self.raised = math.ceil(window.part * window.samples)
        self.taken_back = leave * self.raised
        self._limits = limits
        self._window = window
        self.reset()

    def reset(self) -> None:
        """Forget what was seen."""
        self._seen: deque[tuple[float, list[bool]]] = deque(maxlen=self._window.samples)
        self._counts = [0] * len(self._limits)
        self._since: dict[int, float] = {}

    @property
    def ready(self) -> bool:
        """Whether enough was seen to raise a sign."""
        return bool(self._limits) and len(self._seen) >= self.raised

    def add(self, figures: Sequence[float], time: float) -> bool:
        """Look at a sample; returns whether a sign was raised or taken back."""
        # What is no number is not within a limit.
        beyond = [not side * figures[index] <= limit for index, side, limit in self.checks]
        if len(self._seen) == self._window.samples:
            for rule, was_beyond in enumerate(self._seen[0][1]):
                self._counts[rule] -= was_beyond
        self._seen.append((time, beyond))
        changed = False
        for rule, is_beyond in enumerate(beyond):
            self._counts[rule] += is_beyond
            if rule not in self._since:
                if self._counts[rule] >= self.raised:
                    self._since[rule] = self._began(rule)
                    changed = True
            elif self._counts[rule] < self.taken_back:
                del self._since[rule]
                changed = True
        return changed

    def _began(self, rule: int) -> float:
        """When a limit began to be passed: where the sum of what is above the part that raises a
        sign is lowest (CUSUM, Page 1954, Biometrika 41). What passed it now and then before is not.
        """
        excess = [beyond[rule] - self._window.part for _, beyond in self._seen]
        sums = [0.0, *accumulate(excess[:-1])]
        return self._seen[sums.index(min(sums))][0]

    def told(self) -> Iterator[tuple[float, _Limit]]:
        """The signs that are raised, and since when."""
        for rule, limit in enumerate(self._limits):
            if rule in self._since:
                yield self._since[rule], limit


class DriftMonitor:
    """Compares the last minutes of a camera with a model's profile; memory does not grow.

    Attributes:
        pictures, answers: what it is made of.
        thresholds: what decides.
        drift: what is different now, if anything is.
    """

    def __init__(self, profile: Profile, thresholds: Thresholds = THRESHOLDS) -> None:
        self.thresholds = thresholds
        self.pictures = Tally(
            PICTURE_FIGURES,
            [*_limits(profile.pictures, PICTURE_FIGURES, thresholds)],
            thresholds.pictures,
            thresholds.leave,
        )
        self.answers = Tally(
            ANSWER_FIGURES,
            [*_limits(profile.answers, ANSWER_FIGURES, thresholds)],
            thresholds.answers,
            thresholds.leave,
        )
        self.reset()

    def reset(self) -> None:
        """Forget what was seen: another recording begins."""
        self.pictures.reset()
        self.answers.reset()
        self._next = -math.inf
        self.drift: Drift | None = None

    @property
    def ready(self) -> bool:
        """Whether enough was seen to say anything; of answers it takes longer than of pictures."""
        return self.pictures.ready or self.answers.ready

    @property
    def figures(self) -> list[str]:
        """Names of those that were seen often enough to raise a sign."""
        pictures = PICTURE_FIGURES if self.pictures.ready else ()
        answers = ANSWER_FIGURES if self.answers.ready else ()
        return [*pictures, *answers]

    def update(self, tensor: NDArray[np.uint8], scores: NDArray[np.float32], time: float) -> bool:
        """Look at a frame, or pass it over where one was looked at less than `INTERVAL` ago.

        Args:
            tensor: (1, height, width, 3) uint8, what the model was given.
            scores: (classes,), what it answered.
            time: the frame's own, in seconds; where it runs backwards, a new recording begins.

        Returns:
            Whether it was looked at; else nothing has changed.
        """
        if time < self._next:
            if time >= self._next - INTERVAL:
                return False
            self.reset()
        self._next = time + INTERVAL
        self.add([*picture_figures(tensor), *answer_figures(scores)], time)
        return True

    def add(self, figures: Sequence[float], time: float) -> None:
        """Look at a sample's `PICTURE_FIGURES` and `ANSWER_FIGURES`."""
        changed = self.pictures.add(figures[: len(PICTURE_FIGURES)], time)
        changed |= self.answers.add(figures[len(PICTURE_FIGURES) :], time)
        if changed:
            told = [*self.pictures.told(), *self.answers.told()]
            self.drift = _drift(told) if told else None


def _drift(told: Sequence[tuple[float, _Limit]]) -> Drift:
    return Drift(
        since=min(since for since, _ in told),
        signs=[Sign(limit.rule.figure, limit.text) for _, limit in told],
        advice="; ".join(dict.fromkeys(limit.rule.advice for _, limit in told)),
    )


def _limits(
    reference: Reference | None, names: Sequence[str], thresholds: Thresholds
) -> Iterator[_Limit]:
    """The rules for figures `names`, where a model has a reference for them."""
    if reference is None:
        return
    for rule in _RULES:
        if rule.figure not in names:
            continue
        values, images = reference.figures[rule.figure], reference.images
        if rule.figure in ANSWER_FIGURES:
            value = _answer_limit(values, images, thresholds.unsure)
        else:
            value = _picture_limit(values, images, rule.side, thresholds.deviations)
        value += rule.side * rule.tolerance
        these = "nearly anything" if values[0] < value < values[-1] else "anything"
        how = "evaluated" if reference.source == "evaluation" else "calibrated"
        yield _Limit(rule, value, rule.text.format(these=f"{these} it was {how} on"))


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
