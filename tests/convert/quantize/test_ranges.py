"""Ranges, scales and zero points, on numbers worked by hand."""

import numpy as np
import pytest
from edgekit_convert.graph.flatbuffer import FlatbufferEditor
from edgekit_convert.quantize.activations import Activation
from edgekit_convert.quantize.ranges import (
    RULES,
    choose_ranges,
    error_of,
    error_of_sum,
    fake_quantize,
    min_max,
    minimum_error,
    percentile,
    scale_and_zero_point,
    stretch,
)
from edgekit_convert.quantize.structure import build_structure
from numpy.typing import ArrayLike

from tests.convert.toys import NONE, RELU, Toy


def _activation(sample: ArrayLike) -> Activation:
    """Values of a single block of pictures."""
    rows = np.asarray(sample, np.float32)
    low, high = np.minimum(rows.min(axis=0), 0), np.maximum(rows.max(axis=0), 0)
    return Activation(low[None], high[None], rows)


PIXELS = _activation([[0.0, 0, 0], [255, 255, 255]])


def _chosen(graph: bytes, seen: dict[str, Activation], rule: str) -> dict[str, tuple[float, float]]:
    """Range of each tensor by name."""
    seen = {"image": PIXELS} | seen
    groups = build_structure(graph, seen).groups
    editor = FlatbufferEditor(graph)
    return {
        editor.name(tensor): found
        for group, found in zip(groups, choose_ranges(editor, groups, seen, rule), strict=True)
        for tensor in group.tensors
    }


def _nothing(low: float, high: float) -> float:
    raise AssertionError("this rule looks at no error")


class TestScaleAndZeroPoint:
    @pytest.mark.parametrize(
        ("low", "high", "scale", "zero_point"),
        [
            (0.0, 255.0, 1.0, -128),  # pixels as they are
            (-1.0, 1.55, 0.01, -28),  # 100 steps below 0
            (-128.0, 127.0, 1.0, 0),
            (-2.55, 0.0, 0.01, 127),
        ],
    )
    def test_256_integers_cover_the_range(
        self, low: float, high: float, scale: float, zero_point: int
    ) -> None:
        found = scale_and_zero_point(low, high)
        assert found == (pytest.approx(scale), zero_point)
        # The smallest and the largest integer stand for the ends.
        assert (-128 - found[1]) * found[0] == pytest.approx(low)
        assert (127 - found[1]) * found[0] == pytest.approx(high)

    def test_a_range_of_nothing_has_a_scale_that_kernels_can_work_with(self) -> None:
        assert scale_and_zero_point(0.0, 0.0) == (pytest.approx(1 / 255), -128)


def test_values_are_rounded_to_the_nearest_and_cut_off_at_the_ends() -> None:
    # Scale 0.5, 28 steps below 0.
    values = np.array([-99, -14.0, -0.26, -0.24, 0, 0.3, 0.74, 0.76, 113.5, 999], np.float32)
    expected = [-14, -14, -0.5, 0, 0, 0.5, 0.5, 1.0, 113.5, 113.5]
    found = fake_quantize(values, -14.0, 113.5)
    assert found.dtype == np.float32
    assert found.tolist() == pytest.approx(expected)


class TestRules:
    def test_min_max_is_what_was_seen(self) -> None:
        seen = _activation([[-3.0, 0.5], [1.0, 7.0]])
        assert min_max(seen, _nothing) == (-3.0, 7.0)

    def test_0_belongs_to_every_range(self) -> None:
        assert min_max(_activation([[3.0], [5.0]]), _nothing) == (0.0, 5.0)
        assert percentile(99)(_activation([[3.0], [5.0]]), _nothing) == (0.0, pytest.approx(4.98))
        assert percentile(99)(_activation([[-5.0], [-3.0]]), _nothing)[1] == 0.0

    def test_a_percentile_cuts_off_as_much_at_both_ends(self) -> None:
        seen = _activation(np.arange(-100, 901).reshape(-1, 1))
        assert percentile(99)(seen, _nothing) == (pytest.approx(-90), pytest.approx(890))
        assert percentile(90)(seen, _nothing) == (pytest.approx(0), pytest.approx(800))

    def test_of_a_large_sample_a_percentile_takes_rows_from_all_of_it(self) -> None:
        seen = _activation(np.arange(1_000_001).reshape(-1, 1))
        assert percentile(99)(seen, _nothing) == (0, pytest.approx(990_000, abs=10))

    def test_the_rules_called_percentile_have_the_percentage_of_their_name(self) -> None:
        seen = _activation(np.arange(0, 10_001).reshape(-1, 1))
        assert RULES["percentile-99.99"](seen, _nothing) == (0, pytest.approx(9_999))
        assert RULES["percentile-99.9"](seen, _nothing) == (0, pytest.approx(9_990))

    def test_minimum_error_shrinks_each_end_to_where_the_error_is_smallest(self) -> None:
        seen = _activation([[-10.0], [20.0]])

        def error(low: float, high: float) -> float:
            # Smallest at half of either end.
            return (low + 5) ** 2 + (high - 10) ** 2

        assert minimum_error(seen, error) == (pytest.approx(-5), pytest.approx(10))

    def test_minimum_error_looks_again_at_the_high_end_once_the_low_one_has_moved(self) -> None:
        seen = _activation([[-10.0], [20.0]])

        def error(low: float, high: float) -> float:
            # The best high end is as far from 0 as the low one.
            return (low + 5) ** 2 + (high + low) ** 2 / 10

        assert minimum_error(seen, error) == (pytest.approx(-5), pytest.approx(6))

    def test_minimum_error_of_an_outlier_is_to_cut_it_off(self) -> None:
        rows = np.tile(np.linspace(-1, 1, 1001, dtype=np.float32), 100).reshape(-1, 1)
        rows[0] = 1.5
        low, high = minimum_error(_activation(rows), error_of(rows))
        # What is cut off costs (1.5 - high)² / 100,100, and each other value d² / 12.
        costs = {
            end: (1.5 - end) ** 2 / 100_100 + ((1 + end) / 255) ** 2 / 12
            for end in (1.5, 1.425, 1.35, 1.275, 1.2, 1.125, 1.05)
        }
        assert min(costs, key=costs.__getitem__) == 1.2
        assert (low, high) == (-1, pytest.approx(1.2))

    def test_a_relu_keeps_its_low_end(self) -> None:
        seen = _activation([[0.0], [20.0]])
        assert minimum_error(seen, lambda low, high: abs(high - 13)) == (0, pytest.approx(13))


