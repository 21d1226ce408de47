"""What BatchNorm remembers, on numbers worked by hand, in both kinds of networks."""

import numpy as np
import onnx
import pytest
import torch
from edgekit_convert.feeding.memory import find_memory
from edgekit_convert.feeding.statistics import Moments, Norm, moments
from torch import nn

from edgekit.errors import ConversionError
from tests.convert.feeding.networks import AT_64, as_onnx, network, prepared, untouched_pictures


def _norm(mean: list[float], variance: list[float], eps: float = 0.0) -> Norm:
    return Norm("bn1", Moments(np.array(mean), np.array(variance)), eps)


class TestDivergence:
    def test_it_is_none_where_both_are_the_same(self) -> None:
        norm = _norm([1.0, -2.0], [4.0, 0.25])
        assert norm.divergence(norm.remembered) == 0

    def test_of_a_shifted_mean_it_is_half_the_square_of_the_shift_in_deviations(self) -> None:
        seen = Moments(np.array([5.0]), np.array([4.0]))
        assert _norm([1.0], [4.0]).divergence(seen) == pytest.approx(2**2 / 2)

    def test_of_another_variance(self) -> None:
        # (v / V - 1 - log(v / V)) / 2
        seen = Moments(np.array([0.0]), np.array([3.0]))
        assert _norm([0.0], [1.0]).divergence(seen) == pytest.approx((3 - 1 - np.log(3)) / 2)
        assert _norm([0.0], [3.0]).divergence(Moments(np.zeros(1), np.ones(1))) == pytest.approx(
            (1 / 3 - 1 + np.log(3)) / 2
        )

    def test_it_is_the_median_of_the_channels(self) -> None:
        seen = Moments(np.array([0.0, 2.0, 1000.0]), np.ones(3))
        assert _norm([0.0] * 3, [1.0] * 3).divergence(seen) == 2

    def test_a_dead_channel_counts_with_the_epsilon_of_its_layer(self) -> None:
        seen = Moments(np.zeros(1), np.zeros(1))
        assert _norm([0.0], [0.0], eps=1e-5).divergence(seen) == 0


def as_program(module: nn.Module) -> nn.Module:
    """As a program of torch.export, for one picture of 64 px."""
    return torch.export.export(module, (torch.zeros(1, 3, 64, 64),)).module()


@pytest.mark.parametrize("kind", ["pytorch", "program", "onnx", "onnx, shared constants"])
class TestMemory:
    def _memory(self, kind: str, module: nn.Sequential):  # type: ignore[no-untyped-def]
        if kind == "program":
            return find_memory(as_program(module), AT_64.geometry)
        shared = "shared" in kind
        return find_memory(
            module if kind == "pytorch" else as_onnx(module, shared=shared), AT_64.geometry
        )

    def test_it_is_of_every_layer_in_order(self, kind: str) -> None:
        module = network(way=AT_64)
        norms = self._memory(kind, module).norms
        layers = [layer for layer in module if isinstance(layer, nn.BatchNorm2d)]
        assert len(norms) == len(layers) == 4
        for norm, layer in zip(norms, layers, strict=True):
            assert layer.running_mean is not None
            np.testing.assert_array_equal(norm.remembered.mean, layer.running_mean.double())
            assert norm.eps == pytest.approx(1e-5)

    def test_what_the_layers_see_is_what_they_were_given(self, kind: str) -> None:
        module = network(way=AT_64)
        fed = AT_64.feed(prepared(AT_64, untouched_pictures(5)))
        seen = self._memory(kind, module).see(fed)
        values = torch.from_numpy(fed)
        expected = []
        for layer in module:
            if isinstance(layer, nn.BatchNorm2d):
                expected.append(moments(values.detach().numpy()))
            values = layer(values)
        for one, other in zip(seen, expected, strict=True):
            np.testing.assert_allclose(one.mean, other.mean, atol=1e-5)
            np.testing.assert_allclose(one.variance, other.variance, rtol=1e-4)

    def test_the_first_layer_alone_is_the_same(self, kind: str) -> None:
        memory = self._memory(kind, network(way=AT_64))
        fed = AT_64.feed(prepared(AT_64, untouched_pictures(3)))
        (alone,) = memory.see(fed, 1)
        np.testing.assert_allclose(alone.mean, memory.see(fed)[0].mean, atol=1e-6)

    def test_the_network_answers_as_before(self, kind: str) -> None:
        module = network(way=AT_64)
        fed = torch.from_numpy(AT_64.feed(prepared(AT_64, untouched_pictures(2))))
        before = module(fed)
        self._memory(kind, module).see(fed.numpy())
        torch.testing.assert_close(module(fed), before)

    def test_a_negative_variance_is_damage(self, kind: str) -> None:
        module = network(way=AT_64)
        variance = module[4].running_var
        assert isinstance(variance, torch.Tensor)
        variance[0] = -1
        with pytest.raises(ConversionError, match="are damaged: a variance is below 0"):
            self._memory(kind, module)


def test_batches_add_up_to_the_whole() -> None:
    memory = find_memory(network(way=AT_64), AT_64.geometry)
    # More than a batch of PyTorch's; one by one in onnxruntime.
    fed = AT_64.feed(prepared(AT_64, untouched_pictures(8))).repeat(16, axis=0)
    whole = memory.watch(fed, 4)
    for one, other in zip(memory.see(fed), whole, strict=True):
        np.testing.assert_allclose(one.mean, other.mean, atol=1e-5)
        np.testing.assert_allclose(one.variance, other.variance, rtol=1e-4)


class Twice(nn.Module):
    """Passes the second of three BatchNorm layers twice, in another order, and one never."""

    def __init__(self) -> None:
        super().__init__()
        self.unused, self.last, self.shared, self.first = (nn.BatchNorm2d(3) for _ in range(4))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        values: torch.Tensor = self.last(self.shared(self.shared(self.first(pictures))))
        return values.mean((2, 3))


@pytest.mark.parametrize("kind", ["pytorch", "program"])
def test_it_is_of_the_layers_that_a_picture_passes_once(kind: str) -> None:
    module: nn.Module = Twice().eval()
    memory = find_memory(as_program(module) if kind == "program" else module, AT_64.geometry)
    assert [norm.name for norm in memory.norms] == ["first", "last"]
    assert len(memory.see(AT_64.feed(prepared(AT_64, untouched_pictures(2))))) == 2


@pytest.mark.parametrize("kind", ["pytorch", "program"])
def test_a_network_that_takes_no_other_size_says_so(kind: str) -> None:
    module: nn.Module = nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(3 * 64 * 64, 2))
    if kind == "program":
        module = as_program(module.eval())
    memory = find_memory(module.eval() if kind == "pytorch" else module, AT_64.geometry)
    with pytest.raises(ConversionError, match="fails on pictures"):
        memory.watch(np.zeros((1, 3, 32, 32), np.float32), 2)


def test_layers_without_running_statistics_remember_nothing() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False))
    assert find_memory(module.eval(), AT_64.geometry).norms == []


def test_a_node_in_training_mode_remembers_nothing() -> None:
    model = as_onnx(network(way=AT_64))
    for node in model.graph.node:
        if node.op_type == "BatchNormalization":
            node.attribute.append(onnx.helper.make_attribute("training_mode", 1))
    assert find_memory(model, AT_64.geometry).norms == []
