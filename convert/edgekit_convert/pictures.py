"""Calibration and evaluation pictures as input tensors."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import DatasetError, ImageError
from edgekit.model.geometry import Geometry
from edgekit.model.labels import Notify, ignore
from edgekit.offline.recording import Recording
from edgekit.vision.dataset import TABLE, class_folders, labelled_images
from edgekit.vision.folders import left_out, picture_folder
from edgekit.vision.notes import Notes
from edgekit.vision.pictures import is_image, read_image
from edgekit.vision.preprocess import cut, prepare
from edgekit.vision.view import Region, ViewSettings

_T = TypeVar("_T")

MAXIMUM_CALIBRATION = 500
_HELD_OUT = 0.2
# Of ten pictures one may differ by chance (`verify.fidelity.judge`); of fewer none may.
_MINIMUM_HELD_OUT, _MAXIMUM_HELD_OUT = 10, 100


@dataclass(frozen=True)
class Pictures:
    """Prepared pictures.

    Attributes:
        tensors: (N, H, W, 3) uint8, RGB.
        names: of the files, or of the frames of a video.
        sha256: over the sorted SHA-256 of the files they came from, or of their own pixels where
            they were given in Python, in hexadecimal.
        truth: class indices (N,), where the pictures have labels.
        notes: what of the files was left out or not used, a line each.
    """

    tensors: NDArray[np.uint8]
    names: list[str]
    sha256: str
    truth: NDArray[np.int64] | None = None
    notes: tuple[str, ...] = ()

    def of(self, chosen: NDArray[np.intp]) -> "Pictures":
        """Some of the pictures."""
        truth = None if self.truth is None else self.truth[chosen]
        names = [self.names[i] for i in chosen]
        return replace(self, tensors=self.tensors[chosen], names=names, truth=truth)


def _digest(files: Sequence[Path]) -> str:
    hashes = sorted(hashlib.sha256(file.read_bytes()).digest() for file in files)
    return hashlib.sha256(b"".join(hashes)).hexdigest()


def _read(
    files: Sequence[Path],
    folder: Path,
    geometry: Geometry,
    advance: Callable[[int], None],
    region: Region | None,
) -> Pictures:
    tensors, notes = [], Notes(left_out(folder), _of_region(region))
    for file in files:
        tensors.append(prepare(read_image(file, notes), geometry, region))
        advance(1)
    names = [str(file.relative_to(folder)) for file in files]
    return Pictures(np.concatenate(tensors), names, _digest(files), notes=tuple(notes.lines))


def _of_region(region: Region | None) -> str:
    return "" if region is None else f"of each picture the region {region} is used"


def evenly_spread(count: int, limit: int) -> NDArray[np.intp]:
    """Indices of all of `count` things, or of `limit` of them from the first to the last."""
    return np.linspace(0, count - 1, min(count, limit)).astype(np.intp)


class Thinned(Generic[_T]):
    """Things of a stream whose length is not known before its end, evenly spread over it.

    When too many are kept, every second one is dropped, and they are taken at twice the distance
    from then on.

    Args:
        limit: how many are wanted; up to twice as many are kept.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: list[_T] = []
        self._distance = 1

    def wanted(self, position: int) -> bool:
        """Whether to add what is at this place of the stream."""
        return position % self._distance == 0

    def add(self, thing: _T) -> None:
        """Keep what is at a place that is wanted."""
        self._kept.append(thing)
        if len(self._kept) == 2 * self._limit:
            self._kept = self._kept[::2]
            self._distance *= 2

    def evenly(self) -> list[_T]:
        """At most `limit` of the things, from the first to the last."""
        return [self._kept[i] for i in evenly_spread(len(self._kept), self._limit)]


