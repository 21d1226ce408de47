"""Cross-layer equalization: the same function, and factors worked by hand."""

from dataclasses import replace

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from edgekit_convert.graph.flatbuffer import FlatbufferEditor
from edgekit_convert.quantize.activations import observe
from edgekit_convert.quantize.equalization import (
    Reader,
    equalization_factors,
    equalize,
    predicted_noise,
)
from numpy.typing import NDArray

from tests.convert.toys import NONE, RELU, RELU6, Toy, noise, normal, run


class TestReader:
    def test_by_hand(self) -> None:
        # Two outputs, two positions, two inputs.
        weights = np.array([[[[1.0, -2.0], [3.0, 0.0]]], [[[0.0, 5.0], [-4.0, 1.0]]]], np.float32)
        sample = np.array([[1.0, 2.0], [3.0, -4.0]], np.float32)
        reader = Reader.of(weights, sample, "CONV_2D")
        assert reader.energy.tolist() == [1 + 9 + 16, 4 + 25 + 1]
        assert reader.largest.tolist() == [[3, 2], [4, 5]]
        assert reader.positions == 2
        assert reader.second_moment.tolist() == [5, 10]

    def test_weights_of_a_depthwise_layer_cost_nothing_whatever_the_factors(self) -> None:
        reader = Reader.of(normal(1, 3, 3, 2), np.ones((4, 2), np.float32), "DEPTHWISE_CONV_2D")
        assert reader.energy.min() > 0
        assert not reader.largest.any()


class TestPredictedNoise:
    def _reader(self) -> Reader:
        return Reader(
            energy=np.array([3.0, 5.0]),
            largest=np.array([[127.0, 0.0], [0.0, 254.0]]),
            positions=9,
            second_moment=np.array([7.0, 11.0]),
            dense=False,
        )

    def test_by_hand(self) -> None:
        peaks = np.array([[255.0, 51.0], [510.0, 0.0]])
        # Activations: scales 1 and 2, so (1 + 4) x (3 + 5); weights: scales 1 and 2 for the two
        # outputs, so (1 + 4) x 9 x (7 + 11).
        expected = 5 * 8 + 5 * 9 * 18
        assert predicted_noise(np.ones(2), peaks, [self._reader()]) == pytest.approx(expected)

    def test_factors_multiply_activations_and_divide_weights(self) -> None:
        peaks = np.array([[255.0, 51.0]])
        # Scales of activations: max(255 / 2, 51 x 4) / 255 = 0.8; energy 3 / 4 + 5 / 16.
        # Scales of weights: 127 x 2 / 127 = 2 and 254 / 4 / 127 = 0.5; moments 7 / 4 and 11 x 16.
        factors = np.array([0.5, 4.0])
        expected = 0.8**2 * (3 * 4 + 5 / 16) + (2**2 + 0.5**2) * 9 * (7 / 4 + 11 * 16)
        assert predicted_noise(factors, peaks, [self._reader()]) == pytest.approx(expected)

    def test_a_dense_reader_has_its_largest_scale_for_all_outputs(self) -> None:
        dense = replace(self._reader(), dense=True)
        expected = 1 * 8 + (4 + 4) * 9 * 18
        found = predicted_noise(np.ones(2), np.array([[255.0, 51.0]]), [dense])
        assert found == pytest.approx(expected)

    def test_readers_add_up(self) -> None:
        peaks = np.array([[255.0, 51.0]])
        once = predicted_noise(np.ones(2), peaks, [self._reader()])
        assert predicted_noise(np.ones(2), peaks, [self._reader()] * 2) == pytest.approx(2 * once)


def _quiet(channels: int) -> Reader:
    """A reader whose weights are all alike and cost next to nothing."""
    return Reader(
        energy=np.ones(channels),
        largest=np.full((1, channels), 1e-12),
        positions=1,
        second_moment=np.ones(channels),
        dense=False,
    )


