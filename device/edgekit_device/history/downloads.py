"""A part of a history as one file, made piece by piece as it is fetched.

Each piece reads by itself: a slow download keeps nobody from writing.
"""

import json
import time
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, TypeVar, cast

from edgekit.errors import ImageError, SourceError
from edgekit.files import decode_json
from edgekit.inference.events import Event
from edgekit.inference.frame import FrameRecord
from edgekit.offline.clip import ClipHeader, ClipWriter, hash_input
from edgekit.vision.encode import encode_png
from edgekit.vision.pictures import decode_image
from edgekit.vision.preprocess import prepare
from edgekit_device.history.reader import Kept, Reader
from edgekit_device.history.times import rfc3339

_T = TypeVar("_T")
# The first day that a zip can name.
_FIRST_DAY = 315_532_800_000


def as_zip(folder: Path, seqs: Sequence[int]) -> Iterator[bytes]:
    """Events with their pictures as a zip: `ID.jpg` of each, and `events.json`.

    What is removed from the history meanwhile is left out.

    Args:
        folder: of the history.
        seqs: `Kept.seq` of the events.

    Raises:
        SourceError: the history cannot be read any more, or is damaged.
    """
    pieces = _Pieces()
    events: list[dict[str, Any]] = []
    # What is one file already is stored as it is; its end says what is in it.
    with zipfile.ZipFile(cast("IO[bytes]", pieces), "w", zipfile.ZIP_STORED) as archive:
        for seq in seqs:
            with Reader(folder) as reader:
                kept = reader.by_seq(seq)
                jpeg = reader.picture(seq)
            if kept is None:
                continue
            events.append(shown(kept))
            if jpeg is not None:
                archive.writestr(_entry(f"{kept.id}.jpg", kept.at), jpeg)
                yield pieces.take()
        text = json.dumps({"events": events, "left_out": len(seqs) - len(events)}, indent=1)
        archive.writestr(_entry("events.json", round(1000 * time.time())), text)
    yield pieces.take()


def as_clip(folder: Path, seqs: Sequence[int], header: ClipHeader) -> Iterator[bytes]:
    """Kept pictures as a clip, which `edgekit replay` reads; each is a stretch of its own.

    Its pixels are those of the JPEG. A picture that is damaged, and what is removed from the
    history meanwhile, is left out.

    Args:
        folder: of the history.
        seqs: `Kept.seq` of events with a picture, oldest first.
        header: of the clip.

    Raises:
        SourceError: the history cannot be read any more.
    """
    pieces = _Pieces()
    writer = ClipWriter(pieces, header)
    begin: int | None = None
    seconds = 0.0
    for seq in seqs:
        with Reader(folder) as reader:
            kept = reader.by_seq(seq)
            jpeg = reader.picture(seq)
        if kept is None or jpeg is None:
            continue
        try:
            pixels = decode_image(jpeg, kept.id)
        except ImageError:
            continue
        begin = kept.at if begin is None else begin
        # A clock that was put back: times in a clip never go back.
        seconds = max(seconds, (kept.at - begin) / 1000)
        tensor = prepare(pixels, header.geometry, header.view.looks_at)
        record = _record(kept, seconds, writer.frames, hash_input(tensor))
        writer.write(record, encode_png(pixels))
        yield pieces.take()
    writer.finish()
    yield pieces.take()


def shown(kept: Kept, wrong: str | None = None) -> dict[str, Any]:
    """An event as clients get it: whether its picture is kept, what the model saw, if corrected.

    Raises:
        SourceError: it is damaged.
    """
    event = _decoded(kept, dict[str, Any])
    event.pop("picture", None)
    if kept.sees is not None:
        event |= {"picture": True, "view": list(kept.sees)}
    if wrong is not None:
        event["wrong"] = wrong
    return event


def _decoded(kept: Kept, kind: type[_T]) -> _T:
    try:
        return decode_json(kept.event.encode(), kind)
    except ValueError as error:
        raise SourceError(f"the event {kept.id} of the history is damaged: {error}") from error


def _entry(name: str, at: int) -> zipfile.ZipInfo:
    moment = rfc3339(max(at, _FIRST_DAY))
    year, month, day = (int(part) for part in moment[:10].split("-"))
    hour, minute, second = (int(part) for part in moment[11:19].split(":"))
    entry = zipfile.ZipInfo(name, (min(year, 2107), month, day, hour, minute, second))
    entry.external_attr = 0o600 << 16
    return entry


def _record(kept: Kept, seconds: float, stretch: int, input_sha256: str) -> FrameRecord:
    event = _decoded(kept, Event)
    return FrameRecord(
        number=event.frame,
        time=seconds,
        stretch=stretch,
        input_sha256=input_sha256,
        label=event.label,
        score=event.score,
        scores=[(best.label, best.score) for best in event.labels],
        event=event.event,
    )


class _Pieces:
    """Takes what is written, until it is fetched; as a file for zip, and as where a clip goes."""

    def __init__(self) -> None:
        self.size = 0
        self._bytes = bytearray()

    def take(self) -> bytes:
        """What was written since the last time."""
        piece = bytes(self._bytes)
        self._bytes.clear()
        return piece

    def write(self, data: bytes) -> int:
        self._bytes += data
        self.size += len(data)
        return len(data)

    def append(self, data: bytes) -> None:
        self.write(data)

    def flush(self) -> None: ...

    def sync(self) -> None: ...

    def finish(self) -> None: ...

    def close(self) -> None: ...
