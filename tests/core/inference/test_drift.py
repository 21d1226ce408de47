"""When a camera's last minutes are told to be unlike what a model was made with, and when not."""

import itertools
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from edgekit.inference import drift as module
from edgekit.inference.drift import INTERVAL, THRESHOLDS, DriftMonitor
from edgekit.inference.figures import picture_figures
from edgekit.model.profile import (
    ANSWER_FIGURES,
    PICTURE_FIGURES,
    QUANTILES,
    Profile,
    Reference,
)

Pixels = NDArray[np.uint8]
SURE, UNSURE = np.array([0.98, 0.01, 0.01], np.float32), np.array([0.3, 0.4, 0.3], np.float32)
# Samples until a sign is raised by what begins now, and until it is taken back.
WINDOW = THRESHOLDS.pictures.samples
RAISED = math.ceil(THRESHOLDS.pictures.part * WINDOW)
TAKEN_BACK = WINDOW - math.ceil(THRESHOLDS.leave * RAISED) + 1
UNSURE_RAISED = math.ceil(THRESHOLDS.answers.part * THRESHOLDS.answers.samples)


def picture(light: float = 1.0, red: float = 1.0, contents: int = 0) -> Pixels:
    """A few coloured squares (1, 32, 32, 3)."""
    coarse = np.random.default_rng(contents).integers(60, 140, (4, 4, 3))
    squares = coarse.repeat(8, axis=0).repeat(8, axis=1) * [red * light, light, light]
    return np.clip(squares, 0, 255).astype(np.uint8)[None]


def quantiles(rows: list[tuple[float, ...]], names: tuple[str, ...]) -> dict[str, list[float]]:
    table = np.quantile(np.array(rows), np.linspace(0, 1, QUANTILES), axis=0)
    return {name: column.tolist() for name, column in zip(names, table.T, strict=True)}


def pictures_reference(images: int = 300) -> Reference:
    """Of squares in a light of 0.6 to 1.4."""
    lights = np.linspace(0.6, 1.4, 300)
    rows = [picture_figures(picture(light, contents=i)) for i, light in enumerate(lights)]
    figures = quantiles(rows, PICTURE_FIGURES)
    return Reference(images=images, source="calibration and evaluation", figures=figures)


def answers_reference() -> Reference:
    """Of a model that is sure of nearly everything."""
    rows = [(score,) for score in np.linspace(0.85, 0.99, 200)]
    return Reference(images=200, source="evaluation", figures=quantiles(rows, ANSWER_FIGURES))


PROFILE = Profile(pictures=pictures_reference(), answers=answers_reference())


class Camera:
    """Feeds a monitor a frame a second."""

    def __init__(self, profile: Profile = PROFILE, start: float = 0.0) -> None:
        self.monitor = DriftMonitor(profile)
        self.time = start

    def see(self, count: int, frame: Pixels, scores: NDArray[np.float32] = SURE) -> None:
        for _ in range(count):
            self.monitor.update(frame, scores, self.time)
            self.time += 1

    @property
    def figures(self) -> list[str]:
        told = self.monitor.drift
        return [] if told is None else [sign.figure for sign in told.signs]


def test_one_scene_for_hours_is_no_drift() -> None:
    camera = Camera()
    camera.see(3 * WINDOW, picture(0.7, contents=1000))
    assert camera.monitor.drift is None


@pytest.mark.parametrize(
    ("frame", "figure", "text"),
    [
        (picture(0.2), "brightness", "darker than anything it was calibrated on"),
        (picture(2), "brightness", "brighter than anything it was calibrated on"),
        (picture(red=2), "warmth", "a colour cast towards red"),
        (np.full((1, 32, 32, 3), 100, np.uint8), "contrast", "less contrast than anything"),
    ],
)
def test_what_changed_is_told(frame: Pixels, figure: str, text: str) -> None:
    camera = Camera()
    camera.see(RAISED, frame)
    assert camera.monitor.drift is not None
    told = {sign.figure: sign.text for sign in camera.monitor.drift.signs}
    assert told[figure].startswith(text)
    assert "collect" in camera.monitor.drift.advice


