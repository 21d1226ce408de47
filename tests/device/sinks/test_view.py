"""What the page draws: the view, and the part of the newest frame that the model sees."""

import asyncio
import dataclasses

import msgspec
import numpy as np
from edgekit_device.config.settings import HttpSettings
from edgekit_device.sinks.http import Http
from edgekit_device.sinks.http.api.view import view
from edgekit_device.sinks.http.feed import Feed

from edgekit.inference.pipeline import Result
from edgekit.vision.view import ViewSettings
from tests.device.sinks.player import Player, make_result
from tests.device.sinks.web import ask, served

VIEW = ViewSettings(
    rotate=180, region=(0.5, 0.0, 0.5, 1.0), masks=((0.0, 0.0, 0.25, 0.25),)
)  # fmt: skip


def seen(settings: ViewSettings) -> Result:
    """An answer of a square model to a frame of 640 x 480."""
    result = make_result(pixels=np.zeros((480, 640, 3), np.uint8))
    frame = result.frame._replace(view=settings, region=settings.looks_at)
    return dataclasses.replace(result, frame=frame)


def test_the_view_is_that_of_the_newest_frame() -> None:
    sink = Http(HttpSettings(listen="127.0.0.1:0"), "pi", Player().snapshot, parts=(view,))
    with served(sink):
        assert ask(sink, "/api/view").status == 503
        sink.frame(seen(VIEW))
        assert ask(sink, "/api/view").json == {
            "rotate": 180,
            "mirror": False,
            "region": [0.5, 0, 0.5, 1],
            "masks": [[0, 0, 0.25, 0.25]],
            "frame": {"width": 640, "height": 480},
            # Of the right half, 320 x 480, the middle square.
            "sees": [0.5, 80 / 480, 0.5, 320 / 480],
        }
        sink.frame(seen(ViewSettings()))
        assert ask(sink, "/api/view").json["sees"] == [0.125, 0, 0.75, 1]


def test_each_message_about_a_frame_says_what_was_seen_of_it() -> None:
    feed = Feed(Player().snapshot, picture_fps=10)
    feed.put_result(seen(VIEW))

    async def first() -> bytes:
        updates = feed.updates()
        hello = await anext(updates)
        await updates.aclose()  # type: ignore[attr-defined]
        return hello

    data = asyncio.run(first()).split(b"data: ")[1]
    assert msgspec.json.decode(data)["sees"] == [0.5, 80 / 480, 0.5, 320 / 480]
