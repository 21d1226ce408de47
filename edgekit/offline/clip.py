"""Recorded clips: what a camera showed, pixel for pixel, and what was answered.

A clip is an ordinary tar of ordinary files, written from front to back, so that any tool opens it
and a power failure costs its end only:

    clip.json         by what it was recorded
    000000000.json    a frame: number, time, hash of the model's input, what was answered
    000000000.png     its pixels
    …
    end.json          how many frames there are; absent when it was cut off

Until it is finished it carries `.part` behind its name.
"""

import hashlib
import os
import tarfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgekit.errors import ImageError, SourceError
from edgekit.files import Layout, decode_json
from edgekit.inference.frame import Frame, FrameRecord
from edgekit.model.geometry import Geometry
from edgekit.offline.clip_output import ClipFile, ClipOutput
from edgekit.vision.headers import TruncatedError, UnsupportedError, kind_of, png_header
from edgekit.vision.pictures import decode_image
from edgekit.vision.video_file import DamageError
from edgekit.vision.view import ViewSettings

SCHEMA = 1
# Of a clip of whose frames the model saw a region. Who does not know of regions reads all others,
# and not these, for it would let the model see the whole.
_WITH_REGION = 2
_HEADER, _END = "clip.json", "end.json"
_BLOCK = 512
# Two blocks of zeros end a tar.
_TRAILER = bytes(2 * _BLOCK)
# What the end needs: its member and the trailer.
_RESERVED = 8 * _BLOCK
# Of a frame: 8192 x 8192, which take 200 MB. A small file can claim to hold any number.
MAXIMUM_PIXELS = 1 << 26
# Bytes of such a frame as PNG, and of what is said about one.
MAXIMUM_PNG, _MAXIMUM_JSON = 1 << 28, 1 << 20


class ClipHeader(msgspec.Struct, frozen=True):
    """By what a clip was recorded.

    Attributes:
        schema: version of this layout.
        created: RFC 3339 in UTC.
        device, source: names.
        model, model_sha256: the model file's name, and the SHA-256 of its bytes.
        runtime, accelerator: what ran it.
        geometry: how frames became the model's input.
        decision: the settings that made labels of scores, as in a configuration file.
        versions: of the packages that took part.
        view: how its frames were turned and masked, which they are already, and where in them the
            model looked.
    """

    schema: int
    created: str
    device: str
    source: str
    model: str
    model_sha256: str
    runtime: str
    accelerator: str
    geometry: Geometry
    decision: dict[str, Any]
    versions: dict[str, str]
    view: ViewSettings = ViewSettings()


def schema_of(view: ViewSettings) -> int:
    """The version of the layout that clips with such a view have."""
    return _WITH_REGION if view.region else SCHEMA


def hash_input(tensor: NDArray[np.uint8]) -> str:
    """SHA-256 of an input tensor's bytes, in hexadecimal."""
    return hashlib.sha256(np.ascontiguousarray(tensor).data).hexdigest()


class ClipWriter:
    """Writes a clip: the header at once, then a frame at a time.

    Args:
        output: the file to write, or where else its bytes go: the header is appended as one
            piece, and so is each frame.
        header: its header.

    Attributes:
        frames: number of frames written.

    Raises:
        OutputError: there is a file already, or it cannot be written.
    """

    def __init__(self, output: Path | ClipOutput, header: ClipHeader) -> None:
        self.frames = 0
        self._output = ClipFile(output) if isinstance(output, Path) else output
        try:
            self._output.append(_member(_HEADER, msgspec.json.encode(header)))
        except BaseException:
            self._output.close()
            raise

    def size_with(self, png: bytes) -> int:
        """Bytes of the finished clip with one more frame, in about."""
        return self._output.size + len(png) + 4 * _BLOCK + _RESERVED

    def write(self, record: FrameRecord, png: bytes) -> None:
        """Append a frame.

        Raises:
            OutputError: the disk is full or broken; what was written before stays whole.
        """
        name = f"{self.frames:09}"
        record = msgspec.structs.replace(record, crc32=zlib.crc32(png))
        self._output.append(
            _member(f"{name}.json", msgspec.json.encode(record)) + _member(f"{name}.png", png)
        )
        self.frames += 1

    def sync(self) -> None:
        """Have the disk keep what was written, whatever happens to the power.

        Raises:
            OutputError: it does not.
        """
        self._output.sync()

    def finish(self) -> None:
        """Write the end; a file gets its name.

        Raises:
            OutputError: that fails; the `.part` file stays, and replays.
        """
        self._output.append(_member(_END, msgspec.json.encode({"frames": self.frames})) + _TRAILER)
        self._output.finish()

    def close(self) -> None:
        """Leave a `.part` file as it is; one without a frame is removed."""
        self._output.close()


def _member(name: str, content: bytes) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), 0o644
    padding = bytes(-len(content) % _BLOCK)
    return b"".join((info.tobuf(tarfile.USTAR_FORMAT), content, padding))


