"""Whether a camera's pictures, and the answers to them, are still those that a model is for.

A fixed camera shows one scene for hours: its frames are like each other, and a corner only of what
the model was made with, so a test of equal distributions would always alarm. What is asked instead
is whether most of the last minutes lies where next to nothing of the model's own pictures does.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgekit.inference.figures import answer_figures, picture_figures
from edgekit.model.profile import ANSWER_FIGURES, PICTURE_FIGURES, Profile, Reference

# Frames are sampled so far apart at least; those between look the same.
INTERVAL = 1.0  # seconds


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
    answers: Window = Window(1800, 0.25)
    leave: float = 0.5
    deviations: float = 2.25
    unsure: float = 0.07


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


class _Limit(NamedTuple):
    """A rule for a certain model, the value beyond which its figure is unusual, what is told."""

    rule: _Rule
    value: float
    text: str


class Tally:
    """Counts, over a sliding window, how often figures lie beyond their limits; the part of
    `DriftMonitor` that is about pictures, or about answers.

    Args:
        names: of the figures.
        limits: that the model sets them.
        window: what raises a sign.
        leave: part of that below which it is taken back.
    """

    def __init__(
        self, names: Sequence[str], limits: Sequence[_Limit], window: Window, leave: float
    ) -> None:
        self._rules = limits
        self._figures = np.array([names.index(one.rule.figure) for one in limits], np.intp)
        self._sides = np.array([one.rule.side for one in limits])
        self._limits = np.array([one.rule.side * one.value for one in limits])
        self._part = window.part
        self.raised = math.ceil(window.part * window.samples)
        self.taken_back = leave * self.raised
        self._beyond = np.zeros((window.samples, len(limits)), bool)
        self._times = np.zeros(window.samples)
        self.reset()

    def reset(self) -> None:
        """Forget what was seen."""
        self._beyond[:] = False
        self._counts = np.zeros(len(self._rules), np.intp)
        self._since = np.full(len(self._rules), math.nan)
        self._samples = 0

    @property
    def ready(self) -> bool:
        """Whether enough was seen to raise a sign."""
        return bool(self._rules) and self._samples >= self.raised

    def beyond(self, figures: ArrayLike) -> NDArray[np.bool_]:
        """Which lie beyond their limits (…, rules), of figures (…, names)."""
        # What is no number is not within the limits.
        usual = self._sides * np.asarray(figures)[..., self._figures] <= self._limits
        return np.asarray(~usual)

    def add(self, figures: ArrayLike, time: float) -> bool:
        """Look at a sample; returns whether a sign was raised or taken back."""
        beyond = self.beyond(figures)
        place = self._samples % len(self._times)
        self._counts += beyond.astype(np.intp) - self._beyond[place]
        self._beyond[place], self._times[place] = beyond, time
        self._samples += 1
        told = ~np.isnan(self._since)
        rises = ~told & (self._counts >= self.raised)
        falls = told & (self._counts < self.taken_back)
        for rule in np.flatnonzero(rises):
            self._since[rule] = self._began(rule)
        self._since[falls] = math.nan
        return bool(rises.any() or falls.any())

    def _began(self, rule: int) -> float:
        """When a limit began to be passed: where the sum of what is above the part that raises a
        sign is lowest (CUSUM, Page 1954, Biometrika 41). What passed it now and then before is not.
        """
        size = len(self._times)
        seen = np.arange(max(0, self._samples - size), self._samples) % size
        excess = np.cumsum(self._beyond[seen, rule] - self._part)
        return float(self._times[seen[np.argmin(np.append(0, excess[:-1]))]])

    def told(self) -> Iterator[tuple[float, _Limit]]:
        """The signs that are raised, and since when."""
        for since, limit in zip(self._since, self._rules, strict=True):
            if not math.isnan(since):
                yield float(since), limit


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
        self.add([*picture_figures(tensor), *answer_figures(scores)], time)

    def add(self, figures: Sequence[float], time: float) -> None:
        """Look at a sample's `PICTURE_FIGURES` and `ANSWER_FIGURES`."""
        pictures, answers = np.split(figures, [len(PICTURE_FIGURES)])
        changed = self.pictures.add(pictures, time)
        changed |= self.answers.add(answers, time)
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