class TestStretch:
    def test_it_is_the_mean_excess_times_the_logarithm_of_3(self) -> None:
        # The five furthest are 3 beyond the sixth in the mean.
        extremes = np.array([1, 9, 5, 7, 2, 10, 8, 6, 3], np.float32)
        assert stretch(extremes) == pytest.approx(1 + 3 * np.log(3) / 10)

    def test_of_many_blocks_a_tenth_counts(self) -> None:
        extremes = np.r_[np.full(54, 10), np.full(6, 16)].astype(np.float32)
        assert stretch(extremes) == pytest.approx(1 + 6 * np.log(3) / 16)

    @pytest.mark.parametrize("blocks", [20, 64])
    def test_it_reaches_what_three_times_as_many_have(self, blocks: int) -> None:
        rng = np.random.default_rng(0)
        drawn = rng.exponential(1, (5000, 3, blocks))
        reached = [stretch(one[0]) * one[0].max() for one in drawn]
        assert np.mean(reached) == pytest.approx(drawn.max(axis=(1, 2)).mean(), rel=0.02)

    @pytest.mark.parametrize("extremes", [[255.0] * 60, [0.0] * 60, [7.0], [6.0, 6.0]])
    def test_what_ends_in_one_value_is_not_stretched(self, extremes: list[float]) -> None:
        assert stretch(np.array(extremes, np.float32)) == 1

    def test_of_few_blocks_all_but_the_nearest_count(self) -> None:
        assert stretch(np.array([4, 8], np.float32)) == pytest.approx(1 + 4 * np.log(3) / 8)


class TestError:
    def test_it_is_the_mean_square_of_the_change(self) -> None:
        values = np.array([0.25, 1.0, 300.0], np.float32)
        # At a scale of 1: 0.25, 0 and 45 are lost.
        assert error_of(values)(0, 255) == pytest.approx((0.25**2 + 45**2) / 3)

    def test_of_a_sum_only_one_summand_is_rounded(self) -> None:
        values, other = np.array([0.25, 1.5], np.float32), np.array([0.3, -9.7], np.float32)
        assert error_of_sum(values, other, relu=False)(0, 255) == pytest.approx(
            (0.25**2 + 0.5**2) / 2
        )

    def test_what_a_relu_cuts_off_costs_nothing(self) -> None:
        values, other = np.array([0.25, 1.5], np.float32), np.array([0.3, -9.7], np.float32)
        assert error_of_sum(values, other, relu=True)(0, 255) == pytest.approx(0.25**2 / 2)
        # 0 instead of 10.25 of which the ReLU lets 0.55 pass.
        values, other = np.array([10.25], np.float32), np.array([-9.7], np.float32)
        assert error_of_sum(values, other, relu=True)(0, 1e-3) == pytest.approx(0.55**2, rel=1e-3)