def is_clip(path: Path) -> bool:
    """Whether a file is a clip, finished or not, whatever its name."""
    try:
        if not path.is_file():  # A pipe would be waited for.
            return False
        with path.open("rb") as file:
            block = file.read(_BLOCK)
    except OSError:
        return False
    return block.startswith(_HEADER.encode() + b"\0") and block[257:262] == b"ustar"


class Clip:
    """Reads a clip, frame by frame; memory use does not grow.

    Args:
        path: the clip, finished or not.

    Attributes:
        header: its header.
        size: of the file, in bytes.
        cut: what is amiss with its end, in words, once the frames have been read; None for nothing.

    Raises:
        SourceError: it is not a clip, or of a later layout, or its header is damaged, or it cannot
            be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cut: str | None = None
        if not is_clip(path):
            raise SourceError(f"{path} is not a clip; record one with edgekit record")
        try:
            self.size = path.stat().st_size
            with path.open("rb") as file:
                content = _next(file)
        except OSError as error:
            raise self._unreadable(error) from error
        if content is None:
            raise SourceError(f"the clip {path} is cut off before its first frame")
        try:
            if decode_json(content[1], Layout).schema > _WITH_REGION:
                raise SourceError(
                    f"the clip {path} was recorded by a later edgekit; install that one"
                )
            self.header = decode_json(content[1], ClipHeader)
        except ValueError as error:
            raise SourceError(f"the clip {path} has a damaged header: {error}") from error

    def __iter__(self) -> Iterator[Frame]:
        """The frames, up to the end or to where it was cut off.

        Their `progress` is in bytes, up to `size`.

        Raises:
            SourceError: there is none, or the file cannot be read.
        """
        count, seconds, reason, self.cut = 0, 0.0, "", None
        try:
            with self.path.open("rb") as file:
                _next(file)
                while (member := _next(file)) is None or member[0] != _END:
                    record, pixels = _frame(member, _next(file))
                    yield Frame(
                        record.number,
                        pixels,
                        record.time,
                        captured=time.monotonic(),
                        position=count,
                        stretch=record.stretch,
                        record=record,
                        progress=file.tell(),
                        region=self.header.view.looks_at,
                        view=self.header.view,
                    )
                    count, seconds = count + 1, record.time
            self.cut = _lost(member[1], count)
        except DamageError as damage:
            reason = str(damage)
            self.cut = f"cut off after {count} frames, at {seconds:.1f} s{reason}"
        except OSError as error:
            raise self._unreadable(error) from error
        if not count:
            raise SourceError(f"the clip {self.path} has no frames{reason}")

    def _unreadable(self, error: OSError) -> SourceError:
        return SourceError(f"cannot read the clip {self.path}: {error.strerror or error}")


class _End(msgspec.Struct, frozen=True):
    """How many frames there are."""

    frames: int


def _lost(content: bytes, count: int) -> str | None:
    """What a clip's end says is amiss, where it has `count` frames; None for nothing."""
    try:
        frames = decode_json(content, _End).frames
    except ValueError:
        return f"its end is damaged, behind {count} frames"
    return None if frames == count else f"its end counts {frames} frames, and {count} are there"


def _next(file: BinaryIO) -> tuple[str, bytes] | None:
    """Name and content of the next member; None where it is not whole, or there is none."""
    try:
        info = tarfile.TarInfo.frombuf(file.read(_BLOCK), "ascii", "replace")
    except tarfile.HeaderError:
        return None
    maximum = MAXIMUM_PNG if info.name.endswith(".png") else _MAXIMUM_JSON
    # In a damaged one it may well be negative.
    if not 0 <= info.size <= min(maximum, os.fstat(file.fileno()).st_size):
        return None
    content = file.read(info.size)
    file.seek(-info.size % _BLOCK, os.SEEK_CUR)
    return (info.name, content) if len(content) == info.size else None


def _frame(
    member: tuple[str, bytes] | None, picture: tuple[str, bytes] | None
) -> tuple[FrameRecord, NDArray[np.uint8]]:
    """Record and pixels of a frame's two members.

    Raises:
        DamageError: they are not there, damaged, or larger than a frame can be; the message says
            the latter, behind a colon.
    """
    if member is None or picture is None:
        raise DamageError
    png = picture[1]
    try:
        record = decode_json(member[1], FrameRecord)
        if zlib.crc32(png) != record.crc32 or kind_of(png) != "PNG":
            raise DamageError
        header = png_header(png)
        if header.width * header.height > MAXIMUM_PIXELS:
            raise DamageError(
                f": the next has {header.width}x{header.height} pixels, and {MAXIMUM_PIXELS} are "
                "the maximum"
            )
        return record, decode_image(png, picture[0])
    except (ValueError, TruncatedError, UnsupportedError, ImageError) as error:
        raise DamageError from error
