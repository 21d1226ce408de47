"""What data sets say of themselves: classes, files and transforms."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from edgekit_convert.given.about import augmentations_of, class_names_of, crop_of, normalization_of
from edgekit_convert.given.pictures import GivenPictures
from edgekit_convert.pictures import load_calibration
from edgekit_convert.weights.torchvision_shim import import_torchvision
from PIL import Image
from torch.utils.data import ConcatDataset, DataLoader, Subset

from edgekit.model.geometry import Geometry
from edgekit.model.manifest import Normalization
from tests.convert.given.helpers import (
    AT_32,
    CLASSES,
    IMAGENET,
    LABELS,
    PIXELS,
    Numbers,
    load,
    png,
    refused,
)
from tests.convert.toys import noise

torchvision = import_torchvision()
transforms = torchvision.transforms


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

    @pytest.mark.parametrize(
        ("transform", "crop", "words"),
        [
            ([transforms.Resize(36), transforms.CenterCrop(32)], 1.0, "convert it with crop=0.889"),
            ([transforms.Resize(36), transforms.CenterCrop(32)], 32 / 36, None),
            ([transforms.Resize(32), transforms.CenterCrop(32)], 1.0, None),
            ([transforms.Resize(32), transforms.CenterCrop(32)], 0.875, "crop=1"),
            ([transforms.Resize((32, 32))], 1.0, "squeezes pictures into a square"),
            ([transforms.CenterCrop(32)], 1.0, None),
            ([transforms.Resize(40), transforms.Resize(32), transforms.CenterCrop(32)], 1.0, None),
        ],
    )
    def test_another_crop_than_the_cameras_is_told(
        self, folder: Path, transform: list[Any], crop: float, words: str | None
    ) -> None:
        composed = transforms.Compose([*transform, transforms.ToTensor()])
        data = torchvision.datasets.ImageFolder(folder, composed)
        notes = load(data, geometry=Geometry(32, 32, crop)).notes
        told = [note for note in notes if "its transform" in note]
        assert (words in told[0]) if words else not told

    def test_pictures_that_a_transform_has_cropped_are_not_cropped_again(
        self, folder: Path
    ) -> None:
        composed = transforms.Compose([transforms.Resize(36), transforms.CenterCrop(32)])
        data = torchvision.datasets.ImageFolder(folder, composed)
        found = load(data, geometry=Geometry(32, 32, 32 / 36))
        assert np.array_equal(found.tensors, [np.asarray(picture) for picture, _ in data])

    def test_a_preset_of_torchvision_says_both(self) -> None:
        class Data:
            transform = torchvision.models.ResNet18_Weights.IMAGENET1K_V1.transforms()

        assert crop_of(Data()) == 0.875
        assert normalization_of(Data()) == IMAGENET

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


class Parts:
    """A sequence that is no list, as fastai's and PyTorch's modules are."""

    def __init__(self, *parts: Any) -> None:
        self._parts = parts

    def __len__(self) -> int:
        return len(self._parts)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._parts)


class Normalize:
    def __init__(self, mean: Any, std: Any) -> None:
        self.mean, self.std = mean, std


class RandTransform:
    """What fastai's augmentation is called."""


class Flip(RandTransform):
    pass


class Loader:
    """Has what fastai's has, and properties that fail."""

    def __init__(self, split: int) -> None:
        self.split_idx = split
        self.after_batch = Parts(Flip(), Normalize(np.full((1, 3, 1, 1), 0.5), [0.25] * 3))
        self.vocab = CLASSES

    @property
    def dataset(self) -> Any:
        raise IndexError("no such split")


class TestOthers:
    def test_a_loader_of_fastai_augments_in_training_alone(self) -> None:
        assert augmentations_of(Loader(0)) == ["Flip"]
        assert augmentations_of(Loader(1)) == []

    def test_whatever_has_a_mean_of_three_numbers_normalizes(self) -> None:
        assert normalization_of(Loader(1)) == Normalization((0.5,) * 3, (0.25,) * 3)

    def test_two_that_differ_tell_nothing(self) -> None:
        loader = Loader(1)
        loader.after_batch = Parts(Normalize([0.5] * 3, [0.5] * 3), Normalize([0] * 3, [1] * 3))
        assert normalization_of(loader) is None

    @pytest.mark.parametrize(
        ("attributes", "names"),
        [
            ({"vocab": CLASSES}, CLASSES),
            ({"classes": [("tench", "Tinca tinca"), ("crane",)]}, ["tench", "crane"]),
            ({"class_to_idx": {"dog": 1, "cat": 0}, "classes": ["dog", "cat"]}, ["cat", "dog"]),
            ({"class_to_idx": {"dog": 2, "cat": 1}, "classes": ["cat", "dog"]}, None),
            ({"class_to_idx": {"a": 0, "b": 0}, "classes": [("a", "b")]}, ["a"]),
            ({"class_to_idx": {"a": None, "b": []}}, None),
            ({"classes": 5}, None),
            ({"classes": [1, 2]}, None),
            ({"datasets": [Loader(0), Loader(1)]}, CLASSES),
            ({}, None),
        ],
    )
    def test_names_of_classes_are_by_the_labels_own_indices(
        self, attributes: dict[str, Any], names: list[str] | None
    ) -> None:
        assert class_names_of(type("Data", (), attributes)()) == names
