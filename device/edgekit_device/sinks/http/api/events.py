"""`/api/events…`: the changes that are kept, their pictures, and what was wrong with them.

Without a history these are the last changes that are in memory. What reads the disk runs in
threads beside the server's own, few at once.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar

import anyio
import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from edgekit.errors import EdgekitError, LabelsError
from edgekit.inference.pipeline import Result
from edgekit.offline.clip import ClipHeader
from edgekit_device.config.settings import HistorySettings
from edgekit_device.history.corrections import folder_name
from edgekit_device.history.downloads import as_clip, as_zip, shown
from edgekit_device.history.reader import Kept, Reader, Span
from edgekit_device.history.times import milliseconds
from edgekit_device.pictures import marked_jpeg
from edgekit_device.sinks.clip.header import header_of
from edgekit_device.sinks.http.api.answers import Corrected, Done, Page, Summary, Wrong
from edgekit_device.sinks.http.api.query import (
    BEFORE,
    COUNT,
    FROM,
    ID,
    LABEL,
    NOT_HELD,
    NOT_KEPT,
    PLAIN,
    TO,
    Query,
    id_of,
)
from edgekit_device.sinks.http.app import Part
from edgekit_device.sinks.http.feed import Change, Feed
from edgekit_device.sinks.http.operation import (
    Answer,
    Operation,
    json_answer,
    json_body,
    refusal,
)

DOWNLOAD_EVENTS, DOWNLOAD_BYTES = 20_000, 2_000_000_000
"""What a zip holds at most."""
CLIP_FRAMES = 1000
"""What a clip holds at most: each is made a PNG, and takes ten times its JPEG."""
_READERS = 2
_DOWNLOADS = 1
_T = TypeVar("_T")


def events_of(settings: HistorySettings) -> Part:
    """The part of the JSON interface that shows a history, or what is in memory without one."""
    return lambda feed: _Events(settings, feed).routes()


class _Events:
    def __init__(self, settings: HistorySettings, feed: Feed) -> None:
        self._settings = settings
        self._feed = feed
        self._readers: anyio.CapacityLimiter | None = None
        self._downloads = 0

    def routes(self) -> Iterable[Route]:
        span = [FROM, TO, LABEL]
        wrong = refusal("A parameter is not as it should be.")
        unknown = refusal("No such event is kept.")
        unreadable = refusal("The history cannot be read now.")
        usual = {400: wrong, 503: unreadable}
        yield Operation(
            "GET", "/api/events", self._list, "Changes of the label, newest first.",
            {200: Answer("The changes.", Page), 404: unknown, **usual},
            parameters=[*span, BEFORE, COUNT],
        )  # fmt: skip
        yield Operation(
            "GET", "/api/events/{id}.jpg", self._picture, "The picture of a change.",
            {200: Answer("The picture.", media="image/jpeg"), 404: unknown, **usual},
            parameters=[ID, PLAIN],
        )  # fmt: skip
        if self._settings.folder is None:
            return
        yield Operation(
            "GET", "/api/events/summary", self._summary, "What is kept, and when nobody watched.",
            {200: Answer("The summary.", Summary), **usual}, parameters=[FROM, TO],
        )  # fmt: skip
        too_much = refusal("More than one download holds.")
        for kind, media, endpoint in (
            ("zip", "application/zip", self._zip),
            ("clip", "application/x-tar", self._clip),
        ):
            yield Operation(
                "GET", f"/api/events.{kind}", endpoint, f"Changes with their pictures as a {kind}.",
                {200: Answer(f"The {kind}.", media=media), 404: unknown, 413: too_much, **usual},
                parameters=span,
            )  # fmt: skip
        yield Operation(
            "POST", "/api/events/{id}/wrong", self._correct,
            "Keep the picture of a change by its right label.",
            {200: Answer("It is kept.", Done), 404: unknown, 409: refusal("It has no picture."),
             422: refusal("The label is none."), **usual},
            parameters=[ID], body=Wrong,
        )  # fmt: skip
        yield Operation(
            "DELETE", "/api/events/{id}/wrong", self._take_back, "Take that back.",
            {200: Answer("It is removed.", Done), 404: refusal("Nobody gave it another label."),
             **usual},
            parameters=[ID],
        )  # fmt: skip

    async def _list(self, request: Request) -> Response:
        query = Query(request, FROM, TO, LABEL, BEFORE, COUNT)
        span, limit, before = query.span(), query.limit(), query.before()
        if self._settings.folder is None:
            return json_answer(_in_memory(self._feed, span, limit, before))
        return json_answer(await self._reading(partial(_list, span, limit, before)))

    async def _summary(self, request: Request) -> Response:
        span = Query(request, FROM, TO).span()
        return json_answer(await self._reading(partial(_summary, self._settings, span)))

    async def _picture(self, request: Request) -> Response:
        plain = "plain" in Query(request, PLAIN).values
        event_id = id_of(request)
        if self._settings.folder is None:
            if plain or (held := self._feed.picture_of(event_id)) is None:
                raise HTTPException(404, NOT_HELD)
            return Response(held, media_type="image/jpeg")

        def work(reader: Reader) -> bytes | None:
            kept = reader.event(event_id)
            jpeg = None if kept is None else reader.picture(kept.seq)
            if kept is None or jpeg is None or kept.sees is None or plain:
                return jpeg
            return marked_jpeg(jpeg, kept.sees)

        jpeg = None if self._settings.folder is None else await self._reading(work)
        if jpeg is None and not plain:
            # As it went out: marked.
            jpeg = self._feed.picture_of(event_id)
        if jpeg is None:
            raise HTTPException(404, "No such picture of this event is kept.\n")
        return Response(jpeg, media_type="image/jpeg")

    async def _correct(self, request: Request) -> Response:
        event_id, wrong = id_of(request), await json_body(request, Wrong)
        labels = [] if self._feed.result is None else self._feed.result.model.labels

        def work(reader: Reader) -> Done:
            kept, jpeg = _event_and_picture(reader, event_id)
            if jpeg is None:
                raise HTTPException(409, "No picture of this event is kept, nothing to learn "
                                         "from: set history.pictures.\n")  # fmt: skip
            try:
                label = folder_name(wrong.label, labels)
            except LabelsError as error:
                raise HTTPException(422, f"{error}\n") from None
            if label == kept.label:
                raise HTTPException(422, f"{label} is what the event says already.\n")
            file = reader.corrections.put(kept.id, label, jpeg)
            return Done(f"kept as {file.relative_to(reader.folder)}")

        return json_answer(await self._reading(work))

    async def _take_back(self, request: Request) -> Response:
        event_id = id_of(request)

        def work(reader: Reader) -> Done:
            if not reader.corrections.take_back(event_id):
                raise HTTPException(404, "Nobody gave this event another label.\n")
            return Done("taken back")

        return json_answer(await self._reading(work))

    async def _zip(self, request: Request) -> Response:
        span = Query(request, FROM, TO, LABEL).span()
        seqs = await self._reading(partial(_for_zip, span))
        assert self._settings.folder is not None
        pieces = partial(as_zip, self._settings.folder, seqs)
        return self._download(request, pieces, "zip", "application/zip")

    async def _clip(self, request: Request) -> Response:
        span = Query(request, FROM, TO, LABEL).span()
        result = self._feed.result
        if result is None:
            raise HTTPException(503, "No frame has been answered yet, and a clip says by what.\n")
        seqs = await self._reading(partial(_for_clip, span))
        assert self._settings.folder is not None
        header = _header(self._feed, result)
        pieces = partial(as_clip, self._settings.folder, seqs, header)
        return self._download(request, pieces, "clip", "application/x-tar")

    def _download(
        self, request: Request, pieces: Callable[[], Iterator[bytes]], ending: str, media: str
    ) -> Response:
        headers = {
            "Content-Disposition": f'attachment; filename="edgekit-events.{ending}"',
        }
        if request.method == "HEAD":
            return Response(media_type=media, headers=headers)
        if self._downloads >= _DOWNLOADS:
            raise HTTPException(
                503, "Another download is underway; try again.\n", headers={"Retry-After": "10"}
            )
        return StreamingResponse(self._counted(pieces()), media_type=media, headers=headers)

    async def _counted(self, pieces: Iterator[bytes]) -> Any:
        self._downloads += 1
        try:
            while (piece := await anyio.to_thread.run_sync(next, pieces, None)) is not None:
                yield piece
        finally:
            self._downloads -= 1

    async def _reading(self, work: Callable[[Reader], _T]) -> _T:
        """What is read, in another thread.

        Raises:
            HTTPException: 503 where it cannot be.
        """
        folder = self._settings.folder
        assert folder is not None

        def read() -> _T:
            with Reader(folder) as reader:
                return work(reader)

        # It belongs to the loop, which runs by now.
        self._readers = self._readers or anyio.CapacityLimiter(_READERS)
        try:
            return await anyio.to_thread.run_sync(read, limiter=self._readers)
        except EdgekitError as error:
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, f"{error}\n") from error


def _list(span: Span, limit: int, before: str | None, reader: Reader) -> Page:
    last = None if before is None else _known(reader.event(before)).seq
    found = reader.events(span, limit + 1, last)
    wrong = reader.corrections.by_id()
    events = [shown(kept, wrong.get(kept.id)) for kept in found[:limit]]
    return Page(events, more=len(found) > limit, history=True)


def _in_memory(feed: Feed, span: Span, limit: int, before: str | None) -> Page:
    changes = feed.changes()[::-1]
    if before is not None:
        ids = [change.event.id for change in changes]
        if before not in ids:
            raise HTTPException(404, NOT_KEPT)
        changes = changes[ids.index(before) + 1 :]
    found = [
        change
        for change in changes
        if span.holds(milliseconds(change.event.ts), change.event.label)
    ]
    events = [_in_feed(feed, change) for change in found[:limit]]
    return Page(events, more=len(found) > limit, history=False)


def _in_feed(feed: Feed, change: Change) -> dict[str, Any]:
    event: dict[str, Any] = msgspec.to_builtins(change.event)
    event.pop("picture", None)
    if feed.picture_of(change.event.id) is not None:
        event |= {"picture": True, "view": change.view}
    return event


def _summary(settings: HistorySettings, span: Span, reader: Reader) -> Summary:
    labels = reader.labels(span)
    first, last = reader.first_and_last(span) or (None, None)
    gaps = reader.gaps(span.since, span.until, round(1000 * time.time()))
    return Summary(
        first=first,
        last=last,
        events=sum(labels.values()),
        labels=labels,
        bytes=reader.bytes(),
        days=settings.days,
        megabytes=settings.megabytes,
        gaps=msgspec.to_builtins(gaps),
        corrections=Corrected(*reader.corrections.size()),
    )


def _event_and_picture(reader: Reader, event_id: str) -> tuple[Kept, bytes | None]:
    kept = _known(reader.event(event_id))
    return kept, reader.picture(kept.seq)


def _known(kept: Kept | None) -> Kept:
    if kept is None:
        raise HTTPException(404, NOT_KEPT)
    return kept


def _for_zip(span: Span, reader: Reader) -> list[int]:
    seqs = [kept.seq for kept in reversed(reader.events(span, DOWNLOAD_EVENTS + 1))]
    size = reader.bytes_of_pictures(span)
    if len(seqs) > DOWNLOAD_EVENTS or size > DOWNLOAD_BYTES:
        raise HTTPException(
            413,
            f"More than {DOWNLOAD_EVENTS} events, or {DOWNLOAD_BYTES / 1e9:g} GB of pictures: ask "
            "for less with from, to and label.\n",
        )
    return _some(seqs)


def _for_clip(span: Span, reader: Reader) -> list[int]:
    seqs = reader.pictures(span, CLIP_FRAMES + 1)
    if len(seqs) > CLIP_FRAMES:
        raise HTTPException(
            413,
            f"More than {CLIP_FRAMES} pictures are more than a clip takes here: ask for less with "
            "from, to and label, or use --source history:FOLDER on the device.\n",
        )
    return _some(seqs)


def _some(seqs: list[int]) -> list[int]:
    if not seqs:
        raise HTTPException(404, "Nothing that is kept is like that.\n")
    return seqs


def _header(feed: Feed, result: Result) -> ClipHeader:
    """Of a clip of kept pictures: by what is running now, as if that had recorded it."""
    health = feed.health()
    source = f"{health.source} (pictures of its history, JPEG: not pixel for pixel)"
    return header_of(health, result, source)
