"""The temperature of the greatest likelihood, and what it does to pictures it has not seen."""

import math

import numpy as np
import pytest
from edgekit_convert.answers import softmax
from edgekit_convert.confidence.temperature import (
    HIGHEST,
    LOWEST,
    cross_validate,
    fit_temperature,
    log_likelihoods,
)
from numpy.typing import NDArray


def drawn(
    count: int, temperature: float, seed: int = 0, classes: int = 5
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Logits, and labels as often of each class as softmax(logits / temperature) says."""
    random = np.random.default_rng(seed)
    logits = random.normal(scale=3, size=(count, classes)).astype(np.float32)
    chances = softmax(logits / temperature).cumsum(axis=1, dtype=np.float64)
    labels = (chances < random.random((count, 1)) * chances[:, -1:]).sum(axis=1)
    return logits, labels


@pytest.mark.parametrize("temperature", [0.5, 0.9, 1.0, 1.5, 3.0])
def test_the_temperature_that_labels_were_drawn_with_is_found(temperature: float) -> None:
    fit = fit_temperature(*drawn(4000, temperature))
    low, high = fit.interval
    assert low < temperature < high
    assert fit.likeliest == pytest.approx(temperature, rel=0.1)


def test_no_other_temperature_is_likelier() -> None:
    logits, truth = drawn(300, 1.7)
    likeliest = fit_temperature(logits, truth).likeliest
    best = log_likelihoods(logits / likeliest, truth).mean()
    for other in (likeliest * 0.99, likeliest * 1.01):
        assert log_likelihoods(logits / other, truth).mean() < best


def test_where_to_begin_does_not_matter() -> None:
    logits, truth = drawn(300, 0.6)
    found = [fit_temperature(logits, truth, start).likeliest for start in (0.21, 0.5, 1, 4.9)]
    assert found == pytest.approx([found[0]] * 4, rel=1e-5)


def test_a_common_offset_of_a_picture_s_logits_does_not_matter() -> None:
    logits, truth = drawn(300, 1.4)
    moved = logits + np.linspace(-500, 500, 300, dtype=np.float32)[:, None]
    first, second = fit_temperature(logits, truth), fit_temperature(moved, truth)
    assert second.likeliest == pytest.approx(first.likeliest, rel=1e-3)
    assert second.error == pytest.approx(first.error, rel=1e-3)


@pytest.mark.parametrize("temperature", [0.6, 1.8])
def test_the_end_of_the_interval_that_is_nearer_to_1_is_used(temperature: float) -> None:
    fit = fit_temperature(*drawn(1000, temperature))
    assert fit.temperature == pytest.approx(fit.interval[1 if temperature < 1 else 0])


def test_an_interval_with_1_in_it_is_no_reason_for_another_temperature() -> None:
    fit = fit_temperature(*drawn(200, 1.0))
    assert fit.interval[0] < 1 < fit.interval[1]
    assert fit.temperature == 1


def test_the_interval_holds_the_truth_nineteen_times_in_twenty() -> None:
    held = []
    for seed in range(200):
        low, high = fit_temperature(*drawn(150, 1.5, seed)).interval
        held.append(low < 1.5 < high)
    assert 0.9 < np.mean(held) < 0.99


def test_pictures_that_are_all_right_set_no_bound() -> None:
    logits, _ = drawn(200, 1)
    fit = fit_temperature(logits, logits.argmax(axis=1))
    assert fit.error == math.inf
    assert (fit.interval, fit.temperature) == ((LOWEST, HIGHEST), 1)


def test_nor_do_pictures_that_are_all_wrong() -> None:
    logits, _ = drawn(200, 1)
    fit = fit_temperature(logits, logits.argmin(axis=1))
    assert (fit.interval, fit.temperature) == ((LOWEST, HIGHEST), 1)


def test_equal_logits_tell_nothing() -> None:
    fit = fit_temperature(np.zeros((50, 3), np.float32), np.zeros(50, np.int64))
    assert fit.temperature == 1


def test_huge_logits_do_not_overflow() -> None:
    logits, truth = drawn(200, 1.5)
    fit = fit_temperature(1e30 * logits, truth)
    assert fit.temperature == 1
    assert np.isfinite(fit.likeliest)


def test_more_pictures_than_are_computed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    logits, truth = drawn(300, 1.5)
    whole = fit_temperature(logits, truth)
    monkeypatch.setattr("edgekit_convert.confidence.temperature._AT_A_TIME", 35)
    assert fit_temperature(logits, truth) == pytest.approx(whole)


def test_no_picture_is_judged_by_what_was_fitted_to_it() -> None:
    logits, truth = drawn(200, 1.5)
    before = cross_validate(logits, truth, 1.5, seed=3)
    other = truth.copy()
    other[17] = (truth[17] + 1) % 5
    after = cross_validate(logits, other, 1.5, seed=3)
    same = before == after
    assert same[17]
    # Those of its own fold.
    assert same.sum() == 20


def test_equal_seeds_give_equal_folds() -> None:
    logits, truth = drawn(200, 1.5)
    assert (cross_validate(logits, truth, 1.5, 7) == cross_validate(logits, truth, 1.5, 7)).all()
    assert (cross_validate(logits, truth, 1.5, 7) != cross_validate(logits, truth, 1.5, 8)).any()


def test_a_probability_that_float32_rounds_to_0_has_a_logarithm() -> None:
    found = log_likelihoods(np.array([[0, 400]], np.float32), np.array([0]))
    assert found == pytest.approx([-400])
