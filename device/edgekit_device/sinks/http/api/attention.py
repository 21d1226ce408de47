"""`/api/attention`: where the model looks, for the newest frame, made when somebody asks.

By a thread of its own with an interpreter of its own, so that the one that answers frames goes on
as before, and at the lowest priority. Not of the class SCHED_IDLE: where other programs take all
of the processor it would not run at all, and may hold Python's interpreter lock meanwhile.
"""

import os
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from edgekit.errors import EdgekitError, InferenceError
from edgekit.inference.attention import occlusion_map
from edgekit.inference.classifier import Classifier
from edgekit.inference.frame import Frame
from edgekit.inference.looking import Look
from edgekit.inference.pipeline import AnyClassifier
from edgekit.vision.encode import encode_jpeg, fit
from edgekit.vision.view import Region
from edgekit_device import board
from edgekit_device.health import shown
from edgekit_device.sinks.base import Host, Models
from edgekit_device.sinks.http.feed import PICTURE_WIDTH, Feed
from edgekit_device.sinks.http.operation import Answer, Operation, json_answer, refusal

GRIDS = (8, 6, 4)
"""Rows and columns of a map: as many as there is time for."""
SECONDS = 20.0
"""That a map is to take at most by what one inference takes."""
PATIENCE = 3 * SECONDS
"""Seconds after which it is given up: something else needs the processor."""
UNSURE = 0.3
"""Score below which a map says little."""
_LOWEST = 19


class Attention(msgspec.Struct, frozen=True, omit_defaults=True):
    """A map, or what has become of one.

    Attributes:
        state: `none` before the first, then `working`, then `done` or `failed`.
        done: how much of it is, in [0, 1].
        label, index, score: of the class that was best, for the whole picture.
        rows, columns: of the map.
        drops: by rows, what is missing of the score with the picture hidden there; negative where
            it gains.
        sees: what the map is of: x, y, width, height in fractions of the frame.
        seconds: that it took.
        message: why it failed, or what is to be known of it, in words.
    """

    state: Literal["none", "working", "done", "failed"]
    done: float
    label: str | None = None
    index: int | None = None
    score: float | None = None
    rows: int | None = None
    columns: int | None = None
    drops: list[list[float]] | None = None
    sees: Region | None = None
    seconds: float | None = None
    message: str | None = None


class Maps:
    """Makes one map at a time.

    Args:
        models: opens the model in use once more.
        feed: what is shown; with its end a map ends, too.

    Attributes:
        state: of the last one.
        picture: the frame that it is made of, as JPEG; None before it is encoded.
    """

    def __init__(self, models: Models, feed: Feed) -> None:
        self.state = Attention("none", 0.0)
        self.picture: bytes | None = None
        self._models = models
        self._feed = feed

    def start(self, frame: Frame, model: AnyClassifier) -> None:
        """Begin one, of a frame that this model has answered; none may be in the making."""
        self.picture = None
        self.state = Attention("working", 0.0)
        # No daemon: where the process ends within an inference, that is waited for.
        thread = threading.Thread(target=self._run, args=(frame, model), name="attention")
        try:
            thread.start()
        except RuntimeError as error:
            self.state = Attention("failed", 0.0, message=f"no thread is left for it: {error}")

    def _run(self, frame: Frame, model: AnyClassifier) -> None:
        outcome = self._outcome(frame, model)
        # Before the next may begin, so that two never are in memory.
        board.release_memory()
        self.state = outcome

    def _outcome(self, frame: Frame, model: AnyClassifier) -> Attention:
        begun = time.monotonic()
        try:
            pixels = fit(frame.pixels, PICTURE_WIDTH, frame.pixels.shape[0])
            self.picture = encode_jpeg(pixels)
            with self._models.open_again(model) as classifier:
                # Only now: the interpreter lock is held while a model is opened.
                note = _give_way()
                made = self._made(classifier, model, frame, begun)
                said = "; ".join(filter(None, [made.message, note]))
                return msgspec.structs.replace(made, message=said or None)
        # Any: a map that fails is told to who asked, and to nobody else.
        except Exception as error:
            text = str(error) if isinstance(error, EdgekitError) else f"unexpected: {error!r}"
            return Attention("failed", self.state.done, message=shown(text))

    def _made(
        self, classifier: Classifier, model: AnyClassifier, frame: Frame, begun: float
    ) -> Attention:
        tensor = frame.prepared_for(classifier.geometry).tensor
        assert tensor is not None
        before = time.monotonic()
        classifier.invoke(tensor)
        side = grid(time.monotonic() - before)

        def progress(done: float) -> bool:
            self.state = Attention("working", round(done, 3))
            if time.monotonic() - begun > PATIENCE:
                raise InferenceError(
                    f"not done after {PATIENCE:g} s, because something else needs the processor; "
                    "try again later"
                )
            return not self._feed.closed

        rows, columns = (min(side, size) for size in tensor.shape[1:3])
        found = occlusion_map(classifier.invoke, tensor, rows, columns, progress=progress)
        if found is None:
            raise InferenceError("the page's server was closed meanwhile")
        label = classifier.label(found.index)
        notes = []
        if classifier.sha256 != getattr(model, "sha256", None):
            notes.append(f"made with {classifier.path.name}, because this is for the CPU")
        if found.score < UNSURE:
            notes.append(f"the model is sure of nothing here, {label} the least unlikely")
        return Attention(
            "done",
            1.0,
            label=label,
            index=found.index,
            score=round(found.score, 4),
            rows=rows,
            columns=columns,
            drops=[[round(float(drop), 4) for drop in row] for row in found.drops],
            sees=Look.at(frame, classifier.geometry).sees,
            seconds=round(time.monotonic() - begun, 2),
            message="; ".join(notes) or None,
        )


