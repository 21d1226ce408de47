"""What is told of a drift, and that it costs nothing but itself."""

import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from edgekit_device.config.settings import (
    CameraSettings,
    HealthSettings,
    RecoverySettings,
    Settings,
)
from edgekit_device.daemon import drift as drift_module
from edgekit_device.daemon.drift import DriftWatch
from edgekit_device.health import DriftHealth, DriftSign

from edgekit.inference.decision import Verdict
from edgekit.inference.drift import Drift, Sign
from edgekit.inference.frame import Frame
from edgekit.inference.pipeline import Result
from edgekit.model.decision import DecisionSettings
from edgekit.model.profile import PICTURE_FIGURES, Profile
from edgekit.vision.view import ViewSettings
from tests.device.fakes import FakeClassifier
from tests.device.profiles import BRIGHT, DARKER, make_profile

SETTINGS = Settings(model=Path("m.tflite"), source="v4l2:/dev/video0")
LONG = 600  # Seconds after which a monitor has made up its mind, of answers as well.
COMPARED = [*PICTURE_FIGURES, "score"]
YEAR = 365 * 24 * 3600


def classifier(profile: Profile | None = BRIGHT, sha256: str = "0") -> Any:
    made = FakeClassifier()
    made.profile, made.sha256 = profile, sha256  # type: ignore[assignment]
    return made


class Watched:
    """A watch that sees pictures of one brightness, one each second."""

    def __init__(self, profile: Profile | None = BRIGHT) -> None:
        self.said: list[str] = []
        self.watch = DriftWatch(self.said.append)
        self.now = 1000.0
        self.watch.follow(classifier(profile), SETTINGS)

    def see(self, brightness: int, seconds: int = LONG, pace: float = 1.0) -> None:
        """Pictures for so many seconds of their own time, and `pace` times as many of ours."""
        pixels = np.full((8, 8, 3), brightness, np.uint8)
        scores = np.array([0.1, 0.8, 0.1], np.float32)
        for _ in range(seconds):
            frame = Frame(0, pixels, self.now, self.now * pace)
            verdict = Verdict(1, 0.8, None, None, False)
            self.watch.update(
                Result(
                    frame,
                    pixels[np.newaxis],
                    scores,
                    verdict,
                    "dog",
                    1.0,
                    FakeClassifier(),
                    DecisionSettings(),
                )
            )
            self.now += 1


class FakeMonitor:
    """Says what the test has put into `script`, then nothing; an exception is raised."""

    script: list[Drift | Exception | None]

    def __init__(self, profile: Profile) -> None:
        self.drift: Drift | None = None
        self.figures = ["brightness"]

    def update(self, *_: object) -> bool:
        step = self.script.pop(0) if self.script else None
        if isinstance(step, Exception):
            raise step
        self.drift = step
        return True


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> list[Drift | Exception | None]:
    """What every monitor says from now on, a frame each."""
    steps: list[Drift | Exception | None] = []
    monkeypatch.setattr(FakeMonitor, "script", steps, raising=False)
    monkeypatch.setattr(drift_module, "DriftMonitor", FakeMonitor)
    return steps


def found(since: float = 1000.0, text: str = "darker") -> Drift:
    return Drift(since, [Sign("brightness", text)], "clean the lens")


def test_it_begins_and_ends_with_a_line_each() -> None:
    watched = Watched()
    watched.see(210)
    assert (watched.watch.health(), watched.said) == (None, [])
    watched.see(10)
    health = watched.watch.health()
    assert health is not None
    assert health.signs == [DriftSign("brightness", DARKER)]
    assert "edgekit collect" in health.advice
    assert watched.said == [f"drift: {DARKER}; {health.advice}"]
    watched.see(210)
    assert watched.watch.health() is None
    assert watched.said[1:] == ["drift: pictures and answers are as usual again"]


def test_what_is_compared_is_told_once_enough_was_seen() -> None:
    watched = Watched()
    assert watched.watch.figures() == []
    watched.see(210, seconds=1)
    assert watched.watch.figures() == []
    watched.see(210, seconds=200)
    assert watched.watch.figures() == list(PICTURE_FIGURES)
    watched.see(210)
    assert watched.watch.figures() == COMPARED


