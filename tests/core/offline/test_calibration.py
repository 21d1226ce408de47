"""Confidence beside accuracy, on numbers worked by hand."""

import math

import numpy as np
import pytest

from edgekit.offline.calibration import Calibration, measure_calibration


def _measured(
    confidences: list[float], right: list[bool], truth: list[float] | None = None, step: float = 0
) -> Calibration:
    likelihoods = confidences if truth is None else truth
    return measure_calibration(
        np.array(confidences, np.float32),
        np.array(right, np.bool_),
        np.array(likelihoods, np.float32),
        step,
    )


def test_the_error_is_the_distance_of_each_bin_weighted_by_its_pictures() -> None:
    # Two bins of 20: 0.6 where 10 are right, and 0.9 where all are.
    curve = _measured([0.9] * 20 + [0.6] * 20, [True] * 20 + [True, False] * 10)
    assert [(one.count, one.right) for one in curve.bins] == [(20, 10), (20, 20)]
    assert [one.confidence for one in curve.bins] == pytest.approx([0.6, 0.9])
    assert curve.error == pytest.approx(0.5 * 0.1 + 0.5 * 0.1)
    assert (curve.accuracy, curve.confidence) == pytest.approx((0.75, 0.75))


def test_bins_hold_about_as_many_pictures_each_and_fifteen_at_most() -> None:
    values = list(np.linspace(0.3, 1, 3000))
    assert [one.count for one in _measured(values, [True] * 3000).bins] == [200] * 15
    assert [one.count for one in _measured(values[:59], [True] * 59).bins] == [29, 30]


def test_equal_confidences_share_a_bin_whatever_their_order() -> None:
    confidences, right = [0.5] * 30 + [0.99] * 270, [False] * 30 + [True] * 200 + [False] * 70
    curve = _measured(confidences, right)
    assert [one.count for one in curve.bins] == [30, 270]
    assert [one.low for one in curve.bins] == pytest.approx([0.5, 0.99])
    again = _measured(confidences[::-1], right[::-1])
    assert again.error == pytest.approx(curve.error)
    shuffled = [False] * 30 + [True, True, False] * 70 + [True] * 60
    assert _measured(confidences, shuffled).error == pytest.approx(curve.error)


def test_chance_is_what_a_perfectly_calibrated_model_shows() -> None:
    # One bin of 16 pictures at 0.5: the mean distance of a binomial fraction from 0.5 is
    # C(16, 8) / 2**17 = 0.0982, and at least 0.25 in 2 (1 + 16 + 120 + 560 + 1820) / 2**16 = 0.077
    # of cases, at least 0.3125 in 0.021.
    curve = _measured([0.5] * 16, [True] * 8 + [False] * 8)
    assert curve.error == 0
    assert curve.chance_error == pytest.approx(math.comb(16, 8) / 2**17, abs=0.008)
    assert curve.chance_error_95 == 0.25


def test_of_more_pictures_chance_makes_less() -> None:
    errors = [_measured([0.8] * n, [True] * n).chance_error for n in (10, 100, 1000)]
    assert errors == sorted(errors, reverse=True)
    assert errors[1] == pytest.approx(0.4 * math.sqrt(2 / math.pi) / 10, rel=0.1)


@pytest.mark.parametrize(
    ("right", "verdict"), [(95, "too doubtful"), (82, "no worse than chance"), (60, "too sure")]
)
def test_the_verdict_knows_chance(right: int, verdict: str) -> None:
    curve = _measured([0.8] * 100, [True] * right + [False] * (100 - right))
    assert curve.verdict == verdict


def test_the_log_likelihood_and_its_interval() -> None:
    # -ln 0.5 and -ln 0.25: mean 1.5 ln 2, standard error ln 2 / sqrt(2) / sqrt(2).
    curve = _measured([0.5, 0.5], [True, False], [0.5, 0.25])
    assert curve.nll == pytest.approx(1.5 * math.log(2))
    assert curve.nll_interval is not None
    assert curve.nll_interval[1] == pytest.approx(math.log(2) * (1.5 + 1.959964 / 2))
    assert _measured([0.5], [True]).nll_interval is None
    assert math.copysign(1, _measured([1.0], [True]).nll) == 1


def test_what_was_rounded_to_nothing_counts_as_half_a_step_and_is_told() -> None:
    curve = _measured([0.75, 0.75], [False, True], [0.0, 0.75], step=1 / 256)
    assert curve.floored == 1
    assert curve.floor == 1 / 512
    assert curve.nll == pytest.approx((math.log(512) - math.log(0.75)) / 2)
    assert _measured([0.75], [False], [0.0]).nll == pytest.approx(23 * math.log(2))


@pytest.mark.parametrize("right", [True, False])
def test_one_picture_is_enough(right: bool) -> None:
    curve = _measured([0.75], [right])
    assert len(curve.bins) == 1
    assert curve.error == pytest.approx(0.25 if right else 0.75)


def test_rounding_leaves_no_confidence_above_one() -> None:
    assert _measured([1.004], [True], [1.004]).summary()["bins"][0]["high"] == 1.0


def test_a_bin_that_is_off_is_marked() -> None:
    assert _measured([0.9] * 40, [True] * 20 + [False] * 20).bins[0].off
    assert not _measured([0.9] * 40, [True] * 36 + [False] * 4).bins[0].off