class TestChooseRanges:
    def test_input_pixels_have_a_scale_of_1_whatever_was_seen(self) -> None:
        toy = Toy(2, 2)
        graph = toy.build(toy.conv(toy.image, np.ones((1, 1, 1, 3)), [0]))
        seen = {"image": _activation([[7, 9, 8]]), "conv0": _activation([[24]])}
        assert _chosen(graph, seen, "min-max") == {"image": (0, 255), "conv0": (0, 24)}

    @pytest.mark.parametrize("rule", RULES)
    def test_ends_go_beyond_what_few_pictures_showed(self, rule: str) -> None:
        toy = Toy(2, 2)
        graph = toy.build(toy.conv(toy.image, np.ones((1, 1, 1, 3)), [0]))
        rows = np.random.default_rng(0).normal(0, 1, (9, 1)).astype(np.float32)
        lows, highs = np.minimum(rows, 0), np.maximum(rows, 0)
        one = {"conv0": _activation(rows)}
        each = {"conv0": Activation(lows, highs, rows)}
        low, high = _chosen(graph, one, rule)["conv0"]
        expected = (low * stretch(-lows[:, 0]), high * stretch(highs[:, 0]))
        assert _chosen(graph, each, rule)["conv0"] == pytest.approx(expected)
        assert expected[0] < low < 0 < high < expected[1]

    def test_what_a_pool_moves_shares_a_range_and_the_pool_decides_it(self) -> None:
        toy = Toy(4, 4)
        convolved = toy.conv(toy.image, np.ones((1, 1, 1, 3)), [0], NONE)
        graph = toy.build(toy.max_pool(convolved, 2))
        seen = {"conv0": _activation([[-50.0], [24.0]]), "pool1": _activation([[-2.0], [24.0]])}
        ranges = _chosen(graph, seen, "min-max")
        assert ranges["conv0"] == ranges["pool1"] == (-2, 24)

    @pytest.mark.parametrize(
        ("kind", "low", "high"),
        [("RELU", 0, 24), ("RELU6", 0, 6), ("RELU_0_TO_1", 0, 1), ("RELU_N1_TO_1", -1, 1)],
    )
    def test_what_is_cut_off_next_needs_no_range(self, kind: str, low: float, high: float) -> None:
        toy = Toy(4, 4)
        convolved = toy.conv(toy.image, np.ones((1, 1, 1, 3)), [0.0], NONE)
        graph = toy.build(toy.apply(kind, [convolved], [1, 4, 4, 1]))
        seen = {
            "conv0": _activation([[-50.0], [24.0]]),
            f"{kind.lower()}1": _activation([[low], [high]]),
        }
        ranges = _chosen(graph, seen, "min-max")
        assert ranges["conv0"] == (low, high)

    def test_of_what_others_read_too_a_pool_decides_nothing(self) -> None:
        toy = Toy(4, 4)
        convolved = toy.conv(toy.image, np.ones((1, 1, 1, 3)), [0], NONE)
        pooled = toy.max_pool(convolved, 2)
        graph = toy.build(toy.add(toy.mean(pooled), toy.mean(convolved)))
        seen = {
            "conv0": _activation([[-50.0], [24.0]]), "pool1": _activation([[-2.0], [24.0]]),
            "mean2": _activation([[9.0]]), "mean3": _activation([[9.0]]),
            "add4": _activation([[18.0]]),
        }  # fmt: skip
        assert _chosen(graph, seen, "min-max")["conv0"] == (-50, 24)

    @pytest.mark.parametrize(("fused", "cut"), [(RELU, True), (NONE, False)])
    def test_a_summand_is_judged_behind_the_relu_of_the_sum(self, fused: int, cut: bool) -> None:
        rng = np.random.default_rng(0)
        toy = Toy(2, 2)
        left = toy.conv(toy.image, np.ones((1, 1, 1, 3)), [0], NONE)
        right = toy.conv(toy.image, np.ones((1, 1, 1, 3)), [0], NONE)
        graph = toy.build(toy.add(left, right, fused))
        # Of what is below 0 nothing is left: the other summand is never above 0.
        rows = rng.normal(0, 1, (20_000, 1)).astype(np.float32)
        seen = {
            "conv0": _activation(rows),
            "conv1": _activation(np.full_like(rows, -1.0)),
            "add2": _activation(np.maximum(rows - 1, 0)),
        }
        low, high = _chosen(graph, seen, "mse")["conv0"]
        alone = minimum_error(seen["conv0"], error_of(rows))
        if cut:
            assert low == pytest.approx(0.2 * rows.min())
        else:
            assert (low, high) == alone

    def test_of_large_samples_summands_are_thinned_out_alike(self) -> None:
        toy = Toy(2, 2)
        left = toy.conv(toy.image, np.ones((1, 1, 1, 3)), [0], NONE)
        right = toy.conv(toy.image, np.ones((1, 1, 1, 3)), [0], NONE)
        graph = toy.build(toy.add(left, right))
        rows = np.random.default_rng(0).normal(0, 1, (300_000, 1)).astype(np.float32)
        # Only where a value is above 1 is anything left of the sum.
        other = np.where(rows > 1, 0, -9).astype(np.float32)
        seen = {
            "conv0": _activation(rows),
            "conv1": _activation(other),
            "add2": _activation(np.maximum(rows + other, 0)),
        }
        expected = minimum_error(seen["conv0"], error_of_sum(rows[::3], other[::3], relu=True))
        assert _chosen(graph, seen, "mse")["conv0"] == expected