def test_answers_that_are_less_sure_are_told() -> None:
    camera = Camera()
    camera.see(UNSURE_RAISED - 1, picture(), UNSURE)
    assert camera.monitor.drift is None
    camera.see(1, picture(), UNSURE)
    assert camera.monitor.drift is not None
    assert "less sure" in camera.monitor.drift.signs[0].text


def test_answers_that_are_surer_are_no_drift() -> None:
    camera = Camera()
    camera.see(UNSURE_RAISED, picture(), np.array([1, 0, 0], np.float32))
    assert camera.monitor.drift is None


def test_it_is_ready_when_a_sign_could_be_raised() -> None:
    camera = Camera()
    camera.see(RAISED - 1, picture(0.2))
    assert (camera.monitor.ready, camera.figures) == (False, [])
    camera.see(1, picture(0.2))
    assert camera.monitor.ready
    assert "brightness" in camera.figures


def test_it_says_since_when() -> None:
    camera = Camera(start=1000)
    camera.see(WINDOW, picture())
    began = camera.time
    camera.see(RAISED, picture(0.2))
    assert camera.monitor.drift is not None
    assert camera.monitor.drift.since == began
    # The window has long passed on.
    camera.see(3 * WINDOW, picture(0.2))
    assert camera.monitor.drift.since == began


def test_what_was_odd_now_and_then_before_is_no_beginning() -> None:
    camera = Camera()
    for _ in range(30):
        camera.see(9, picture())
        camera.see(1, picture(0.2), UNSURE)
    began = camera.time
    camera.see(UNSURE_RAISED, picture(), UNSURE)
    assert camera.monitor.drift is not None
    assert camera.monitor.drift.since == began - 1
    assert camera.figures == ["score"]


def test_a_sign_is_raised_late_and_taken_back_later() -> None:
    camera = Camera()
    camera.see(WINDOW, picture())
    camera.see(RAISED - 1, picture(0.2))
    assert camera.figures == []
    camera.see(WINDOW, picture(0.2))
    assert "brightness" in camera.figures
    camera.see(TAKEN_BACK - 1, picture())
    assert "brightness" in camera.figures
    camera.see(1, picture())
    assert camera.monitor.drift is None


def test_what_comes_and_goes_around_the_threshold_is_told_once() -> None:
    camera = Camera()
    told = []
    for _ in range(WINDOW):
        camera.see(3, picture(0.2))
        told.append(bool(camera.figures))
        camera.see(2, picture())
        told.append(bool(camera.figures))
    assert sum(before != after for before, after in itertools.pairwise(told)) == 1


def test_a_second_sign_keeps_the_first_ones_beginning() -> None:
    camera = Camera()
    camera.see(RAISED, picture(0.2))
    camera.see(UNSURE_RAISED, picture(0.2), UNSURE)
    assert camera.monitor.drift is not None
    assert camera.monitor.drift.since == 0
    assert {"brightness", "score"} <= set(camera.figures)
    camera.see(WINDOW, picture(), UNSURE)
    assert camera.monitor.drift is not None
    assert "brightness" not in camera.figures
    assert camera.monitor.drift.since == RAISED


def test_advice_for_several_signs_is_given_once() -> None:
    camera = Camera()
    camera.see(RAISED, picture(0.5, red=3))
    assert {"warmth", "greenness"} <= set(camera.figures)
    assert camera.monitor.drift is not None
    advice = camera.monitor.drift.advice.split("; ")
    assert len(advice) == len(set(advice))
    assert advice[0].startswith("mend the light")


def test_frames_between_samples_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = []

    def look(tensor: Pixels) -> tuple[float, ...]:
        looked_at.append(tensor)
        return picture_figures(tensor)

    monkeypatch.setattr(module, "picture_figures", look)
    monitor = DriftMonitor(PROFILE)
    for number in range(101):
        monitor.update(picture(), SURE, number * INTERVAL / 25)
    assert len(looked_at) == 5


