"""The same pictures give the same tensors, whichever way they are given."""

import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from edgekit_convert.feeding.candidates import NORMALIZATIONS
from edgekit_convert.given import sources
from edgekit_convert.given.pictures import GivenPictures, labelled_pictures
from edgekit_convert.pictures import MAXIMUM_CALIBRATION, Pictures, check_disjoint, load_calibration
from edgekit_convert.weights.torchvision_shim import import_torchvision
from edgekit_convert.weights.trained import normalize
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import ConcatDataset, DataLoader, IterableDataset, Subset, TensorDataset

from edgekit.errors import DatasetError, EdgekitError
from edgekit.model.geometry import Geometry
from edgekit.model.manifest import Normalization
from tests.convert.toys import noise

torchvision = import_torchvision()
transforms = torchvision.transforms

IMAGENET = NORMALIZATIONS["ImageNet's mean and standard deviation"]
HALF = NORMALIZATIONS["pixels from -1 to 1"]
TO_1 = NORMALIZATIONS["pixels from 0 to 1"]
AT_32 = Geometry(32, 32)
PIXELS = noise(12, 32, 32, 3)
NORMALIZED = normalize(PIXELS, IMAGENET)  # (N, 3, H, W)
LABELS = np.arange(12) % 3
CLASSES = ["cat", "dog", "owl"]


def load(
    data: Any,
    *,
    labels: list[str] | None = None,
    geometry: Geometry = AT_32,
    asked: Normalization = IMAGENET,
    told: list[str] | None = None,
) -> Pictures:
    """Calibration pictures, or with `labels` evaluation pictures."""
    pictures = GivenPictures(data, "calibration" if labels is None else "evaluate")
    notify = (told if told is not None else []).append
    return pictures.load(geometry, asked, lambda _: None, labels, notify)