def _give_way() -> str | None:
    """Let every other thread go first; in words, where the system does not allow that."""
    try:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOWEST)
    except OSError as error:
        return f"it had the daemon's own priority, and may have slowed it: {error.strerror}"
    return None


def grid(seconds: float, sides: Sequence[int] = GRIDS) -> int:
    """Rows and columns of the finest map that there is time for.

    Args:
        seconds: that an inference takes.
        sides: to choose from, the finest first.

    Raises:
        InferenceError: there is no time for any.
    """
    for side in sides:
        if (side * side + 1) * seconds <= SECONDS:
            return side
    raise InferenceError(
        f"an inference takes {seconds:.1f} s here: too long for the {sides[-1] ** 2 + 1} of a map"
    )


class AttentionPart:
    """The routes of `/api/attention`.

    Args:
        host: opens the model in use once more.
    """

    def __init__(self, host: Host) -> None:
        self._host = host

    def __call__(self, feed: Feed) -> Iterable[Route]:
        """The routes, of what is shown."""
        models = self._host.models
        maps = None if models is None else Maps(models, feed)

        async def show(request: Request) -> Response:
            return json_answer(Attention("none", 0.0) if maps is None else maps.state)

        async def start(request: Request) -> Response:
            result = feed.result
            if maps is None or result is None:
                return PlainTextResponse("There is no frame that was answered.\n", 503)
            if maps.state.state == "working":
                return PlainTextResponse("One is being made; wait for its end.\n", 409)
            maps.start(result.frame, result.model)
            return json_answer(maps.state, 202)

        async def picture(request: Request) -> Response:
            jpeg = None if maps is None else maps.picture
            if jpeg is None:
                return PlainTextResponse("No map was made yet.\n", 404)
            return Response(jpeg, media_type="image/jpeg")

        yield Operation(
            "GET", "/api/attention", show, "Where the model looks: the last map.",
            {200: Answer("The map, or how much of it there is.", Attention)},
        )  # fmt: skip
        yield Operation(
            "POST", "/api/attention", start, "Begin to make a map of the newest frame.",
            {202: Answer("It is begun.", Attention), 409: refusal("One is being made."),
             503: refusal("There is no frame.")},
        )  # fmt: skip
        yield Operation(
            "GET", "/api/attention.jpg", picture, "The frame that the map is made of.",
            {200: Answer("A JPEG.", media="image/jpeg"), 404: refusal("No map was made yet.")},
        )  # fmt: skip
