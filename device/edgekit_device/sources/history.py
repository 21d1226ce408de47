"""The pictures of a history, as a recording: `history:FOLDER`, or `history:FOLDER?label=cup`."""

import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl

from edgekit.errors import ImageError, SourceError
from edgekit.inference.frame import Frame
from edgekit.text import encodable
from edgekit.vision.pictures import decode_image
from edgekit.vision.turning import View
from edgekit.vision.view import ViewSettings
from edgekit_device.history.layout import FILE
from edgekit_device.history.reader import Reader, Span
from edgekit_device.history.times import milliseconds

_NARROWED = ("from", "to", "label")


class HistoryPictures:
    """The pictures that a history keeps, in the order in which they came; read again and again.

    They are turned and masked as they were seen then. Masks are applied all the same: there may be
    more of them now.

    Args:
        address: `history:FOLDER`, with `?from=TIME&to=TIME&label=LABEL` behind, or some of these.
        view: what is masked, and where in the pictures the model looks.

    Attributes:
        name: of the folder.
        folder: of the history.
        length: number of pictures.

    Raises:
        SourceError: there is no history, it cannot be read, or has no such pictures.
    """

    def __init__(self, address: str, view: ViewSettings | None = None) -> None:
        folder, _, query = address.removeprefix("history:").partition("?")
        self.folder = Path(folder)
        self.name = encodable(self.folder.resolve().name)
        self._left_out = 0
        self.look(view or ViewSettings())
        if not folder or not (self.folder / FILE).is_file():
            raise SourceError(f"no history at {self.folder}; name a folder with {FILE} in it")
        with Reader(self.folder) as reader:
            self._seqs = reader.pictures(_span(query))
        self.length = len(self._seqs)
        if not self._seqs:
            kind = " like that" if query else ""
            raise SourceError(f"the history {self.folder} has no pictures{kind}")

    @property
    def notes(self) -> list[str]:
        """What is to be known about its frames, a line each; complete once they were read."""
        notes = ["pictures of a history are JPEG, not pixel for pixel what the model saw"]
        if self._left_out:
            notes.append(f"{self._left_out} pictures are damaged, or were removed meanwhile")
        return notes

    def look(self, view: ViewSettings) -> None:
        """Take another view for the frames that are read from now on."""
        self._view = View(view)

    def __iter__(self) -> Iterator[Frame]:
        """The frames; their times are in seconds from the first."""
        self._left_out = 0
        begin, seconds, position = None, 0.0, 0
        for number, seq in enumerate(self._seqs, start=1):
            with Reader(self.folder) as reader:
                kept, jpeg = reader.by_seq(seq), reader.picture(seq)
            try:
                if kept is None or jpeg is None:
                    raise ImageError("it was removed")
                pixels = self._view.mask(decode_image(jpeg, kept.id))
            except ImageError:
                self._left_out += 1
                continue
            begin = kept.at if begin is None else begin
            # A clock that was put back: times of a recording never go back.
            seconds = max(seconds, (kept.at - begin) / 1000)
            yield Frame(
                position,
                pixels,
                seconds,
                captured=time.monotonic(),
                position=position,
                # Much happened between two of them that nobody kept.
                stretch=position,
                progress=number,
                region=self._view.region,
                view=self._view.settings,
            )
            position += 1


def _span(query: str) -> Span:
    values: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in _NARROWED or name in values or not value:
            raise SourceError(
                f"a history is narrowed by {', '.join(_NARROWED)}, each once, not by {name}={value}"
            )
        values[name] = value
    return Span(_time(values, "from"), _time(values, "to"), values.get("label"))


def _time(values: dict[str, str], name: str) -> int | None:
    try:
        return milliseconds(values[name]) if name in values else None
    except ValueError:
        raise SourceError(
            f"{name} is {values[name]}, and not a time like 2026-11-27T01:31:07Z (a + is %2B here)"
        ) from None
