"""Confidence beside accuracy on frames that are not independent of each other."""

from collections.abc import Iterable, Sequence

import numpy as np
import pytest

from edgekit.offline.calibration import Calibration
from edgekit.offline.frame_calibration import FrameCalibration
from edgekit.offline.statistics import BLOCK, wilson
from edgekit.offline.truth import Interval

LABELS = ("x", "y")


def _measured(
    intervals: Iterable[Sequence[tuple[float, bool]]], seconds: float = 10.0
) -> Calibration:
    """Intervals of `seconds` each, with the confidence of each frame and whether it is right."""
    calibration = FrameCalibration(LABELS, 0.0)
    for number, frames in enumerate(intervals):
        interval = Interval(seconds * number, seconds * (number + 1), "x", "")
        for place, (confidence, right) in enumerate(frames):
            scores = np.array([confidence, 1 - confidence], np.float32)
            time = interval.start + seconds * place / len(frames)
            calibration.add(scores if right else scores[::-1], interval, time)
    found = calibration.finish()
    assert found is not None
    return found


def test_frames_make_the_figures_and_intervals_the_observations() -> None:
    curve = _measured([[(0.75, True)] * 40, [(0.75, False)] * 40])
    assert (curve.count, curve.observations, len(curve.bins)) == (80, 2, 1)
    assert (curve.accuracy, curve.confidence) == (0.5, 0.75)
    assert curve.error == pytest.approx(0.25)
    assert curve.nll == pytest.approx(-(np.log(0.75) + np.log(0.25)) / 2)
    assert curve.bins[0].interval == wilson(0.5, 2)
    assert curve.nll_interval is None


def test_of_observations_of_unequal_size_fewer_say_as_much() -> None:
    curve = _measured([[(0.75, True)] * 10, [(0.75, True)] * 30])
    assert curve.bins[0].observations == pytest.approx(40**2 / (10**2 + 30**2))


def test_chance_takes_an_interval_for_one_picture() -> None:
    # Of two observations that are right half of the time: half of the time one is, else both or
    # none, and the error is 0 or 0.5.
    curve = _measured([[(0.5, True)] * 50] * 2)
    assert curve.chance_error == pytest.approx(0.25, abs=0.03)
    assert curve.chance_error_95 == 0.5
    assert curve.verdict == "no worse than chance"


def test_short_intervals_are_one_observation_until_it_is_long_enough() -> None:
    curve = _measured([[(0.75, True)] * 5] * 8, seconds=BLOCK / 4)
    assert curve.observations == 2
    # None is split.
    curve = _measured([[(0.75, True)] * 8] * 4, seconds=0.75 * BLOCK)
    assert curve.observations == 2


def test_of_very_many_observations_neighbours_become_one() -> None:
    curve = _measured([[(0.75, number % 2 == 0)] for number in range(3000)], seconds=BLOCK)
    assert curve.count == 3000
    assert 512 <= curve.observations <= 1024
    assert (curve.accuracy, curve.confidence) == (0.5, 0.75)
    # Each holds 2 or 4 frames by then.
    assert curve.bins[0].observations == pytest.approx(curve.observations, rel=0.05)


def test_bins_take_frames_and_observations_enough() -> None:
    frames = [[(0.5 + number / 64, True)] * 20 for number in range(30)]
    assert [one.count for one in _measured(frames).bins] == [100] * 6
    assert len(_measured(frames[:4]).bins) == 1
    assert len(_measured([[(0.5, True)] for _ in range(19)]).bins) == 1


def test_confidences_of_a_float_output_keep_their_mean() -> None:
    curve = _measured([[(0.9991, True), (0.9997, True)] * 20])
    assert curve.confidence == pytest.approx(0.9994)
    assert curve.bins[0].high == pytest.approx(0.9994)


@pytest.mark.parametrize("together", [0.5, 1.0])
def test_a_calibrated_model_is_called_one_however_alike_its_frames_are(together: float) -> None:
    """Of 60 calibrated models, three may look worse; so may one in twenty points."""
    random = np.random.default_rng(0)
    wrong, off, points = 0, 0, 0
    for _ in range(60):
        intervals = []
        for _ in range(20):
            frames = int(random.integers(4, 24))
            confidence = random.integers(140, 256) / 256 - random.integers(0, 12, frames) / 256
            shared = random.random(frames) < together
            drawn = np.where(shared, random.random(), random.random(frames))
            intervals.append(list(zip(confidence, drawn < confidence, strict=True)))
        curve = _measured(intervals)
        wrong += curve.verdict != "no worse than chance"
        off += sum(one.off for one in curve.bins)
        points += len(curve.bins)
    assert wrong <= 3
    assert off <= 0.05 * points


@pytest.mark.parametrize(("right", "verdict"), [(1.0, "too doubtful"), (0.3, "too sure")])
def test_what_is_beyond_chance_is_told(right: float, verdict: str) -> None:
    random = np.random.default_rng(0)
    curve = _measured([[(0.7, bool(random.random() < right))] * 20 for _ in range(60)])
    assert curve.verdict == verdict
    assert curve.summary()["observations"] == 60


def test_all_right_in_few_intervals_says_nothing_against_a_model() -> None:
    assert _measured([[(0.9, True)] * 1000] * 5).verdict == "no worse than chance"
    assert _measured([[(0.9, True)]]).verdict == "no worse than chance"


def test_what_cannot_be_measured_says_why() -> None:
    calibration = FrameCalibration(LABELS, 0.0)
    assert calibration.finish() is None
    assert calibration.uncalibrated == "no judged frame shows a class"
    interval = Interval(0, 9, "x", "")
    for scores in ([0.5, 0.5], [3.0, -1.0], [np.nan, 0.5]):
        calibration.add(np.array(scores, np.float32), interval, 0.0)
    assert calibration.finish() is None
    assert calibration.uncalibrated.startswith("2 of 3 answers are no probabilities")


def test_what_a_quantized_output_rounds_to_nothing_is_told() -> None:
    calibration = FrameCalibration(LABELS, 1 / 256)
    interval = Interval(0, 9, "y", "")
    for _ in range(2):
        calibration.add(np.array([255 / 256, 0], np.float32), interval, 0.0)
    curve = calibration.finish()
    assert curve is not None
    assert (curve.floored, curve.floor) == (2, 1 / 512)
    assert curve.nll == pytest.approx(np.log(512))