class TestFactors:
    def test_where_rounding_weights_is_free_all_channels_fill_the_range(self) -> None:
        # Only the activations count: 1 : 2 : 4 becomes 1 : 1 : 1, with a geometric mean of 1.
        found = equalization_factors(np.array([[1.0, 2.0, 4.0]]), [_quiet(3)])
        assert found.dtype == np.float32
        assert found.tolist() == pytest.approx([2, 1, 0.5])

    def test_a_channel_counts_as_full_where_it_fills_any_activation(self) -> None:
        # The second channel fills the second activation.
        peaks = np.array([[4.0, 1.0, 1.0], [0.0, 8.0, 2.0]])
        found = equalization_factors(peaks, [_quiet(3)])
        assert found.tolist() == pytest.approx([4 ** -(1 / 3), 4 ** -(1 / 3), 4 ** (2 / 3)])

    def test_where_rounding_activations_is_free_nothing_is_changed_for_them(self) -> None:
        # Tiny activations that the weights' rounding does not see: any spread only costs.
        reader = Reader(
            energy=np.full(2, 1e-12),
            largest=np.array([[1.0, 1.0]]),
            positions=1,
            second_moment=np.ones(2),
            dense=False,
        )
        found = equalization_factors(np.array([[1e-6, 2e-6]]), [reader])
        assert found.tolist() == pytest.approx([1, 1])

    def test_a_channel_with_large_weights_takes_them_over(self) -> None:
        # Equal activations; the first channel's weights are 16 times the second's in all outputs.
        reader = Reader(
            energy=np.array([256.0, 1.0]),
            largest=np.array([[16.0, 1.0], [32.0, 2.0]]),
            positions=1,
            second_moment=np.ones(2),
            dense=False,
        )
        found = equalization_factors(np.array([[1.0, 1.0]]), [reader])
        # 16^b : 1 with b of 0, 0.25 or 0.5, whichever has the minimum noise.
        noises = {
            b: predicted_noise(np.array([16 ** (b / 2), 16 ** (-b / 2)]), np.ones((1, 2)), [reader])
            for b in (0.0, 0.25, 0.5)
        }
        best = min(noises, key=noises.__getitem__)
        assert best > 0
        assert found.tolist() == pytest.approx([16 ** (best / 2), 16 ** (-best / 2)])

    def test_weights_are_compared_within_an_output_which_has_a_scale_of_its_own(self) -> None:
        # Each channel has the largest weights of one output: neither is larger than the other.
        reader = Reader(
            energy=np.array([256.01, 1.04]),
            largest=np.array([[16.0, 1.0], [0.1, 0.2]]),
            positions=1,
            second_moment=np.ones(2),
            dense=False,
        )
        assert equalization_factors(np.array([[1.0, 1.0]]), [reader]).tolist() == [1, 1]

    def test_they_stay_between_a_64th_and_64(self) -> None:
        # The second channel's weights are next to nothing: all would go to the first.
        reader = replace(_quiet(2), energy=np.array([1, 1e-12]))
        found = equalization_factors(np.array([[1e-5, 1.0]]), [reader])
        assert found.tolist() == pytest.approx([64, 1 / 64])

    def test_of_what_was_never_seen_they_are_1(self) -> None:
        assert equalization_factors(np.zeros((2, 3)), [_quiet(3)]).tolist() == [1, 1, 1]


def _uneven(outputs: int, *shape: int, seed: int) -> NDArray[np.float64]:
    """Weights whose outputs differ in size by a factor of 100, all above 0."""
    sizes = np.geomspace(0.001, 0.1, outputs).reshape(-1, *[1] * len(shape))
    return np.abs(normal(outputs, *shape, seed=seed)) * sizes


class _Network:
    """Convolutions, an addition, poolings and two dense layers, and what they compute."""

    def __init__(self) -> None:
        toy = Toy(6, 6)
        stem = toy.conv(toy.image, _uneven(4, 1, 1, 3, seed=1), [0.1, 0.2, 0.3, 0.4])
        inner = toy.conv(stem, _uneven(4, 1, 1, 4, seed=2), [0.4, 0.1, 0.3, 0.2], NONE)
        added = toy.add(inner, stem)
        pooled = toy.max_pool(added, 2)
        last = toy.conv(pooled, _uneven(5, 3, 3, 4, seed=4), [0.1] * 5)
        hidden = toy.dense(toy.mean(last), _uneven(6, 5, seed=6), [0.1] * 6, RELU)
        toy_output = toy.softmax(toy.dense(hidden, _uneven(3, 6, seed=8), normal(3)))
        self.pictures = noise(12, 6, 6, 3)
        self.flatbuffer = toy.build(toy_output)
        self.before = run(self.flatbuffer, self.pictures)
        seen = observe(self.flatbuffer, self.pictures, 1, 0, lambda done: None)
        self.equalized, self.activations = equalize(self.flatbuffer, seen)
        self.after = run(self.equalized, self.pictures)

    def factors(self, name: str) -> NDArray[np.float64]:
        """By what each channel of an activation was multiplied."""
        axes = tuple(range(self.before[name].ndim - 1))
        ratio: NDArray[np.float64] = self.after[name].max(axis=axes) / self.before[name].max(
            axis=axes
        )
        return ratio


