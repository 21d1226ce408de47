"""The evaluation of a model file on whatever a conversion takes its pictures from."""

import contextlib
import math
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import DatasetError
from edgekit.files import StrPath
from edgekit.inference.classifier import Classifier
from edgekit.model.container import read_model
from edgekit.model.geometry import Geometry
from edgekit.model.labels import Notify, ignore
from edgekit.model.manifest import Normalization
from edgekit.offline import folder_evaluation
from edgekit.offline.folder_evaluation import Progress
from edgekit.offline.folder_figures import FolderEvaluation
from edgekit.offline.labelled_pictures import LabelledPicture, LabelledPictures
from edgekit.vision.notes import Notes
from edgekit_convert.given.labels import LabelReader
from edgekit_convert.given.pictures import GivenPictures
from edgekit_convert.weights.imagenet import IMAGENET_MEAN, IMAGENET_STD

_OPTION = "evaluate"


def evaluate(
    model: StrPath | Classifier,
    pictures: Any,
    *,
    compare: StrPath | Classifier | None = None,
    class_offset: int = 0,
    max_pictures: int = 100,
    notify: Notify = ignore,
    progress: Progress | None = None,
) -> FolderEvaluation:
    """Measure how right a model is on labelled pictures, which are answered as on the device.

    As `edgekit.evaluate`, of whatever a conversion takes its pictures from.

    Args:
        model: a model file; or an open one, which stays open.
        pictures: a folder, or labelled pictures in Python, as `edgekit_convert.convert` takes them.
        compare: a second model with the same classes, in whatever order.
        class_offset: added to each class index; 1 for models whose class 0 is 'background'.
        max_pictures: so many mistakes, and differences of two models, are kept with their pictures.
        notify: called with each line about what was guessed, is missing or is left out.
        progress: called with a title, the number of pictures done, and that of all, None where it
            is not known.

    Raises:
        EdgekitError: as `edgekit.offline.folder_evaluation.evaluate`, and as a conversion's check
            of the pictures.
    """
    with contextlib.ExitStack() as stack:
        if not isinstance(pictures, (str, os.PathLike, LabelledPictures)):
            if not isinstance(model, Classifier):
                model = Classifier(model)
                stack.callback(model.close)
            pictures = labelled_pictures(
                pictures, model.labels, model.geometry, _normalization(model), class_offset, notify
            )
            class_offset = 0
        return folder_evaluation.evaluate(
            model, pictures, compare=compare, class_offset=class_offset,
            max_pictures=max_pictures, notify=notify, progress=progress,
        )  # fmt: skip


def labelled_pictures(
    data: Any,
    labels: Sequence[str],
    geometry: Geometry,
    normalization: Normalization,
    class_offset: int = 0,
    notify: Notify = ignore,
) -> LabelledPictures:
    """Pictures in Python, as an evaluation reads those of a folder: one after another.

    Args:
        data: as `GivenPictures` takes it, with a label for each.
        labels: the model's class names.
        geometry: the model's; an array or tensor of its size is what the model gets.
        normalization: what floating-point pictures may be normalized with.
        class_offset: added to each class index, where the data set has no class names.
        notify: called with a line about what was guessed.

    Raises:
        DatasetError, ImageError: as `GivenPictures`; while they are read, also that one has no
            label that fits.
    """
    given = GivenPictures(data, _OPTION)
    given.check(normalization)
    own = given.class_names
    reader = LabelReader(labels, own, given.name, notify)
    offset = 0 if own else class_offset

    def read(notes: Notes) -> Iterator[LabelledPicture]:
        for picture in given.read(notes):
            where = f"{_OPTION}: picture {picture.number}"
            index = reader.index(picture.label, where, offset)
            if index is None:
                raise DatasetError(f"{where} has no label; without one nothing is right or wrong")
            pixels = picture.pixels
            if picture.prepared and pixels.shape[:2] == (geometry.height, geometry.width):
                pixels = framed(pixels, geometry)
            yield LabelledPicture(picture.name, pixels, index)

    return LabelledPictures(_OPTION, read, length=given.length)


def framed(pixels: NDArray[np.uint8], geometry: Geometry) -> NDArray[np.uint8]:
    """A frame of which the model's crop leaves a picture (height, width, 3) of its size."""
    borders = []
    for size in (geometry.height, geometry.width):
        border = max(0, round(size / geometry.crop) - size)
        borders.append((border // 2, math.ceil(border / 2)))
    return np.pad(pixels, (*borders, (0, 0)), mode="edge")


def _normalization(model: Classifier) -> Normalization:
    """What a model was trained with; ImageNet's where its file does not say."""
    manifest = read_model(model.path).manifest
    return manifest.normalization if manifest else Normalization(IMAGENET_MEAN, IMAGENET_STD)
