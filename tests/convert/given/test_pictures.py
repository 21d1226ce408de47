"""The same pictures give the same tensors, whichever way they are given."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from edgekit_convert.given import sources
from edgekit_convert.given.pictures import GivenPictures
from edgekit_convert.pictures import MAXIMUM_CALIBRATION, check_disjoint, load_calibration
from edgekit_convert.weights.trained import normalize
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import (
    ConcatDataset,
    DataLoader,
    IterableDataset,
    RandomSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
)

from edgekit.errors import DatasetError
from edgekit.model.geometry import Geometry
from edgekit.model.manifest import Normalization
from tests.convert.given.helpers import (
    AT_32,
    CLASSES,
    HALF,
    IMAGENET,
    LABELS,
    NORMALIZED,
    PIXELS,
    TENSORS,
    TO_1,
    Numbers,
    load,
    png,
)
from tests.convert.toys import noise


class Streamed(IterableDataset[Any]):
    """The pictures, one after another."""

    def __iter__(self) -> Iterator[Any]:
        return iter(zip(torch.from_numpy(NORMALIZED), LABELS.tolist(), strict=True))


WAYS: dict[str, Callable[[], Any]] = {
    "uint8": lambda: PIXELS,
    "uint8, channels first": lambda: PIXELS.transpose(0, 3, 1, 2),
    "int64": lambda: PIXELS.astype(np.int64),
    "uint8 tensor": lambda: torch.from_numpy(PIXELS),
    "from 0 to 1": lambda: PIXELS / 255,
    "from 0 to 255 in floating point": lambda: PIXELS.astype(np.float32),
    "normalized": lambda: NORMALIZED,
    "normalized, channels last": lambda: NORMALIZED.transpose(0, 2, 3, 1),
    "normalized tensor with a gradient": lambda: torch.from_numpy(NORMALIZED).requires_grad_(),
    "half precision": lambda: torch.from_numpy(NORMALIZED).half(),
    "double precision": lambda: torch.from_numpy(NORMALIZED).double(),
    "channels last in memory": lambda: torch.from_numpy(NORMALIZED).contiguous(
        memory_format=torch.channels_last
    ),
    "list of arrays": lambda: list(PIXELS),
    "list of pictures": lambda: [Image.fromarray(one) for one in PIXELS],
    "array of objects": lambda: np.array([*map(Image.fromarray, PIXELS), None], object)[:-1],
    "list of files' content": lambda: [png(one) for one in PIXELS],
    "list of batches": lambda: [PIXELS[:5], PIXELS[5:]],
    "generator": lambda: (Image.fromarray(one) for one in PIXELS),
    "pairs": lambda: [(one, 1) for one in PIXELS],
    "zip": lambda: zip(PIXELS, LABELS, strict=True),
    "pictures and labels": lambda: (PIXELS, LABELS),
    "dictionaries": lambda: [{"image": Image.fromarray(one), "label": 1} for one in PIXELS],
    "dictionary": lambda: {"pixel_values": NORMALIZED, "labels": LABELS},
    "Dataset": lambda: TENSORS,
    "Dataset of pictures alone": lambda: TensorDataset(torch.from_numpy(NORMALIZED)),
    "Subset": lambda: Subset(TENSORS, range(12)),
    "ConcatDataset": lambda: ConcatDataset(
        [Subset(TENSORS, range(5)), Subset(TENSORS, range(5, 12))]
    ),
    "IterableDataset": lambda: Streamed(),
    "DataLoader": lambda: DataLoader(TENSORS, batch_size=5),
    "DataLoader that drops the last": lambda: DataLoader(TENSORS, batch_size=5, drop_last=True),
    "DataLoader that puts pairs into a list": lambda: DataLoader(TENSORS, 5, collate_fn=list),
    "DataLoader of columns": lambda: DataLoader(
        TENSORS, 5, collate_fn=lambda batch: tuple(zip(*batch, strict=True))
    ),
    "DataLoader of dictionaries": lambda: DataLoader(
        Numbers(lambda n: {"pixel_values": torch.from_numpy(NORMALIZED[n]), "labels": 1}), 5
    ),
    "DataLoader of a stream": lambda: DataLoader(Streamed(), batch_size=5),
    "DataLoader without batches": lambda: DataLoader(TENSORS, batch_size=None),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_every_way_gives_the_same_pictures_to_the_byte(way: str) -> None:
    found, known = load(WAYS[way]()), load(PIXELS)
    assert np.array_equal(found.tensors, PIXELS)
    assert (found.sha256, found.truth) == (known.sha256, None)
    assert found.names == [f"calibration {number}" for number in range(12)]


@settings(deadline=None)
@given(
    arrays.arrays(np.uint8, (2, 8, 8, 3)),
    st.sampled_from([IMAGENET, HALF, TO_1]),
    st.sampled_from([np.float16, np.float32, np.float64]),
    st.booleans(),
)
def test_any_pixels_come_back_from_the_normalization_that_was_asked_for(
    pixels: NDArray[np.uint8], asked: Normalization, kind: type, last: bool
) -> None:
    pixels[:, 0, 0], pixels[:, 0, 1], pixels[1, 0, 2] = 0, 255, 100
    pixels[0, 0, 2] = 50
    values = normalize(pixels, asked).astype(kind)
    found = load(values.transpose(0, 2, 3, 1) if last else values, geometry=Geometry(8, 8),
                 asked=asked)  # fmt: skip
    assert np.array_equal(found.tensors, pixels)
    assert not any("as they are" in note for note in found.notes)


def test_the_hash_is_of_the_pictures_in_any_order_and_of_nothing_else() -> None:
    known = load(PIXELS).sha256
    assert load(PIXELS[::-1]).sha256 == known == load((PIXELS, LABELS), labels=CLASSES).sha256
    assert load(PIXELS[:-1]).sha256 != known


class TestPreparing:
    def test_pictures_of_other_sizes_are_prepared_as_those_of_a_folder(
        self, tmp_path: Path
    ) -> None:
        pictures = [noise(40 + 9 * n, 50, 3, seed=n) for n in range(4)]
        for number, picture in enumerate(pictures):
            Image.fromarray(picture).save(tmp_path / f"{number}.png")
        geometry = Geometry(32, 32, crop=0.875)
        folder = load_calibration(tmp_path, geometry, lambda _: None).tensors
        for given_ in (
            pictures,
            [Image.fromarray(one) for one in pictures],
            [one.transpose(2, 0, 1) / 255 for one in pictures],
            [str(path) for path in sorted(tmp_path.iterdir())],
            sorted(tmp_path.iterdir()),
        ):
            assert np.array_equal(load(given_, geometry=geometry).tensors, folder)

    def test_arrays_of_the_models_size_are_not_cropped_again_which_is_told(self) -> None:
        found = load(PIXELS, geometry=Geometry(32, 32, crop=0.875))
        assert np.array_equal(found.tensors, PIXELS)
        assert any("12 pictures at the model's size" in note for note in found.notes)

    def test_arrays_of_another_size_are_resized_which_is_told(self) -> None:
        found = load(NORMALIZED, geometry=Geometry(24, 24))
        assert found.tensors.shape == (12, 24, 24, 3)
        assert any("12 pictures of 32x32 pixels are resized to 24x24" in n for n in found.notes)

    def test_pillow_modes_are_converted_as_files_are(self, tmp_path: Path) -> None:
        picture = Image.fromarray(PIXELS[0])
        wide = Image.fromarray(PIXELS[1, :, :, 0].astype(np.uint16) * 257)
        given_ = [picture.convert(mode) for mode in ("L", "RGBA", "LA", "1", "P")] + [wide]
        for number, one in enumerate(given_):
            one.save(tmp_path / f"{number}.png")
        found = load(given_)
        assert np.array_equal(
            found.tensors, load_calibration(tmp_path, AT_32, lambda _: None).tensors
        )
        assert "1 picture of the mode L, converted to RGB" in found.notes
        assert "1 picture with 16 bits a channel: the upper 8 are used" in found.notes

    def test_pillow_pictures_are_turned_upright_as_files_are(self, tmp_path: Path) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        for number in range(2):
            Image.fromarray(PIXELS[number]).save(tmp_path / f"{number}.png", exif=exif)
        files = sorted(tmp_path.iterdir())
        with Image.open(files[0]) as first, Image.open(files[1]) as second:
            found = load([first, second])
        assert np.array_equal(found.tensors, load(files).tensors)
        assert "2 pictures turned upright, as their EXIF says" in found.notes


class TestMany:
    def test_of_more_than_are_needed_some_are_taken_from_the_first_to_the_last(self) -> None:
        count, asked = 3 * MAXIMUM_CALIBRATION, []

        def make(number: int) -> NDArray[np.uint8]:
            asked.append(number)
            return (
                np.full((8, 8, 3), [number // 256, number % 256, 0], np.uint8) + PIXELS[0, :8, :8]
            )

        found = load(DataLoader(Numbers(make, count), shuffle=True), geometry=Geometry(8, 8))
        assert len(found.names) == MAXIMUM_CALIBRATION
        assert (found.names[0], found.names[-1]) == ("calibration 0", f"calibration {count - 1}")
        assert len(asked) < count  # the others are not made at all

    def test_of_a_stream_too_and_no_more_than_twice_as_many_are_in_memory(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("edgekit_convert.given.pictures.MAXIMUM_CALIBRATION", 5)
        found = load(iter(np.concatenate([PIXELS] * 4)))
        # Every 8th is kept at last, six in all; five of these are spread evenly.
        assert found.names == [f"calibration {8 * place}" for place in (0, 1, 2, 3, 5)]

    def test_a_stream_without_an_end_is_cut_which_is_told(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sources, "LONGEST", 30)

        def endless() -> Iterator[NDArray[np.uint8]]:
            while True:
                yield from PIXELS

        found = load(endless())
        assert len(found.names) == 30
        assert any("the first 30 pictures are used" in note for note in found.notes)
        assert not any(
            "first 30" in note for note in load(iter(np.concatenate([PIXELS] * 2))).notes
        )

    def test_what_calibrates_does_not_evaluate(self) -> None:
        calibration = load(NORMALIZED)
        with pytest.raises(DatasetError, match=r"evaluation 0 \(calibration 0\)"):
            check_disjoint(calibration, load((PIXELS, LABELS), labels=CLASSES))

    def test_the_same_object_is_known_before_it_is_read(self) -> None:
        one = GivenPictures(DataLoader(TENSORS), "calibration")
        assert one.is_same(GivenPictures(TENSORS, "evaluate"))
        assert not one.is_same(GivenPictures(Subset(TENSORS, [0]), "evaluate"))


class TestLoaders:
    """A loader is its data set, unless it gives something else."""

    @pytest.mark.parametrize(
        ("options", "count"),
        [
            ({"sampler": SubsetRandomSampler([3, 8, 1])}, 3),
            ({"sampler": RandomSampler(TENSORS, num_samples=5)}, 5),
            ({"batch_sampler": [[1, 2], [7]]}, 3),
            ({"shuffle": True, "drop_last": True, "batch_size": 5}, 12),
        ],
    )
    def test_what_it_leaves_out_is_left_out(self, options: dict[str, Any], count: int) -> None:
        assert len(load(DataLoader(TENSORS, **options)).names) == count

    def test_what_it_makes_of_them_is_taken(self) -> None:
        class Pale(DataLoader[Any]):
            def __iter__(self) -> Any:
                return ((pictures / 2, labels) for pictures, labels in super().__iter__())

        data = TensorDataset(torch.from_numpy(PIXELS / 255), torch.from_numpy(LABELS))
        assert load(Pale(data, batch_size=4)).tensors.max() == 128


class TestMemory:
    """A generator may write its next picture, and its label, where the last one was."""

    def _into_one_place(self) -> Iterator[Any]:
        picture, label = np.empty_like(PIXELS[0]), np.empty(1, np.int64)
        for number in range(36):
            picture[:], label[:] = PIXELS[number % 12] // (1 + number // 12), LABELS[number % 12]
            yield picture, label

    def test_what_was_read_stays_as_it_was(self) -> None:
        expected = [PIXELS[number % 12] // (1 + number // 12) for number in range(36)]
        found = load(self._into_one_place(), labels=CLASSES)
        assert np.array_equal(found.tensors, expected)
        assert found.truth is not None
        assert found.truth.tolist() == LABELS.tolist() * 3

    def test_also_of_tensors(self) -> None:
        pairs = ((torch.from_numpy(one), torch.from_numpy(label)) for one, label in
                 self._into_one_place())  # fmt: skip
        found = load(pairs, labels=CLASSES)
        assert np.array_equal(found.tensors[:12], PIXELS)
        assert found.truth is not None
        assert found.truth.tolist() == LABELS.tolist() * 3


class TestUntouched:
    """Pictures at their own size, to try others."""

    def test_pictures_larger_than_the_model_are_given_again(self) -> None:
        pictures = GivenPictures([Image.fromarray(one) for one in PIXELS], "calibration")
        pictures.check(IMAGENET)
        again = pictures.untouched(Geometry(16, 16), np.array([2, 7]))
        assert again is not None
        assert np.array_equal(list(again), PIXELS[[2, 7]])

    @pytest.mark.parametrize("data", [PIXELS, NORMALIZED])
    def test_those_of_the_models_size_are_no_others(self, data: NDArray[Any]) -> None:
        pictures = GivenPictures(data, "calibration")
        found = pictures.load(AT_32, IMAGENET, lambda _: None)
        assert pictures.untouched(AT_32, np.array([0])) is None
        assert any("whether the network was trained at another" in note for note in found.notes)

    def test_a_stream_gives_each_once(self) -> None:
        pictures = GivenPictures(iter(PIXELS), "calibration")
        pictures.load(Geometry(16, 16), IMAGENET, lambda _: None)
        assert pictures.untouched(Geometry(16, 16), np.array([0])) is None
