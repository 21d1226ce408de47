"""A model file, evaluated on what is in memory as on a folder."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from edgekit_convert.given.evaluation import evaluate, framed, labelled_pictures
from edgekit_convert.weights.torchvision_shim import import_torchvision
from edgekit_convert.weights.trained import normalize
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.utils.data import DataLoader, TensorDataset

from edgekit.errors import DatasetError
from edgekit.model.geometry import Geometry
from edgekit.offline import folder_evaluation
from edgekit.vision.preprocess import prepare
from tests.convert.given.helpers import CLASSES, IMAGENET, LABELS, PIXELS, TENSORS
from tests.convert.toys import noise
from tests.tiny import COLOURS, tiny_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tiny_model(tmp_path / "tiny.tflite")


def _coloured(count: int, size: int) -> tuple[Any, Any]:
    """Pictures, each a little more of one colour, with the next colour for every fifth's label."""
    pictures = noise(count, size, size, 3) // 2
    colours = np.arange(count) % 3
    for picture, colour in zip(pictures, colours, strict=True):
        picture[..., colour] += 40
    return pictures, (colours + (np.arange(count) % 5 == 0)) % 3


def test_a_data_set_is_as_its_folder(model: Path, tmp_path: Path) -> None:
    for number, (picture, label) in enumerate(zip(*_coloured(15, 11), strict=True)):
        (tmp_path / "pictures" / COLOURS[label]).mkdir(parents=True, exist_ok=True)
        file = tmp_path / "pictures" / COLOURS[label] / f"{number}.png"
        cv2.imwrite(str(file), picture[..., ::-1])
    data = import_torchvision().datasets.ImageFolder(tmp_path / "pictures")
    told: list[str] = []
    found = evaluate(model, data, notify=told.append)
    known = folder_evaluation.evaluate(model, tmp_path / "pictures")
    assert found.counts == known.counts
    assert (found.top1.hits, found.top1.count) == (12, 15)
    assert [one.picture for one in found.mistakes] == [one.picture for one in known.mistakes]
    # ImageFolder's order is the alphabet's, and the model's is another.
    assert "matched to the model's by name" in told[-1]
    assert evaluate(model, tmp_path / "pictures").counts == known.counts


def test_tensors_are_turned_back(model: Path) -> None:
    pictures, labels = _coloured(15, 8)
    values = torch.from_numpy(normalize(pictures, IMAGENET))
    loader = DataLoader(TensorDataset(values, torch.from_numpy(labels)), batch_size=4)
    progress: list[Any] = []
    found = evaluate(model, loader, progress=lambda *step: progress.append(step))
    known = folder_evaluation.evaluate(model, list(zip(pictures, labels, strict=True)))
    assert found.counts == known.counts
    assert progress[-1] == ("evaluating", 15, 15)


def test_class_offsets_are_added(model: Path) -> None:
    pictures, _ = _coloured(4, 8)
    found = evaluate(model, (pictures, [0, 1, 0, 1]), class_offset=1)
    assert {truth for truth, _ in found.counts} == {"green", "blue"}
    with pytest.raises(DatasetError, match="the label 2, where the classes are from 0 to 1"):
        evaluate(model, (pictures, [0, 1, 0, 2]), class_offset=1)


def test_a_picture_without_a_label_is_neither_right_nor_wrong(model: Path) -> None:
    with pytest.raises(DatasetError, match="evaluate: picture 0 has no label"):
        evaluate(model, _coloured(4, 8)[0])


def test_notes_and_names_come_along() -> None:
    grey = [(Image.fromarray(one).convert("L"), 0) for one in PIXELS]
    found = labelled_pictures(grey, CLASSES, Geometry(32, 32), IMAGENET)
    assert [picture.name for picture in found][:2] == ["evaluation 0", "evaluation 1"]
    assert found.notes == ["12 pictures of the mode L, converted to RGB"]


def test_tensors_of_the_models_size_are_not_cropped_again() -> None:
    geometry = Geometry(32, 32, crop=0.875)
    found = list(labelled_pictures(TENSORS, CLASSES, geometry, IMAGENET))
    assert [picture.truth for picture in found] == LABELS.tolist()
    for picture, pixels in zip(found, PIXELS, strict=True):
        assert np.array_equal(prepare(picture.pixels, geometry)[0], pixels)


@settings(deadline=None)
@given(st.integers(32, 400), st.floats(0.3, 1))
def test_the_models_crop_gives_back_what_was_framed(size: int, crop: float) -> None:
    geometry = Geometry(size, size, crop)
    picture = noise(size, size, 3)
    assert np.array_equal(prepare(framed(picture, geometry), geometry)[0], picture)
