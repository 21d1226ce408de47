"""A frame, live or recorded, and what a recording says about it."""

from typing import Annotated, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgekit.model.geometry import Geometry
from edgekit.vision.preprocess import prepare
from edgekit.vision.view import Region, ViewSettings

# What no recording reaches, and what is computed with times does not overflow at.
_LONGEST = 1e9  # seconds, thirty years
_LAST = 2**53


class FrameRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a clip says about a frame and its answer.

    Attributes:
        number: in its source, from 0; those of dropped frames are skipped.
        time: seconds since the recording's start, never less than that of the frame before.
        stretch: counts from 0, and on whenever frames were left out on purpose.
        input_sha256: of the tensor that the interpreter got.
        label, score: what was decided, and its smoothed score.
        scores: the model's own best classes and their scores, best first.
        event: kind of the event it gave, if any.
        crc32: of the PNG file that follows.
    """

    number: Annotated[int, msgspec.Meta(ge=0, le=_LAST)]
    time: Annotated[float, msgspec.Meta(ge=-_LONGEST, le=_LONGEST)]
    stretch: Annotated[int, msgspec.Meta(ge=0, le=_LAST)]
    input_sha256: str
    label: str
    score: float
    scores: list[tuple[str, float]]
    event: str | None = None
    crc32: int = 0


class Frame(NamedTuple):
    """A frame and when it was seen; then its tensor, where that was made ahead of time; then what
    only a recording knows.

    Attributes:
        number: in its source, from 0; those of dropped frames are skipped.
        pixels: (H, W, 3) uint8, RGB.
        time: seconds, never less than that of the frame before: in a recording from its start, of
            a live source on the monotonic clock.
        captured: when the source gave it, on the monotonic clock, in seconds.
        geometry: what `tensor` was made for.
        tensor: (1, height, width, 3) uint8, the model's input.
        position: its place in the recording, from 0; of a live source, its number.
        stretch: counts on when frames before this one were left out of a clip.
        record: what a clip says about it.
        input_differs: whether `tensor` is another one than the clip's model got.
        progress: how far into the recording it is, up to `Recording.length`.
        region: where in it the model looks; None for the whole of it.
        view: by which `pixels` were turned and masked, and the region chosen.
    """

    number: int
    pixels: NDArray[np.uint8]
    time: float
    captured: float
    geometry: Geometry | None = None
    tensor: NDArray[np.uint8] | None = None
    position: int = 0
    stretch: int = 0
    record: FrameRecord | None = None
    input_differs: bool = False
    progress: int = 0
    region: Region | None = None
    view: ViewSettings = ViewSettings()

    def prepared_for(self, geometry: Geometry) -> "Frame":
        """The frame with the tensor that a model of this geometry takes."""
        return self._replace(geometry=geometry, tensor=prepare(self.pixels, geometry, self.region))
