"""What guards the operations that may change something."""

import http.client
import json
from collections.abc import Iterator

import msgspec
import pytest
from edgekit_device.config.settings import HttpSettings
from edgekit_device.sinks.http import Http
from edgekit_device.sinks.http.feed import Feed
from edgekit_device.sinks.http.operation import (
    BODY_LIMIT,
    Answer,
    Operation,
    json_answer,
    json_body,
)
from starlette.requests import Request
from starlette.responses import Response

from tests.device.sinks.player import Player
from tests.device.sinks.web import ask, served

TYPE = {"Content-Type": "application/json"}


class Wish(msgspec.Struct, forbid_unknown_fields=True):
    label: str = "none"


@pytest.fixture
def done() -> list[str]:
    """The wishes that came through."""
    return []


@pytest.fixture
def sink(done: list[str]) -> Iterator[Http]:
    async def grant(request: Request) -> Response:
        done.append((await json_body(request, Wish)).label)
        return json_answer({})

    async def forget(request: Request) -> Response:
        done.clear()
        return json_answer({})

    def part(feed: Feed) -> list[Operation]:
        answers = {200: Answer("Done.")}
        return [
            Operation("POST", "/api/wish", grant, "Wish.", answers, body=Wish),
            Operation("DELETE", "/api/wish", forget, "Wish no more.", answers),
        ]

    settings = HttpSettings(listen="127.0.0.1:0")
    with served(Http(settings, "pi", Player().snapshot, parts=[part])) as sink:
        yield sink


def test_a_wish_comes_through(sink: Http, done: list[str]) -> None:
    assert ask(sink, "/api/wish", "POST", '{"label": "cup"}', **TYPE).status == 200
    kind = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert ask(sink, "/api/wish", "POST", "", **kind).status == 200
    assert done == ["cup", "none"]
    assert ask(sink, "/api/wish", "DELETE").status == 200
    assert done == []


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        "{",
        "null",
        '{"label": 1}',
        '{"lable": "cup"}',
        '{"label": "\ud800"}',
        2000 * "[",
        "\0",
    ],
)
def test_what_is_no_wish_is_refused(sink: Http, done: list[str], body: str) -> None:
    answer = ask(sink, "/api/wish", "POST", body.encode("utf-8", "surrogatepass"), **TYPE)
    assert answer.status == 422
    assert len(answer.text.splitlines()) == 1
    assert done == []


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_what_a_form_of_another_site_can_send_is_refused(
    sink: Http, done: list[str], kind: str
) -> None:
    headers = {"Content-Type": kind} if kind else {}
    assert ask(sink, "/api/wish", "POST", '{"label": "cup"}', **headers).status == 415
    assert done == []


@pytest.mark.parametrize("method", ["POST", "DELETE"])
@pytest.mark.parametrize("site", ["cross-site", "same-site", "elsewhere"])
def test_what_comes_from_another_site_is_refused(
    sink: Http, done: list[str], method: str, site: str
) -> None:
    done.append("before")
    assert ask(sink, "/api/wish", method, None, **TYPE, **{"Sec-Fetch-Site": site}).status == 403
    assert done == ["before"]


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_what_comes_from_the_page_is_let_through(sink: Http, done: list[str], site: str) -> None:
    assert ask(sink, "/api/wish", "POST", "{}", **TYPE, **{"Sec-Fetch-Site": site}).status == 200


def test_more_than_the_limit_is_refused_unread(sink: Http, done: list[str]) -> None:
    most = json.dumps({"label": "x" * (BODY_LIMIT - 13)})
    assert len(most) == BODY_LIMIT
    assert ask(sink, "/api/wish", "POST", most, **TYPE).status == 200
    assert ask(sink, "/api/wish", "POST", most + " ", **TYPE).status == 413
    for length in ("999999999999999999999", "9" * 5000):
        assert ask(
            sink, "/api/wish", "POST", None, **TYPE, **{"Content-Length": length}
        ).status in (
            400,
            413,
        )
    assert len(done) == 1


def test_more_than_the_limit_is_refused_in_pieces_too(sink: Http, done: list[str]) -> None:
    client = http.client.HTTPConnection("127.0.0.1", sink.port, timeout=30)
    try:
        pieces = (b" " * 1024 for _ in range(5))
        client.request("POST", "/api/wish", pieces, TYPE, encode_chunked=True)
        assert client.getresponse().status == 413
    finally:
        client.close()
    assert done == []


def test_nothing_is_sent_along_with_other_requests(sink: Http, done: list[str]) -> None:
    assert ask(sink, "/api/wish", "DELETE", "{}", **TYPE).status == 413
    assert ask(sink, "/api/wish", "PUT", "{}", **TYPE).status == 413
