"""What the daemon would say of drift, over the course of a recording."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.inference.drift import Drift, DriftMonitor, Sign
from edgekit.model.profile import Profile
from edgekit.offline.timeline import Span
from edgekit.text import clock, one_line


@dataclass
class Drifting:
    """A time of a recording in which the same was told.

    Attributes:
        since: when it began, in seconds; the daemon tells it minutes later, once it is sure.
        told: from when on it is told.
        end: until when.
        signs: what is different.
        advice: what to do about it.
    """

    since: float
    told: float
    end: float
    signs: list[Sign]
    advice: str

    @property
    def text(self) -> str:
        """The signs, in words."""
        return ", ".join(sign.text for sign in self.signs)

    def summary(self) -> dict[str, Any]:
        """It, as JSON has it."""
        return {
            "since_s": round(self.since, 3),
            "told_s": round(self.told, 3),
            "end_s": round(self.end, 3),
            "signs": self.signs,
            "advice": self.advice,
        }


class DriftCourse:
    """Gathers it; where frames were left out of a clip, it begins afresh, as after a restart.

    Args:
        profile: the model's, if its file has one.

    Attributes:
        told: what was told, and when.
        monitor: what tells it; None where the file has nothing to tell it by.
        stretches, long_enough: how many there were, and how many of them lasted long enough.
        longest: seconds of the longest.
    """

    def __init__(self, profile: Profile | None) -> None:
        self.told: list[Drifting] = []
        empty = profile is None or not (profile.pictures or profile.answers)
        self.monitor = None if profile is None or empty else DriftMonitor(profile)
        self._now: Drift | None = None
        self.stretches = self.long_enough = 0
        self.longest = 0.0
        # Of this stretch: when it began, and whether it has lasted long enough.
        self._first: float | None = None
        self._ready = False

    def begin(self) -> None:
        """Another stretch of frames begins."""
        self._now, self._first, self._ready = None, None, False
        if self.monitor is not None:
            self.monitor.reset()

    def add(self, tensor: NDArray[np.uint8], scores: NDArray[np.float32], time: float) -> None:
        """Take a frame: what the model was given, what it answered, and its time in seconds."""
        monitor = self.monitor
        if monitor is None:
            return
        if self._first is None:
            self._first = time
            self.stretches += 1
        monitor.update(tensor, scores, time)
        self.longest = max(self.longest, time - self._first)
        # Some signs need less time than others.
        if (monitor.ready or monitor.drift) and not self._ready:
            self._ready = True
            self.long_enough += 1
        before, self._now = self._now, monitor.drift
        if before is not None:
            self.told[-1].end = time
        if self._now is None or self._now == before:
            return
        # What was told before may have begun later, or have gone on until now.
        since = max(self._now.since, self.told[-1].end if self.told else -math.inf)
        self.told.append(Drifting(since, time, time, self._now.signs, self._now.advice))

    @property
    def known(self) -> bool:
        """Whether anything could be told, of a part of the recording at least."""
        return self.long_enough > 0

    def spans(self) -> list[Span]:
        """What was told, for a timeline."""
        return [Span(one.since, one.end, one.text) for one in self.told]

    def summary(self) -> dict[str, Any]:
        """It, as JSON has it: `told` is null where nothing could be."""
        return {
            "told": [one.summary() for one in self.told] if self.known else None,
            "note": _note([self]) or None,
        }


def advice(told: Iterable[Drifting]) -> list[str]:
    """What to do about them, each once."""
    return list(dict.fromkeys(words for one in told for words in one.advice.split("; ")))


def in_lines(courses: Mapping[str, DriftCourse]) -> list[str]:
    """What a terminal shows of recordings, by name; of a single one, the name is left out."""
    lines = []
    for name, course in courses.items():
        where = f"{one_line(name)}, " if len(courses) > 1 else ""
        for one in course.told:
            lines.append(f"{where}{clock(one.since)} to {clock(one.end)}: {one.text}")
    told = (one for course in courses.values() for one in course.told)
    lines += [f"advice: {words}" for words in advice(told)]
    note = _note(list(courses.values()))
    if not lines and any(course.known for course in courses.values()):
        return [f"none; {note}" if note else "none"]
    return [*lines, note] if note else lines


def _note(courses: Sequence[DriftCourse]) -> str:
    """Why nothing could be told, of some of the stretches or of all; empty where it could."""
    if any(course.monitor is None for course in courses):
        return (
            "not told: the model file has no profile of its pictures, which edgekit convert keeps"
        )
    stretches = sum(course.stretches for course in courses)
    short = stretches - sum(course.long_enough for course in courses)
    if short == stretches:
        longest = f"{max(course.longest for course in courses):.0f} s"
        return f"too short to tell: {longest}" + (" at most" if stretches > 1 else "")
    return f"{short} of {stretches} stretches are too short to tell" if short else ""
