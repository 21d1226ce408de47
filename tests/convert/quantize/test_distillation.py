"""Pictures distilled from a network of one BatchNorm, whose statistics are known."""

import itertools
import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from edgekit_convert.quantize import distillation
from edgekit_convert.quantize.distillation import distil, statistics_distance
from numpy.typing import NDArray
from torch import Tensor, nn

from edgekit.model.manifest import Normalization

NORMALIZATION = Normalization(mean=(0.5, 0.25, 0.75), std=(0.5, 0.25, 0.125))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _norm(mean: list[float], std: list[float]) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(len(mean)).eval()
    norm.running_mean = torch.tensor(mean)
    norm.running_var = torch.tensor(std).square()
    return norm


class _Network(nn.Module):
    """A BatchNorm on the pixels, and the mean of each channel as a logit; keeps what it saw."""

    def __init__(self, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.norm = _norm(mean, std)
        self.seen: list[Tensor] = []
        self.logits: list[Tensor] = []
        self.eval().requires_grad_(False)

    def forward(self, pictures: Tensor) -> Tensor:
        self.seen.append(pictures.detach().clone())
        logits: Tensor = self.norm(pictures).mean(dim=(2, 3))
        self.logits.append(logits.detach())
        return logits


def _distil(network: nn.Module, **changed: int) -> NDArray[np.uint8]:
    arguments = {"height": 40, "width": 48, "count": 6, "steps": 60, "seed": 0} | changed
    return distil(network, NORMALIZATION, advance=lambda done: None, **arguments)


class TestStatisticsDistance:
    def test_by_hand(self) -> None:
        # Means 3 and 4, standard deviations 1 and 0.
        batch = torch.tensor([[[[2.0]], [[4.0]]], [[[4.0]], [[4.0]]]])
        # The first is (3 - 1) / 2 away and has half the deviation, the second is where it should
        # be, with nothing of the deviation.
        norm = _norm([1.0, 4.0], [2.0, 5.0])
        expected = (1 + 0.5**2 + 0 + 1) / 2
        assert float(statistics_distance(norm, batch)) == pytest.approx(expected, abs=0.01)

    def test_it_is_0_where_they_match(self) -> None:
        batch = torch.tensor([[[[2.0]]], [[[4.0]]]])
        assert float(statistics_distance(_norm([3.0], [1.0]), batch)) == pytest.approx(0, abs=1e-9)

    def test_a_deviation_counts_on_either_side_and_so_does_a_mean(self) -> None:
        batch = torch.tensor([[[[2.0]]], [[[4.0]]]])
        for mean, std, expected in ((2, 1, 1), (4, 1, 1), (3, 2, 0.25), (3, 0.5, 1)):
            found = float(statistics_distance(_norm([float(mean)], [float(std)]), batch))
            assert found == pytest.approx(expected, abs=1e-3)


class TestDistil:
    def test_the_pictures_have_the_remembered_mean_and_deviation(self) -> None:
        network = _Network([-0.4, 0.6, 0.0], [0.2, 0.4, 0.6])
        pictures = _distil(network, steps=100)
        assert pictures.shape == (6, 40, 48, 3)
        assert pictures.dtype == np.uint8
        # Pixels are 255 (x std + mean): in red 255 (-0.4 x 0.5 + 0.5) and so on.
        means = pictures.mean(axis=(0, 1, 2))
        assert means == pytest.approx([0.3 * 255, 0.4 * 255, 0.75 * 255], abs=4)
        deviations = pictures.std(axis=(0, 1, 2))
        assert deviations == pytest.approx([0.1 * 255, 0.1 * 255, 0.075 * 255], rel=0.1)

    def test_pixels_stay_between_black_and_white(self) -> None:
        network = _Network([-5.0, 5.0, 0.0], [1.0, 1.0, 1.0])
        pictures = _distil(network, steps=200)
        red, green, _ = np.moveaxis(pictures, -1, 0)
        assert np.median(red) == 0
        assert np.median(green) == 255
        # -mean / std and (1 - mean) / std: all but what the noise and its enlarged successor were.
        lowest, highest = np.array([-1, -1, -6]), np.array([1, 3, 2])
        for seen in network.seen[1:150] + network.seen[151:]:
            assert (seen.amin(dim=(0, 2, 3)).numpy() >= lowest - 1e-5).all()
            assert (seen.amax(dim=(0, 2, 3)).numpy() <= highest + 1e-5).all()

    def test_pixels_are_what_the_network_saw(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # Without steps of any size, what was seen last is what comes out.
        monkeypatch.setattr(distillation, "_RATE", 0.0)
        network = _Network([0.0, 0.0, 0.0], [1.0, 1.0, 1.0])
        pictures = _distil(network, steps=3)
        seen = network.seen[-1].permute(0, 2, 3, 1).double().numpy()
        expected = 255 * (seen * np.array(NORMALIZATION.std) + np.array(NORMALIZATION.mean))
        assert np.abs(pictures - expected.clip(0, 255)).max() < 0.51

    def test_answers_become_confident(self, monkeypatch: pytest.MonkeyPatch) -> None:
        wanted = torch.tensor([0, 1, 2, 0, 1, 2])
        monkeypatch.setattr(torch, "randint", lambda *arguments, **options: wanted)
        network = _Network([0.0, 0.0, 0.0], [0.3, 0.3, 0.3])
        _distil(network)
        before, after = (
            torch.softmax(network.logits[step], dim=1)[range(6), wanted] for step in (0, -1)
        )
        assert (after > before + 0.02).all()

    def test_three_quarters_of_the_steps_are_on_pictures_of_half_the_size(self) -> None:
        network = _Network([0.0, 0.0, 0.0], [1.0, 1.0, 1.0])
        done: list[int] = []
        distil(network, NORMALIZATION, 80, 96, 3, 7, 0, done.append)
        sizes = [tuple(seen.shape) for seen in network.seen]
        assert sizes == [(3, 3, 40, 48)] * 5 + [(3, 3, 80, 96)] * 2
        assert sum(done) == 3 * 7

    def test_steps_become_smaller_so_that_the_pictures_settle(self) -> None:
        # Its statistics lie so far away that each step goes as far as it may.
        network = _Network([1000.0, 1000.0, 1000.0], [1.0, 1.0, 1.0])
        wide = Normalization(mean=(0.5, 0.5, 0.5), std=(0.01, 0.01, 0.01))
        distil(network, wide, 40, 48, 2, 40, 0, lambda done: None)
        whole = network.seen[-10:]
        changes = [float((b - a).abs().mean()) for a, b in itertools.pairwise(whole)]
        cosine = [0.15 * (1 + math.cos(math.pi * step / 10)) / 2 for step in range(9)]
        assert changes == pytest.approx(cosine, rel=0.05)

    def test_they_start_from_noise_that_is_coarser_the_stronger_it_is(self) -> None:
        network = _Network([0.0, 0.0, 0.0], [1.0, 1.0, 1.0])
        _distil(network, height=256, width=128, count=8, steps=3)
        first = network.seen[0]
        assert first.shape == (8, 3, 128, 64)
        assert float(first.std()) == pytest.approx(1, abs=1e-3)
        # Amplitude in proportion to 1 / f: an octave higher is half of it, in both directions.
        amplitudes = torch.fft.fft2(first).abs().square().mean(dim=(0, 1)).sqrt().numpy()
        for low, high in ((amplitudes[8:16, 0], amplitudes[16:32, 0]),
                          (amplitudes[0, 4:8], amplitudes[0, 8:16])):  # fmt: skip
            assert low.mean() / high.mean() == pytest.approx(2, rel=0.15)
        # Of a frequency there is as much from top to bottom as from left to right.
        down, across = amplitudes[8:16, 0].mean(), amplitudes[0, 4:8].mean()
        assert down == pytest.approx(across, rel=0.15)

    def test_more_pictures_than_a_batch_holds(self) -> None:
        network = _Network([0.0, 0.0, 0.0], [1.0, 1.0, 1.0])
        assert _distil(network, count=35, steps=3).shape == (35, 40, 48, 3)
        assert [len(seen) for seen in network.seen] == [32] * 3 + [3] * 3

    def test_the_seed_decides_and_no_hook_stays(self) -> None:
        network = _Network([0.0, 0.0, 0.0], [1.0, 1.0, 1.0])
        one, same, other = (_distil(network, steps=3, seed=seed) for seed in (1, 1, 2))
        assert np.array_equal(one, same)
        assert not np.array_equal(one, other)
        assert not network.norm._forward_hooks
