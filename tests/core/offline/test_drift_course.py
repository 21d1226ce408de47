"""What is told of drift on a recording, by a monitor that says at once what it is shown."""

import numpy as np
import pytest
from numpy.typing import NDArray

from edgekit.inference.drift import INTERVAL, Drift, Sign
from edgekit.model.profile import Profile
from edgekit.offline import drift_course
from edgekit.offline.drift_course import DriftCourse, in_lines
from tests.core.offline.profiles import SURE, grey, profile

TEXTS = ("darker", "less sure")
NO_PROFILE = "not told: the model file has no profile of its pictures, which edgekit convert keeps"


class _Monitor:
    """Ready at the tenth frame; a picture of value n raises n signs, which began 2 s before."""

    def __init__(self, _: Profile) -> None:
        self.reset()

    def reset(self) -> None:
        self.frames = 0
        self.drift: Drift | None = None

    @property
    def ready(self) -> bool:
        return self.frames >= 10

    def update(self, tensor: NDArray[np.uint8], _: NDArray[np.float32], time: float) -> None:
        self.frames += 1
        signs = [Sign(text, text) for text in TEXTS[: int(tensor[0])]]
        if self.drift is None or self.drift.signs != signs:
            self.drift = Drift(time - 2, signs, "clean the lens") if signs else None


@pytest.fixture
def course(monkeypatch: pytest.MonkeyPatch) -> DriftCourse:
    monkeypatch.setattr(drift_course, "DriftMonitor", _Monitor)
    return DriftCourse(profile())


def _add(course: DriftCourse, signs: str, begin: int = 0) -> DriftCourse:
    """A picture each second, with a number of signs each."""
    for second, number in enumerate(signs, start=begin):
        course.add(np.array([int(number)], np.uint8), SURE, float(second))
    return course


def _times(course: DriftCourse) -> list[tuple[float, float, float, int]]:
    return [(one.since, one.told, one.end, len(one.signs)) for one in course.told]


def test_usual_pictures_tell_nothing(course: DriftCourse) -> None:
    _add(course, "0" * 20)
    assert course.summary() == {"told": [], "note": None}
    assert in_lines({"a.clip": course}) == ["none"]


def test_it_is_told_since_when_and_until_when(course: DriftCourse) -> None:
    _add(course, "0" * 10 + "1" * 5 + "0" * 5)
    assert _times(course) == [(8, 10, 15, 1)]
    assert in_lines({"a.clip": course}) == ["0:08 to 0:15: darker", "advice: clean the lens"]
    assert course.spans() == [(8, 15, "darker")]
    assert course.summary()["told"] == [
        {
            "since_s": 8, "told_s": 10, "end_s": 15, "signs": [Sign("darker", "darker")],
            "advice": "clean the lens",
        }
    ]  # fmt: skip


def test_what_lasts_until_the_end_ends_there(course: DriftCourse) -> None:
    assert _times(_add(course, "0" * 10 + "1" * 5)) == [(8, 10, 14, 1)]


def test_another_sign_begins_another_time_and_none_overlaps(course: DriftCourse) -> None:
    _add(course, "0" * 10 + "1122011")
    assert _times(course) == [(8, 10, 12, 1), (12, 12, 14, 2), (14, 15, 16, 1)]
    assert in_lines({"": course})[1:] == [
        "0:12 to 0:14: darker, less sure",
        "0:14 to 0:16: darker",
        "advice: clean the lens",
    ]


def test_where_frames_were_left_out_it_begins_afresh(course: DriftCourse) -> None:
    _add(course, "1" * 12, begin=2)
    course.begin()
    _add(course, "1" * 12, begin=500)
    assert _times(course) == [(0, 2, 13, 1), (498, 500, 511, 1)]
    course.begin()
    _add(course, "0" * 5, begin=900)
    assert course.summary()["note"] == "1 of 3 stretches are too short to tell"


def test_what_is_told_early_is_told(course: DriftCourse) -> None:
    _add(course, "111")
    assert course.known
    assert in_lines({"": course})[0].endswith("darker")


def test_a_short_recording_is_told_as_such(course: DriftCourse) -> None:
    _add(course, "0" * 5)
    assert course.summary() == {"told": None, "note": "too short to tell: 4 s"}
    course.begin()
    _add(course, "0" * 9, begin=100)
    assert in_lines({"": course}) == ["too short to tell: 8 s at most"]


def test_many_recordings_are_told_together(course: DriftCourse) -> None:
    drifted = _add(DriftCourse(profile()), "1" * 20, begin=60)
    lines = in_lines({"a.clip": _add(course, "0" * 5), "b.clip": drifted})
    assert lines == [
        "b.clip, 0:58 to 1:19: darker",
        "advice: clean the lens",
        "1 of 2 stretches are too short to tell",
    ]
    _add(course, "0" * 9, begin=5)
    assert in_lines({"a.clip": course, "c.clip": course}) == ["none"]


def test_a_file_without_a_profile_says_so_and_nothing_else() -> None:
    course = _add(DriftCourse(None), "1" * 20)
    course.begin()
    assert course.summary() == {"told": None, "note": NO_PROFILE}
    assert in_lines({"a.clip": course, "b.clip": DriftCourse(Profile())}) == [NO_PROFILE]


def test_the_daemons_own_monitor_tells_it() -> None:
    course = DriftCourse(profile())
    for second in range(300):
        course.add(grey(40), SURE, INTERVAL * second)
    assert course.known
    assert course.told[0].since == 0
    assert "brightness" in [sign.figure for sign in course.told[-1].signs]
