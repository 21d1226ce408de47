"""What floating-point pictures mean is found out, told, or refused."""

from typing import Any

import numpy as np
import pytest
import torch
from edgekit_convert.weights.torchvision_shim import import_torchvision
from edgekit_convert.weights.trained import normalize
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Subset

from edgekit.model.manifest import Normalization
from tests.convert.given.helpers import (
    HALF,
    IMAGENET,
    NORMALIZED,
    PIXELS,
    TO_1,
    Numbers,
    load,
    refused,
)

transforms = import_torchvision().transforms


class TestMeaning:
    """What floating-point values mean is found out, or told, or refused."""

    def test_another_normalization_is_refused_with_the_one_that_it_is(self) -> None:
        message = refused(normalize(PIXELS, HALF))
        assert "convert it with mean=(0.5,0.5,0.5), std=(0.5,0.5,0.5)" in message

    def test_the_data_sets_own_transform_tells_any(self) -> None:
        true = Normalization((0.3, 0.4, 0.5), (0.21, 0.22, 0.23))
        data = Numbers(lambda n: torch.from_numpy(normalize(PIXELS[n][np.newaxis], true)[0]))
        assert "cannot be told" in refused(data)
        data.transform = transforms.Compose(  # type: ignore[attr-defined]
            [transforms.ToTensor(), transforms.Normalize(true.mean, true.std)]
        )
        for wrapped in (data, Subset(data, range(12)), DataLoader(data, 4, collate_fn=list)):
            assert "convert it with mean=(0.3,0.4,0.5), std=(0.21,0.22,0.23)" in refused(wrapped)
            assert np.array_equal(load(wrapped, asked=true).tensors, PIXELS)

    def test_a_transform_that_is_not_applied_tells_nothing(self) -> None:
        data = Numbers(lambda n: PIXELS[n] / 255)
        data.transform = transforms.Normalize(IMAGENET.mean, IMAGENET.std)  # type: ignore[attr-defined]
        found = load(data)
        assert np.array_equal(found.tensors, PIXELS)
        assert any("pixels from 0 to 1" in note for note in found.notes)

    @pytest.mark.parametrize(
        ("values", "words"),
        [
            (PIXELS / 255, "pixels from 0 to 1; if the network was trained on them as they are"),
            (PIXELS.astype(np.float32), "pixels from 0 to 255; if the network"),
        ],
    )
    def test_pixels_that_are_not_normalized_are_told(
        self, values: NDArray[Any], words: str
    ) -> None:
        assert any(words in note for note in load(values).notes)

    def test_pixels_as_the_network_was_fed_need_no_word(self) -> None:
        assert not any("as they are" in note for note in load(PIXELS / 255, asked=TO_1).notes)

    def test_pictures_resized_in_floating_point_are_told(self) -> None:
        soft = 0.7 * NORMALIZED + 0.3 * np.roll(NORMALIZED, 1, axis=3)
        found = load(soft)
        assert any("no whole pixels" in note for note in found.notes)
        assert abs(found.tensors.astype(float) - PIXELS).mean() < 60

    @pytest.mark.parametrize(
        "values",
        [
            0.9 * normalize(PIXELS, HALF) + 0.01,  # undone with ImageNet's they would be pale
            PIXELS / 255 - 0.5,
            PIXELS / 255 * 1.1 - 0.05,  # interpolated beyond black and white
            np.abs(NORMALIZED),
            NORMALIZED * 5,
            PIXELS * 257.0,
        ],
    )  # fmt: skip
    def test_what_may_be_one_thing_or_another_is_refused(self, values: NDArray[Any]) -> None:
        assert "cannot be told" in refused(values.astype(np.float32))

    def test_bright_pictures_are_normalized_although_nothing_is_below_0(self) -> None:
        bright = 180 + PIXELS // 4
        values = normalize(bright, IMAGENET)
        assert values.min() > 0
        assert np.array_equal(load(values).tensors, bright)

    def test_one_colour_tells_nothing(self) -> None:
        flat = np.ones((4, 3, 32, 32), np.float32) * np.arange(1, 5)[:, None, None, None] / 5
        assert "are of one colour each" in refused(flat)
        assert "every picture of calibration is of one colour" in refused(
            np.zeros((4, 32, 32, 3), np.uint8)
        )
        some = np.concatenate([PIXELS, np.zeros((2, 32, 32, 3), np.uint8)])
        notes = load(some).notes
        assert "2 of 14 pictures are of one colour" in notes
        assert "1 of 14 pictures are there more than once" in notes

    def test_a_later_picture_of_other_values_is_refused_by_name(self) -> None:
        values = (np.concatenate([PIXELS] * 3) / 255).astype(np.float32)
        values[29] *= 255
        assert "picture 29 has values from 0 to 255" in refused(iter(values))
        mixed = [*PIXELS, *PIXELS, NORMALIZED[0].transpose(1, 2, 0)]
        assert "picture 24 is floating-point" in refused(iter(mixed))
