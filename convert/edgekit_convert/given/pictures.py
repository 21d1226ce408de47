"""Pictures that a user gave in Python, prepared as those of folders are."""

import hashlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import DatasetError
from edgekit.model.geometry import Geometry
from edgekit.model.labels import Notify, ignore
from edgekit.model.manifest import Normalization
from edgekit.vision.notes import Notes
from edgekit.vision.preprocess import prepare
from edgekit_convert.given.about import (
    augmentations_of,
    class_names_of,
    crop_of,
    file_of,
    normalization_of,
)
from edgekit_convert.given.decode import Decoded, decode
from edgekit_convert.given.items import Item
from edgekit_convert.given.labels import LabelReader
from edgekit_convert.given.reading import Reading, find_reading
from edgekit_convert.given.sources import Numbered, find_source
from edgekit_convert.pictures import MAXIMUM_CALIBRATION, Pictures, Thinned, evenly_spread

# Pictures that are looked at before anything slow.
_SAMPLE = 16
_PIXELS = 1 << 16  # of each, at most
_FLAT = 1.0  # standard deviation of pixels
_AUGMENTED = (
    "its transform changes pictures at random ({}), unlike a camera; give the data set with the "
    "transform of its validation"
)
# Crops that are the same, but for whole pixels.
_ALIKE = 0.01
_CROPPED = (
    "its transform keeps {0:.3g} of a picture's shorter side, and the model is to show the network "
    "another part of a camera's frame; convert it with crop={0:.3g}"
)
_SQUEEZED = (
    "its transform squeezes pictures into a square, where a camera's frames are cropped to one; of "
    "pictures that are no squares the network sees others than it was trained on"
)
_AT_SIZE = (
    "its pictures have the model's size already, so whether the network was trained at another is "
    "not looked into"
)


class Picture(NamedTuple):
    """A picture that was given.

    Attributes:
        number: its place, from 0.
        name: of its file, or its number in words.
        pixels: (H, W, 3) uint8, RGB.
        prepared: whether it may be what the network is fed with: an array, a tensor, or a picture
            that a transform has resized.
        label: what it came with; None for nothing.
    """

    number: int
    name: str
    pixels: NDArray[np.uint8]
    prepared: bool
    label: Any


class _Loaded(NamedTuple):
    """A picture's name, its input tensor, the hash of its pixels, and its class."""

    name: str
    tensor: NDArray[np.uint8]
    digest: bytes
    truth: int | None