def test_a_camera_of_one_frame_a_second_need_not_be_even() -> None:
    monitor = DriftMonitor(PROFILE)
    for number in range(RAISED):
        monitor.update(picture(0.2), SURE, number + 0.04 * (-1) ** number)
    assert monitor.drift is not None


def test_frames_far_apart_are_all_looked_at() -> None:
    monitor = DriftMonitor(PROFILE)
    for number in range(RAISED):
        monitor.update(picture(0.2), SURE, number * 600.0)
    assert monitor.drift is not None


def test_a_recording_that_starts_anew_is_another_one() -> None:
    camera = Camera()
    camera.see(RAISED, picture(0.2))
    camera.time = 0
    camera.see(1, picture())
    assert (camera.monitor.drift, camera.monitor.ready) == (None, False)


def test_after_a_reset_nothing_is_left() -> None:
    camera = Camera()
    camera.see(RAISED, picture(0.2))
    camera.monitor.reset()
    assert (camera.monitor.drift, camera.monitor.ready) == (None, False)
    camera.see(RAISED - 1, picture(0.2))
    assert camera.monitor.drift is None


def test_the_same_frames_give_the_same() -> None:
    def told() -> list[object]:
        camera, found = Camera(), list[object]()
        for light in (1, 0.2, 1, 2):
            camera.see(WINDOW, picture(light))
            found.append(camera.monitor.drift)
        return found

    assert told() == told()
    assert any(told())


def test_of_fewer_pictures_more_is_allowed() -> None:
    frame = picture(0.3)
    told = []
    for images in (5000, 20):
        camera = Camera(Profile(pictures=pictures_reference(images), answers=None))
        camera.see(WINDOW, frame)
        told.append("brightness" in camera.figures)
    assert told == [True, False]


def test_constant_pictures_are_allowed_a_little_each_way() -> None:
    figures = quantiles([picture_figures(picture())] * 20, PICTURE_FIGURES)
    reference = Reference(images=5000, source="calibration", figures=figures)
    camera = Camera(Profile(pictures=reference))
    camera.see(WINDOW, picture(1.02))
    assert camera.monitor.drift is None
    camera.see(WINDOW, picture(1.5))
    assert "brightness" in camera.figures


def test_equal_scores_of_all_pictures_are_no_drift() -> None:
    figures = dict.fromkeys(ANSWER_FIGURES, [0.99609] * QUANTILES)
    reference = Reference(images=50, source="evaluation", figures=figures)
    camera = Camera(Profile(answers=reference))
    camera.see(UNSURE_RAISED, picture(), np.array([255 / 256, 0, 0], np.float32))
    assert camera.monitor.drift is None


def test_a_model_of_one_class_has_no_unsure_answers() -> None:
    figures = dict.fromkeys(ANSWER_FIGURES, [1.0] * QUANTILES)
    reference = Reference(images=50, source="evaluation", figures=figures)
    camera = Camera(Profile(answers=reference))
    camera.see(UNSURE_RAISED, picture(), np.array([1], np.float32))
    assert camera.monitor.drift is None


def test_answers_that_are_no_numbers_are_not_sure() -> None:
    camera = Camera()
    camera.see(UNSURE_RAISED, picture(), np.full(3, np.nan, np.float32))
    assert "score" in camera.figures


def test_without_pictures_answers_alone_are_looked_at() -> None:
    camera = Camera(Profile(answers=answers_reference()))
    camera.see(WINDOW, picture(0.1))
    assert camera.monitor.drift is None
    camera.see(UNSURE_RAISED, picture(0.1), UNSURE)
    assert set(camera.figures) <= set(ANSWER_FIGURES)
    assert camera.figures


def test_an_empty_profile_says_nothing() -> None:
    camera = Camera(Profile())
    camera.see(UNSURE_RAISED, picture(0.1), UNSURE)
    assert camera.monitor.drift is None