def test_only_what_the_profile_has_is_compared() -> None:
    watched = Watched(msgspec.structs.replace(BRIGHT, pictures=None))
    watched.see(10)
    assert watched.watch.figures() == ["score"]
    assert watched.watch.health() is None


@pytest.mark.parametrize("profile", [None, Profile()])
def test_a_model_without_a_profile_is_told_of_once(profile: Profile | None) -> None:
    watched = Watched(profile)
    watched.see(10, seconds=5)
    watch = watched.watch
    assert (watch.health(), watch.figures()) == (None, [])
    assert watched.said == [
        "model: m.tflite has no profile of pictures and answers, by which drift is noticed; "
        "edgekit convert makes one"
    ]
    # The source is another one, then the model; that they go on without is nothing new.
    watch.follow(classifier(profile), msgspec.structs.replace(SETTINGS, source="test:"))
    watch.follow(classifier(profile, sha256="1"), SETTINGS)
    assert len(watched.said) == 1
    # That one is lost is.
    watch.follow(classifier(sha256="2"), SETTINGS)
    watch.follow(classifier(profile, sha256="3"), SETTINGS)
    assert len(watched.said) == 2


def test_it_can_be_switched_off_and_on_again() -> None:
    watched = Watched()
    watched.see(10)
    off = msgspec.structs.replace(SETTINGS, health=HealthSettings(drift=False))
    watched.watch.follow(classifier(), off)
    watched.see(10)
    assert (watched.watch.health(), watched.watch.figures()) == (None, [])
    watched.watch.follow(classifier(profile=None, sha256="1"), off)
    assert len(watched.said) == 1
    watched.watch.follow(classifier(), SETTINGS)
    assert watched.watch.health() is None
    watched.see(10)
    assert watched.watch.health() is not None


@pytest.mark.parametrize(
    ("sha256", "change"),
    [("1", {}), ("0", {"source": "test:"}), ("0", {"camera": CameraSettings(width=1280)})],
)
def test_another_model_or_source_begins_afresh(sha256: str, change: dict[str, Any]) -> None:
    watched = Watched()
    watched.see(10)
    watched.watch.follow(classifier(sha256=sha256), msgspec.structs.replace(SETTINGS, **change))
    assert (watched.watch.health(), watched.watch.figures()) == (None, [])
    # It did not end: nobody knows.
    assert len(watched.said) == 1
    watched.see(10)
    assert watched.watch.health() is not None
    assert len(watched.said) == 2


def test_a_camera_that_comes_back_and_other_settings_change_nothing() -> None:
    watched = Watched()
    watched.see(10)
    before = watched.watch.health()
    watched.watch.follow(classifier(), SETTINGS)
    other = msgspec.structs.replace(SETTINGS, every_frame=True, recovery=RecoverySettings(camera=9))
    watched.watch.follow(classifier(), other)
    assert before is not None
    assert watched.watch.health() == before