class GivenPictures:
    """Pictures that a user has in Python.

    Args:
        data: an array or tensor (N, H, W, 3) or (N, 3, H, W); a list of pictures, of paths, or of
            either with labels; a tuple of pictures and labels; a data set; a loader; or anything
            that gives these one after another.
        option: what they are for: `calibration` or `evaluate`.

    Raises:
        DatasetError: it is none of these.
    """

    def __init__(self, data: Any, option: str) -> None:
        self.name = option
        self._source = find_source(data, option)
        self._reading: Reading | None = None
        self._crop = crop_of(self._source.data)
        self._sizes: set[tuple[int, int] | None] = set()

    @property
    def class_names(self) -> list[str] | None:
        """Names of the classes, by the labels' own indices, where the data set says them."""
        return class_names_of(self._source.data)

    @property
    def length(self) -> int | None:
        """How many there are; None where that is not known."""
        return self._source.length

    def is_same(self, other: "GivenPictures") -> bool:
        """Whether another is the very same object, or the same data set in other loaders."""
        return self._source.data is other._source.data

    def check(self, normalization: Normalization) -> None:
        """Look at the first pictures, before anything slow.

        Args:
            normalization: of the conversion.

        Raises:
            DatasetError, ImageError: there are none, or they are not what a network is fed with.
        """
        if self._sizes:
            return
        sample = self._source.sample(_SAMPLE)
        if not sample:
            raise DatasetError(f"{self.name} holds no pictures")
        if len(sample) == 1 and self.name == "calibration":
            raise DatasetError("calibration is one picture, which is too few; give 100 to 500")
        sizes, floats = set(), []
        for number, item in sample:
            found = decode(item.picture, f"{self.name}: picture {number}", Notes())
            sizes.add(found.size if self._is_prepared(found) else None)
            if not found.raw:
                values = found.values.reshape(3, -1)
                floats.append(values[:, :: max(1, values.shape[1] // _PIXELS)])
        if floats:
            of_loader = normalization_of(self._source.data)
            self._reading = find_reading(floats, normalization, of_loader, self.name)
        self._sizes = sizes

    def read(
        self, notes: Notes, limit: int | None = None, wanted: Callable[[int], bool] | None = None
    ) -> Iterator[Picture]:
        """The pictures, at the size that they have; `check` comes first.

        Args:
            notes: what is to be known about them.
            limit: how many are asked for; a stream gives all.
            wanted: whether to look at a number at all.

        Raises:
            DatasetError, ImageError: one cannot be had, or is not what the first ones are.
        """
        for number, item in self._source.read(limit):
            if wanted is None or wanted(number):
                yield self._read(number, item, notes)
        if self._reading is not None and self._reading.note:
            notes.tell(self._reading.note)
        if augmentations := augmentations_of(self._source.data):
            notes.tell(_AUGMENTED.format(", ".join(augmentations)))
        for note in self._source.notes:
            notes.tell(note)

    def load(
        self,
        geometry: Geometry,
        normalization: Normalization,
        advance: Callable[[int], None],
        labels: Sequence[str] | None = None,
        notify: Notify = ignore,
    ) -> Pictures:
        """Prepare the pictures: all, with labels, or `MAXIMUM_CALIBRATION` of them without.

        An array or tensor of the model's size is taken as it is.

        Args:
            geometry: the model's input geometry.
            normalization: of the conversion.
            advance: called with the number of pictures read since.
            labels: the model's class names, where labels are to be read.
            notify: called with a line about what was guessed.

        Raises:
            DatasetError, ImageError: a picture cannot be read, or has no label that fits.
        """
        self.check(normalization)
        reader, limit = None, MAXIMUM_CALIBRATION
        if labels is not None:
            reader, limit = LabelReader(labels, self.class_names, self.name, notify), sys.maxsize
        notes = Notes("" if reader or not self._is_at(geometry) else _AT_SIZE)
        if self._crop is not None and abs(self._crop - geometry.crop) > _ALIKE:
            notes.tell(_CROPPED.format(self._crop) if self._crop else _SQUEEZED)
        kept = Thinned[_Loaded](limit)
        for picture in self.read(notes, None if reader else limit, kept.wanted):
            where = f"{self.name}: picture {picture.number}"
            index = reader.index(picture.label, where) if reader else None
            tensor = self._prepared(picture, geometry, notes)
            kept.add(_Loaded(picture.name, tensor, _digest(picture.pixels), index))
            advance(1)
        names, tensors, digests, truth = zip(*kept.evenly(), strict=True)
        self._check_telling(tensors, digests, notes)
        found = self._truth(truth, notes) if reader else None
        return Pictures(
            np.concatenate(tensors),
            list(names),
            hashlib.sha256(b"".join(sorted(digests))).hexdigest(),
            found,
            tuple(notes.lines),
        )

    def untouched(
        self, geometry: Geometry, chosen: NDArray[np.intp]
    ) -> Iterable[NDArray[np.uint8]] | None:
        """Some of the loaded calibration pictures once more, before any resizing.

        Args:
            geometry: the model's input geometry.
            chosen: their places among those that were loaded.

        Returns:
            pictures (H, W, 3) uint8; None where there are no others than the prepared ones: they
            came at the model's size, or from a stream, which gives each once.
        """
        source = self._source
        if not isinstance(source, Numbered) or self._is_at(geometry):
            return None
        numbers = evenly_spread(source.length, MAXIMUM_CALIBRATION)[chosen]
        return (self._read(int(n), source.get(int(n)), Notes()).pixels for n in numbers)

    def _is_prepared(self, decoded: Decoded) -> bool:
        return decoded.tensor or self._crop is not None

    def _is_at(self, geometry: Geometry) -> bool:
        """Whether the pictures came at the model's size, as a loader makes them."""
        return self._sizes == {(geometry.height, geometry.width)}

    def _read(self, number: int, item: Item, notes: Notes) -> Picture:
        where = f"{self.name}: picture {number}"
        decoded = decode(item.picture, where, notes)
        # A copy: a generator may write its next picture into the same memory.
        pixels = np.array(self._pixels(decoded, where).transpose(1, 2, 0), order="C")
        return Picture(
            number, self._name(number, item), pixels, self._is_prepared(decoded), item.label
        )

    def _pixels(self, decoded: Decoded, where: str) -> NDArray[np.uint8]:
        if decoded.raw:
            return decoded.values
        if self._reading is None:
            raise DatasetError(
                f"{where} is floating-point, and the first pictures were not; give one kind"
            )
        return self._reading.pixels(decoded.values, where)

    def _name(self, number: int, item: Item) -> str:
        file = file_of(self._source.data, number) if isinstance(self._source, Numbered) else None
        if file is None and isinstance(item.picture, (str, os.PathLike)):
            file = os.fspath(item.picture)
        what = "evaluation" if self.name == "evaluate" else self.name
        return file or f"{what} {number}"

    def _prepared(self, picture: Picture, geometry: Geometry, notes: Notes) -> NDArray[np.uint8]:
        """The model's input, (1, height, width, 3)."""
        height, width = picture.pixels.shape[:2]
        if picture.prepared and (height, width) == (geometry.height, geometry.width):
            if geometry.crop < 1:
                notes.count("at the model's size are taken as they are, and not cropped again")
            return picture.pixels[np.newaxis]
        if picture.prepared:
            notes.count(
                f"of {width}x{height} pixels are resized to {geometry.width}x{geometry.height} as "
                "a camera's frames are"
            )
        return prepare(picture.pixels, geometry)

    def _check_telling(
        self, tensors: Sequence[NDArray[np.uint8]], digests: Sequence[bytes], notes: Notes
    ) -> None:
        """Tell pictures that show nothing, or show the same again; refuse nothing but those."""
        flat = sum(float(one.std(axis=(0, 1, 2)).max()) < _FLAT for one in tensors)
        if flat == len(tensors):
            raise DatasetError(f"every picture of {self.name} is of one colour; see to what it is")
        if len(digests) > 1 and len(set(digests)) == 1:
            raise DatasetError(f"all {len(digests)} pictures of {self.name} are the same one")
        if flat:
            notes.tell(f"{flat} of {len(tensors)} pictures are of one colour")
        if again := len(digests) - len(set(digests)):
            notes.tell(f"{again} of {len(digests)} pictures are there more than once")

    def _truth(self, indices: Sequence[int | None], notes: Notes) -> NDArray[np.int64] | None:
        known = [index for index in indices if index is not None]
        if not known:
            notes.tell("its pictures have no labels, so that no accuracy is measured")
        if known and len(known) < len(indices):
            first = indices.index(None)
            raise DatasetError(
                f"{self.name}: {len(indices) - len(known)} of {len(indices)} pictures have no "
                f"label, the first is picture {first}; give all of them one, or none"
            )
        return np.array(known, np.int64) if known else None


def _digest(pixels: NDArray[np.uint8]) -> bytes:
    """Of a picture's shape and pixels: the same for the same picture, whichever way it came."""
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).digest()