def refused(data: Any, **options: Any) -> str:
    """Why pictures are refused, in one line."""
    with pytest.raises(EdgekitError) as error:
        load(data, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def png(picture: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "png")
    return file.getvalue()


class Numbers(torch.utils.data.Dataset[Any]):
    """A data set of what a function makes of a number."""

    def __init__(self, make: Callable[[int], Any], count: int = len(PIXELS)) -> None:
        self.make, self.count = make, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> Any:
        if number >= self.count:
            raise IndexError(number)
        return self.make(number)


class Streamed(IterableDataset[Any]):
    """The pictures, one after another."""

    def __iter__(self) -> Iterator[Any]:
        return iter(zip(torch.from_numpy(NORMALIZED), LABELS.tolist(), strict=True))


TENSORS = TensorDataset(torch.from_numpy(NORMALIZED), torch.from_numpy(LABELS))
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


class TestMeaning:
    """What floating-point values mean is found out, or told, or refused."""

    def test_another_normalization_is_refused_with_the_one_that_it_is(self) -> None:
        message = refused(normalize(PIXELS, HALF))
        assert "pass mean=(0.5,0.5,0.5), std=(0.5,0.5,0.5)" in message

    def test_the_data_sets_own_transform_tells_any(self) -> None:
        true = Normalization((0.3, 0.4, 0.5), (0.21, 0.22, 0.23))
        data = Numbers(lambda n: torch.from_numpy(normalize(PIXELS[n][np.newaxis], true)[0]))
        assert "cannot be told" in refused(data)
        data.transform = transforms.Compose(  # type: ignore[attr-defined]
            [transforms.ToTensor(), transforms.Normalize(true.mean, true.std)]
        )
        for wrapped in (data, Subset(data, range(12)), DataLoader(data, 4, collate_fn=list)):
            assert "pass mean=(0.3,0.4,0.5), std=(0.21,0.22,0.23)" in refused(wrapped)
            assert np.array_equal(load(wrapped, asked=true).tensors, PIXELS)

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


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "nothing": (lambda: [], "calibration holds no pictures"),
    "an empty array": (lambda: PIXELS[:0], "calibration holds no pictures"),
    "an empty generator": (lambda: iter(()), "calibration holds no pictures"),
    "an empty loader": (lambda: DataLoader(Numbers(int, 0), collate_fn=list), "holds no pictures"),
    "one picture": (lambda: PIXELS[0], r"one picture or grey ones, of the shape (32, 32, 3)"),
    "one picture in a list": (lambda: [PIXELS[0]], "is one picture, which is too few"),
    "one of Pillow": (lambda: Image.fromarray(PIXELS[0]), "is one picture; give a folder's path"),
    "a number": (lambda: 5, "calibration is int; give a folder's path"),
    "a function": (lambda: lambda: iter(PIXELS), "calibration is function; call it"),
    "labels": (lambda: LABELS, "item 0 is int64 of the shape (), neither a picture nor"),
    "text": (lambda: ["cat", "dog"], "item 0 is str, neither a picture nor"),
    "a missing file": (lambda: ["/nowhere.png", "/no.png"], "cannot read the image /nowhere.png"),
    "the same picture": (lambda: [PIXELS[0]] * 9, "all 9 pictures of calibration are the same"),
    "grey": (lambda: PIXELS[..., :1], "picture 0, (32, 32, 1), is grey"),
    "grey, channels first": (lambda: PIXELS.transpose(0, 3, 1, 2)[:, :1], "Grayscale(3)"),
    "grey without channels": (lambda: PIXELS[..., 0], "grey ones, of the shape (12, 32, 32)"),
    "grey in a list": (lambda: list(PIXELS[..., 0]), "picture 0, (32, 32), is grey"),
    "four channels": (lambda: PIXELS[..., [0, 1, 2, 2]], "has four channels; leave the fourth"),
    "five channels": (lambda: PIXELS.repeat(2, axis=3), "has the shape (32, 32, 6), not (H, W, 3)"),
    "a channel too many ways": (lambda: PIXELS[:, :3], "whose channels may be first or last"),
    "films": (lambda: PIXELS[np.newaxis].repeat(2, axis=0), "item 0 holds 12 pictures"),
    "16 bits": (lambda: PIXELS.astype(np.uint16) * 257, "take the upper 8, x >> 8"),
    "less than 0": (lambda: PIXELS.astype(np.int16) - 128, "is int16 from -128 to 127"),
    "bool": (lambda: PIXELS > 128, "picture 0 is bool"),
    "complex": (lambda: PIXELS * 1j, "ndarray of complex128, no picture"),
    "not finite": (lambda: np.where(PIXELS == 7, np.nan, PIXELS / 255), "values that are not fin"),
    "32 bits of Pillow": (lambda: [Image.new("F", (8, 8))] * 2, "has the mode F"),
    "no content": (lambda: [torch.empty(3, 0, 32)] * 2, "picture 0 is empty, (3, 0, 32)"),
    "no memory": (lambda: [torch.empty(3, 8, 8, device="meta")] * 2, "cannot be read (NotImpl"),
    "splits": (lambda: {"train": TENSORS, "test": TENSORS}, "of train, test, none of which is"),
    "boxes": (lambda: [(PIXELS[0], {"boxes": [1]})] * 2, "is a tuple of ndarray, dict, neither"),
    "a mask": (lambda: Numbers(lambda n: (PIXELS[n], PIXELS[n])), "is a tuple of ndarray, ndarray"),
    "batches of masks": (lambda: DataLoader(TensorDataset(*[torch.from_numpy(NORMALIZED)] * 2),
                                            4, shuffle=True, collate_fn=lambda b: [
                                                torch.stack(one) for one in zip(*b, strict=True)]),
                         "element 0 is a list of Tensor, Tensor, neither"),
    "a loader of batches as a data set": (lambda: Numbers(lambda n: NORMALIZED),
                                          "item 0 holds 12 pictures, where each item is one"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_picture_is_refused_before_anything_slow(case: str) -> None:
    make, words = REFUSED[case]
    if case == "the same picture":
        assert words in refused(make())
        return
    with pytest.raises(EdgekitError) as error:
        GivenPictures(make(), "calibration").check(IMAGENET)
    assert words in str(error.value) and "\n" not in str(error.value)


class TestFailing:
    """A user's own code fails as it likes; the message says where."""

    @staticmethod
    def _fails(number: int) -> Any:
        if number == 7:
            raise ValueError("no such label\nlook at the table")
        return torch.from_numpy(NORMALIZED[number])

    def test_a_data_set_that_fails_is_named_with_the_item(self) -> None:
        assert "item 7 cannot be had (ValueError: no such label)" in refused(Numbers(self._fails))

    def test_so_is_a_loader_with_processes(self) -> None:
        loader = DataLoader(Numbers(self._fails), 4, num_workers=1, collate_fn=list)
        message = refused(loader)
        assert "element 1 cannot be had (ValueError: " in message
        assert "look at the table" in message

    def test_so_is_one_whose_processes_end(self) -> None:
        def end(number: int) -> Any:
            os._exit(1)

        loader = DataLoader(Numbers(end), 4, num_workers=1, collate_fn=list)
        assert "element 0 cannot be had (RuntimeError: DataLoader worker" in refused(loader)

    def test_a_damaged_file_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "x.png").write_bytes(png(PIXELS[0])[:500])
        assert str(tmp_path / "x.png") in refused([tmp_path / "x.png"] * 2)
        with Image.open(tmp_path / "x.png") as picture:
            message = refused([picture] * 2)
        assert "picture 0 cannot be read (OSError: " in message


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


class TestLabels:
    @pytest.mark.parametrize(
        "labels",
        [
            LABELS,
            LABELS.tolist(),
            torch.from_numpy(LABELS),
            LABELS.astype(np.float32),
            LABELS[:, None],
            np.eye(3)[LABELS],
            [CLASSES[label] for label in LABELS],
        ],
    )
    def test_they_may_be_written_in_many_ways(self, labels: Any) -> None:
        for data in ((PIXELS, labels), zip(PIXELS, labels, strict=True)):
            assert load(data, labels=CLASSES).truth.tolist() == LABELS.tolist()  # type: ignore[union-attr]

    @pytest.mark.parametrize(
        ("labels", "words"),
        [
            (LABELS + 1, "picture 2 has the label 3, where the classes are from 0 to 2"),
            (LABELS - 5, "picture 0 has the label -5"),
            (LABELS[:-1], "evaluate has 11 labels for 12 pictures"),
            (LABELS / 2, "picture 1 has the label 0.5, which is no whole number"),
            (np.full((12, 3), 1 / 3), "picture 0 has several labels at once, (3,), or mixed ones"),
            (["cat"] * 11 + ["dgo"], "'dgo', which is no class of the model; they are dog"),
            ([0] * 11 + [None], "1 of 12 pictures have no label, the first is picture 11"),
            ([-1] + [0] * 11, "1 of 12 pictures have no label, the first is picture 0"),
            (LABELS * np.nan, "the label nan"),
        ],
    )
    def test_those_that_fit_no_class_are_refused(self, labels: Any, words: str) -> None:
        assert words in refused((PIXELS, labels), labels=CLASSES)

    @pytest.mark.parametrize("data", [PIXELS, (PIXELS, [-1] * 12), (PIXELS, [None] * 12)])
    def test_without_any_there_is_no_truth(self, data: Any) -> None:
        assert load(data, labels=CLASSES).truth is None

    def test_pictures_for_an_evaluation_elsewhere_come_one_by_one(self) -> None:
        told: list[str] = []
        pairs = list(labelled_pictures(TENSORS, CLASSES, IMAGENET, told.append))
        assert np.array_equal([pixels for pixels, _ in pairs], PIXELS)
        assert [label for _, label in pairs] == LABELS.tolist()
        assert told == []
        grey = [(Image.fromarray(one).convert("L"), 0) for one in PIXELS]
        assert {label for _, label in labelled_pictures(grey, CLASSES, IMAGENET, told.append)} == {
            0
        }
        assert told == ["evaluate: 12 pictures of the mode L, converted to RGB"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four pictures of each class, 40x32 pixels, as torchvision's ImageFolder takes them."""
    for number, name in enumerate(CLASSES):
        (tmp_path / name).mkdir()
        for index in range(4):
            picture = noise(40, 32, 3, seed=10 * number + index)
            cv2.imwrite(str(tmp_path / name / f"{index}.png"), picture)
    return tmp_path


class TestImageFolder:
    """torchvision's own data set, with transforms as in training."""

    def _transform(self, *others: Any) -> Any:
        return transforms.Compose([
            *others, transforms.Resize(32), transforms.CenterCrop(32), transforms.ToTensor(),
            transforms.Normalize(IMAGENET.mean, IMAGENET.std),
        ])  # fmt: skip

    def test_its_tensors_are_what_the_model_gets(self, folder: Path) -> None:
        data = torchvision.datasets.ImageFolder(folder, self._transform())
        found = load(DataLoader(data, 5, shuffle=True), labels=["dog", "owl", "cat"])
        values = np.stack([np.asarray(tensor) for tensor, _ in data]).transpose(0, 2, 3, 1)
        known = np.rint((values * IMAGENET.std + IMAGENET.mean) * 255)
        assert np.array_equal(found.tensors, known)
        assert found.names[:2] == ["cat/0.png", "cat/1.png"]
        assert found.truth is not None  # by name: its own indices are those of the alphabet
        assert found.truth.tolist() == [2] * 4 + [0] * 4 + [1] * 4

    def test_without_a_transform_it_is_as_its_folder(self, folder: Path) -> None:
        found = load(torchvision.datasets.ImageFolder(folder))
        assert np.array_equal(
            found.tensors, load_calibration(folder, AT_32, lambda _: None).tensors
        )

    def test_parts_of_it_keep_names_of_files_and_classes(self, folder: Path) -> None:
        data = torchvision.datasets.ImageFolder(folder)
        joined = ConcatDataset([Subset(data, [5, 1]), Subset(data, [11])])
        found = load(joined, labels=CLASSES)
        assert found.names == ["dog/1.png", "cat/1.png", "owl/3.png"]
        assert found.truth is not None
        assert found.truth.tolist() == [1, 0, 2]
        assert GivenPictures(joined, "calibration").class_names == CLASSES

    def test_augmentation_is_told(self, folder: Path) -> None:
        augmented = self._transform(transforms.RandomHorizontalFlip(), transforms.ColorJitter(0.1))
        data = torchvision.datasets.ImageFolder(folder, augmented)
        (note,) = (note for note in load(Subset(data, range(9))).notes if "at random" in note)
        assert "(RandomHorizontalFlip, ColorJitter)" in note

    def test_a_folder_with_fewer_classes_is_matched_by_name(self, folder: Path) -> None:
        data, told = torchvision.datasets.ImageFolder(folder), list[str]()
        labels = ["ant", "owl", "cat", "dog", "elk"]
        found = load(data, labels=labels, told=told)
        assert found.truth is not None
        assert found.truth.tolist() == [2] * 4 + [3] * 4 + [1] * 4
        assert "matched to the model's by name" in told[0]
        message = refused(data, labels=["ant", "cat", "dog", "elk"])
        assert "classes that the model does not have: owl" in message


class Features(dict[str, Any]):
    """Those of Hugging Face's data sets."""


class ClassLabel:
    names = CLASSES


class HuggingFace(Numbers):
    """Has what `datasets.Dataset` has: dictionaries by number, and features that name classes."""

    features = Features({"image": object(), "label": ClassLabel()})


class TestHuggingFace:
    def test_dictionaries_have_pictures_and_labels(self) -> None:
        data = HuggingFace(lambda n: {"image": Image.fromarray(PIXELS[n]), "label": int(LABELS[n])})
        found = load(data, labels=CLASSES)
        assert np.array_equal(found.tensors, PIXELS)
        assert found.truth is not None
        assert found.truth.tolist() == LABELS.tolist()
        assert GivenPictures(data, "evaluate").class_names == CLASSES

    def test_pictures_that_it_did_not_decode_are(self) -> None:
        data = HuggingFace(lambda n: {"image": {"bytes": png(PIXELS[n]), "path": None}, "label": 0})
        assert np.array_equal(load(data).tensors, PIXELS)