@pytest.fixture(scope="module")
def network() -> _Network:
    return _Network()


def _unchanged(graph: bytes) -> bool:
    seen = observe(graph, noise(4, 2, 2, 3), 1, 0, lambda done: None)
    return equalize(graph, seen)[0] == FlatbufferEditor(graph).pack()


class TestEqualize:
    def test_the_function_stays(self, network: _Network) -> None:
        assert network.equalized != network.flatbuffer
        for name in ("dense6", "dense7", "softmax8"):
            assert np.allclose(network.after[name], network.before[name], rtol=1e-4, atol=1e-6)

    def test_channels_become_alike(self, network: _Network) -> None:
        def spread(values: NDArray[np.float32]) -> float:
            peaks = values.max(axis=tuple(range(values.ndim - 1)))
            return float(peaks.max() / peaks.min())

        assert spread(network.after["conv4"]) < spread(network.before["conv4"]) / 2

    def test_what_is_added_together_shares_its_factors(self, network: _Network) -> None:
        shared = network.factors("add2")
        assert np.ptp(shared) > 0.1
        for name in ("conv0", "pool3"):
            assert network.factors(name) == pytest.approx(shared, rel=1e-4)

    def test_the_mean_passes_factors_on(self, network: _Network) -> None:
        assert np.ptp(network.factors("conv4")) > 0.1
        assert network.factors("mean5") == pytest.approx(network.factors("conv4"), rel=1e-4)

    def test_outputs_of_dense_layers_keep_1(self, network: _Network) -> None:
        # All their weights have one scale: uneven outputs would waste it.
        assert network.factors("dense6") == pytest.approx(1, rel=1e-4)
        assert network.factors("dense7") == pytest.approx(1, rel=1e-4)

    def test_the_activations_are_those_of_the_equalized_model(self, network: _Network) -> None:
        seen = observe(network.equalized, network.pictures, 1, 0, lambda done: None)
        assert network.activations.keys() == seen.keys()
        for name, activation in network.activations.items():
            for field in ("lows", "highs", "sample"):
                found, expected = getattr(activation, field), getattr(seen[name], field)
                assert np.allclose(found, expected, rtol=1e-3, atol=1e-3), name

    @pytest.mark.parametrize("fused", [RELU6, NONE])
    def test_only_activations_that_pass_factors_on_are_equalized(self, fused: int) -> None:
        toy = Toy(2, 2)
        first = toy.conv(toy.image, _uneven(4, 1, 1, 3, seed=1), normal(4), fused)
        graph = toy.build(toy.conv(first, normal(2, 1, 1, 4), normal(2), NONE))
        assert _unchanged(graph) == (fused == RELU6)

    def test_the_input_keeps_its_channels_and_what_is_added_to_it(self) -> None:
        toy = Toy(2, 2)
        first = toy.conv(toy.image, _uneven(3, 1, 1, 3, seed=1), [0.1] * 3)
        added = toy.add(first, toy.image)
        graph = toy.build(toy.softmax(toy.dense(toy.mean(added), _uneven(3, 3, seed=2), None)))
        assert _unchanged(graph)

    def test_the_output_keeps_its_channels_and_what_is_added_to_it(self) -> None:
        toy = Toy(2, 2)
        first = toy.conv(toy.image, _uneven(4, 1, 1, 3, seed=1), [0.1] * 4)
        second = toy.conv(first, _uneven(4, 1, 1, 4, seed=2), [0.1] * 4)
        assert _unchanged(toy.build(toy.add(first, second)))

    def test_what_is_added_to_a_dense_output_keeps_its_channels(self) -> None:
        toy = Toy(2, 2)
        first = toy.mean(toy.conv(toy.image, _uneven(4, 1, 1, 3, seed=1), [0.1] * 4))
        added = toy.add(first, toy.dense(first, _uneven(4, 4, seed=2), None))
        assert _unchanged(toy.build(toy.softmax(toy.dense(added, _uneven(3, 4, seed=3), None))))

    @pytest.mark.parametrize("fused", [RELU, RELU6])
    def test_a_depthwise_layer_takes_factors_and_gives_its_own(self, fused: int) -> None:
        toy = Toy(3, 3)
        first = toy.conv(toy.image, _uneven(4, 1, 1, 3, seed=1) / 9, [0.1] * 4)
        rising = np.geomspace(0.01, 1, 4) * np.abs(normal(1, 2, 2, 4, seed=2))
        second = toy.depthwise(first, rising, [0.1] * 4, fused)
        graph = toy.build(toy.conv(second, _uneven(2, 1, 1, 4, seed=3), normal(2), NONE))
        pictures = noise(4, 3, 3, 3)
        seen = observe(graph, pictures, 1, 0, lambda done: None)
        before, after = run(graph, pictures), run(equalize(graph, seen)[0], pictures)
        np.testing.assert_allclose(after["conv2"], before["conv2"], rtol=1e-4)
        for name, changed in (("conv0", True), ("depthwise1", fused == RELU)):
            factors = (after[name] / before[name]).reshape(-1, 4).mean(axis=0)
            assert (np.ptp(factors) > 0.1) == changed, name

    @pytest.mark.parametrize("excited", ["squeezed", "itself"])
    def test_squeeze_and_excitation_passes_factors_on(self, excited: str) -> None:
        toy = Toy(3, 3)
        first = toy.conv(toy.image, _uneven(4, 1, 1, 3, seed=1), [0.1] * 4)
        source = first
        if excited == "squeezed":
            axes, shape = toy.constant(np.array([1, 2], np.int32)), [1, 1, 1, 4]
            source = toy.apply(
                "MEAN", [first, axes], shape, schema.ReducerOptionsT(), keepDims=True
            )
        layer = toy.conv(source, normal(4, 1, 1, 4) / 9, normal(4), NONE)
        gate = toy.apply("LOGISTIC", [layer], [1, 1, 1, 4] if source != first else [1, 3, 3, 4])
        gated = toy.apply("MUL", [gate, first], [1, 3, 3, 4], schema.MulOptionsT())
        graph = toy.build(toy.conv(gated, _uneven(2, 1, 1, 4, seed=3), normal(2), NONE))
        pictures = noise(4, 3, 3, 3)
        seen = observe(graph, pictures, 1, 0, lambda done: None)
        before, after = run(graph, pictures), run(equalize(graph, seen)[0], pictures)
        last = "conv5" if excited == "squeezed" else "conv4"
        np.testing.assert_allclose(after[last], before[last], rtol=1e-4)
        factors = (after["conv0"] / before["conv0"]).reshape(-1, 4).mean(axis=0)
        assert (np.ptp(factors) > 0.1) == (excited == "squeezed")

    def test_a_layer_behind_which_values_are_cut_off_reads_equalized_channels(self) -> None:
        toy = Toy(2, 2)
        first = toy.conv(toy.image, _uneven(4, 1, 1, 3, seed=1), normal(4), NONE)
        assert not _unchanged(toy.build(toy.conv(first, normal(2, 1, 1, 4), normal(2), RELU6)))

    def test_a_mean_of_all_channels_passes_nothing_on(self) -> None:
        # As many columns as channels: the mean's last axis has their number, but is another.
        toy = Toy(2, 2)
        first = toy.conv(toy.image, _uneven(2, 1, 1, 3, seed=1), normal(2))
        axis = toy.constant(np.array([-1], np.int32))
        mean = toy.apply("MEAN", [first, axis], [1, 2, 2], schema.ReducerOptionsT())
        shape = toy.constant(np.array([1, 2, 1, 2], np.int32))
        flat = toy.apply("RESHAPE", [mean, shape], [1, 2, 1, 2], schema.ReshapeOptionsT())
        assert _unchanged(toy.build(toy.conv(flat, _uneven(2, 1, 1, 2, seed=2), normal(2), NONE)))

    def test_what_is_sliced_or_joined_stays_as_it_is(self) -> None:
        toy = Toy(2, 2)
        first = toy.conv(toy.image, _uneven(4, 1, 1, 3, seed=1), normal(4))
        ends = ([0, 0, 0, 2], [1, 2, 2, 2])
        inputs = [first, *(toy.constant(np.array(end, np.int32)) for end in ends)]
        part = toy.apply("SLICE", inputs, [1, 2, 2, 2], schema.SliceOptionsT())
        options = schema.ConcatenationOptionsT()
        joined = toy.apply("CONCATENATION", [first, part], [1, 2, 2, 6], options, axis=3)
        assert _unchanged(toy.build(toy.conv(joined, normal(2, 1, 1, 6), normal(2), NONE)))