class TestFailure:
    """A mistake of ours in the monitor."""

    def test_is_told_once_and_ends_it(self, script: list[Any]) -> None:
        watched = Watched()
        script += [found(), ZeroDivisionError("by zero"), found()]
        watched.see(10, seconds=1)
        assert watched.watch.health() is not None
        watched.see(10, seconds=5)
        assert (watched.watch.health(), watched.watch.figures()) == (None, [])
        assert watched.said[1:] == [
            "drift: unexpected: ZeroDivisionError('by zero'); none is noticed with this model and "
            "source"
        ]
        # Not even when the camera comes back.
        watched.watch.follow(classifier(), SETTINGS)
        watched.see(10, seconds=1)
        assert watched.watch.health() is None

    def test_may_be_in_what_it_says(self, script: list[Any]) -> None:
        watched = Watched()
        script.append(Drift(1000, None, "look"))  # type: ignore[arg-type]
        watched.see(10, seconds=1)
        assert watched.watch.health() is None
        assert "unexpected: TypeError" in watched.said[0]

    def test_is_no_matter_of_the_next_model(self, script: list[Any]) -> None:
        watched = Watched()
        script += [MemoryError(), found()]
        watched.see(10, seconds=1)
        watched.watch.follow(classifier(sha256="1"), SETTINGS)
        watched.see(10, seconds=1)
        assert watched.watch.health() is not None

    def test_may_come_with_the_profile(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(_profile: Profile) -> None:
            raise KeyError("brightness")

        monkeypatch.setattr(drift_module, "DriftMonitor", refuse)
        watched = Watched()
        watched.see(10, seconds=5)
        assert watched.watch.health() is None
        assert len(watched.said) == 1
        assert "unexpected: KeyError('brightness')" in watched.said[0]


class TestLines:
    def test_what_comes_and_goes_is_good_for_one_a_minute(self, script: list[Any]) -> None:
        watched = Watched()
        script += [found(), None] * 300
        watched.see(10, seconds=600)
        assert 5 <= len(watched.said) <= 10
        # In the end they say what is the case.
        watched.see(10, seconds=100)
        assert watched.said[-1] == "drift: pictures and answers are as usual again"

    def test_a_sign_that_is_added_is_none(self, script: list[Any]) -> None:
        watched = Watched()
        both = Drift(1000, [Sign("brightness", "darker"), Sign("contrast", "flat")], "look")
        script += [found()] * 100 + [both] * 100
        watched.see(10, seconds=200)
        assert watched.said == ["drift: darker; clean the lens"]
        assert str(watched.watch.health()) == "darker, flat"

    def test_the_end_is_told_when_it_is_known(self) -> None:
        watched = Watched()
        watched.see(10)
        # A recording whose times go back: the monitor begins afresh.
        watched.now -= 5000
        watched.see(210, seconds=100)
        assert len(watched.said) == 1
        watched.see(210)
        assert len(watched.said) == 2

    def test_words_are_of_one_line(self, script: list[Any]) -> None:
        watched = Watched()
        script.append(found(text="dark\n\x1b[31mer"))
        watched.see(10, seconds=1)
        assert "\n" not in watched.said[0]
        assert str(watched.watch.health()) == "dark [31mer"


class TestSince:
    def seconds_ago(self, health: DriftHealth | None) -> float:
        assert health is not None
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", health.since)
        return datetime.now(UTC).timestamp() - datetime.fromisoformat(health.since).timestamp()

    def test_is_the_frames_own_time_by_the_clock(self, script: list[Any]) -> None:
        watched = Watched()
        watched.now = time.monotonic() - 500
        since = watched.now + 100
        script += [None] * 300 + [found(since)] * 200
        watched.see(10, seconds=500)
        assert self.seconds_ago(watched.watch.health()) == pytest.approx(400, abs=1.5)

    def test_of_a_recording_is_when_it_was_played(self, script: list[Any]) -> None:
        # Minutes of it, answered within a second.
        watched = Watched()
        pace = 0.001
        watched.now = time.monotonic() / pace
        script += [None] * LONG + [found(watched.now + 100)] * LONG
        watched.see(10, seconds=2 * LONG, pace=pace)
        assert self.seconds_ago(watched.watch.health()) == pytest.approx(0, abs=10)

    def test_stays_however_fast_a_recording_is_played(self, script: list[Any]) -> None:
        watched = Watched()
        pace = 0.1
        watched.now = time.monotonic() / pace
        script += [None] * LONG + [found(watched.now + LONG)] * LONG
        watched.see(10, seconds=LONG + 1, pace=pace)
        before = self.seconds_ago(watched.watch.health())
        watched.see(10, seconds=LONG - 1, pace=pace)
        assert self.seconds_ago(watched.watch.health()) == pytest.approx(before, abs=5)

    def test_follows_a_clock_that_jumps(
        self, script: list[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        watched = Watched()
        watched.now = time.monotonic()
        script.append(found(watched.now))
        watched.see(10, seconds=1)
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + YEAR)
        health = watched.watch.health()
        assert self.seconds_ago(health) == pytest.approx(-YEAR, abs=1.5)


def test_the_real_one_sees_answers_too() -> None:
    watched = Watched(make_profile(score=(0.9, 1.0)))
    watched.see(210)
    health = watched.watch.health()
    assert health is not None
    assert [sign.figure for sign in health.signs] == ["score"]


def test_another_view_of_the_camera_begins_it_afresh() -> None:
    watched = Watched()
    watched.see(210)
    watched.see(10)
    assert watched.watch.health() is not None
    for view, gone in ((SETTINGS.view, False), (ViewSettings(mirror=True), True)):
        settings = msgspec.structs.replace(SETTINGS, view=view)
        watched.watch.follow(classifier(), settings)
        assert (watched.watch.health() is None) == gone