def load_calibration(
    source: Path,
    geometry: Geometry,
    advance: Callable[[int], None],
    region: Region | None = None,
) -> Pictures:
    """Prepare the pictures of a folder, or the frames of a video.

    Of more than `MAXIMUM_CALIBRATION`, that many are taken, evenly spread.

    Args:
        source: image folder (searched in depth) or video file.
        geometry: the model's input geometry.
        advance: called with the number of pictures read since.
        region: what is used of each picture; by default the whole, and of a clip what its model
            looked at.

    Raises:
        ImageError, SourceError: nothing there, or a picture cannot be read.
    """
    if not source.exists():
        raise ImageError(f"no calibration pictures at {source}; name an image folder or a video")
    if source.is_dir():
        found = picture_folder(source).files
        files = [found[i] for i in evenly_spread(len(found), MAXIMUM_CALIBRATION)]
        return _read(files, source, geometry, advance, region)
    if is_image(source):
        raise ImageError(f"{source} is one picture; calibration needs a folder or a video of many")
    kept = Thinned[tuple[int, NDArray[np.uint8]]](MAXIMUM_CALIBRATION)
    recording = Recording(source, ViewSettings(region=region or ()))
    for frame in recording:
        if kept.wanted(frame.position):
            kept.add((frame.position, prepare(frame.pixels, geometry, frame.region)))
            advance(1)
    chosen = kept.evenly()
    tensors = np.concatenate([tensor for _, tensor in chosen])
    names = [_frame_name(source, number) for number, _ in chosen]
    notes = [*filter(None, [_of_region(recording.view.looks_at)]), *recording.notes]
    return Pictures(tensors, names, _digest([source]), notes=tuple(notes))


def untouched(
    source: Path, names: list[str], region: Region | None = None
) -> Iterator[NDArray[np.uint8]]:
    """Pictures (H, W, 3) uint8, RGB, of a calibration source once more, before any resizing.

    Args:
        source: as `load_calibration` takes it.
        names: as `load_calibration` gave them, in its order.
        region: as `load_calibration` took it; the pictures are cut to it.

    Raises:
        ImageError, SourceError: a picture cannot be read any more.
    """
    if source.is_dir():
        yield from (cut(read_image(source / name), region) for name in names)
        return
    for frame in Recording(source, ViewSettings(region=region or ())):
        if _frame_name(source, frame.position) in names:
            yield cut(frame.pixels, frame.region)


def _frame_name(source: Path, position: int) -> str:
    return f"{source.name}, frame {position}"


def load_evaluation(
    folder: Path,
    labels: list[str],
    geometry: Geometry,
    advance: Callable[[int], None],
    notify: Notify = ignore,
    region: Region | None = None,
) -> Pictures:
    """Prepare held-out pictures, with their labels where the folder has them.

    Args:
        folder: as `edgekit.vision.dataset.labelled_images` takes it, or pictures without labels.
        labels: the model's class names.
        geometry: the model's input geometry.
        advance: called with the number of pictures read since.
        notify: called with a line about what was guessed, is missing or is left out.
        region: what is used of each picture; the whole by default.

    Raises:
        DatasetError, ImageError: nothing there, or a picture cannot be read.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder} is not a folder of evaluation pictures")
    if not class_folders(folder) and not (folder / TABLE).is_file():
        return _read(picture_folder(folder).files, folder, geometry, advance, region)
    images = labelled_images(folder, labels, notify=notify)
    pictures = _read([image.path for image in images], folder, geometry, advance, region)
    truth = np.array([image.index for image in images])
    return replace(pictures, truth=truth)


def hold_out(pictures: Pictures, seed: int) -> tuple[Pictures, Pictures]:
    """Split calibration pictures at random: some to set ranges, the others to choose among them.

    The others are a fifth; ten, where that is no more than a quarter; never more than a hundred.

    Raises:
        ImageError: fewer than two pictures.
    """
    count = len(pictures.tensors)
    if count < 2:
        raise ImageError(
            "one calibration picture is too few; give 100 to 500 varied ones like those the "
            "camera will see"
        )
    enough = max(round(_HELD_OUT * count), min(_MINIMUM_HELD_OUT, count // 4), 1)
    held = min(_MAXIMUM_HELD_OUT, enough)
    order = np.random.default_rng(seed).permutation(count)
    return pictures.of(np.sort(order[held:])), pictures.of(np.sort(order[:held]))


def check_disjoint(calibration: Pictures, evaluation: Pictures) -> None:
    """Refuse to evaluate on pictures that the calibration has seen.

    Pictures are compared by the hash of their prepared tensors, so a copy under another name, in
    another lossless format or as a frame of a video is found too.

    Raises:
        DatasetError: names the first picture that both have, and counts them.
    """

    def hashes(pictures: Pictures) -> dict[bytes, str]:
        digests = (hashlib.sha256(tensor.tobytes()).digest() for tensor in pictures.tensors)
        return dict(zip(digests, pictures.names, strict=True))

    seen, held_out = hashes(calibration), hashes(evaluation)
    common = [key for key in held_out if key in seen]
    if common:
        raise DatasetError(
            f"{len(common)} evaluation pictures are calibration pictures too, the first is "
            f"{held_out[common[0]]} ({seen[common[0]]}); evaluate on pictures that were not used"
        )
