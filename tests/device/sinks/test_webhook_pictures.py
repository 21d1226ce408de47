"""The webhook's pictures, against a real HTTP server: what goes, and what an event goes without."""

import base64
import email.policy
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
import pytest
from edgekit_device.config.settings import PictureSettings, Settings, WebhookSettings
from edgekit_device.pictures import EventPicture
from edgekit_device.retry import RetryPolicy
from edgekit_device.sinks.webhook import Webhook

from edgekit.inference.events import Event
from tests.device.sinks.answers import answer
from tests.device.sinks.samples import make_event, until
from tests.serving import serving


class Server(ThreadingHTTPServer):
    """Gives the answers it is told to, then 204; keeps what it is sent."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/"
        self.answers: list[int] = []
        self.open = threading.Event()
        self.open.set()
        self.requests: list[tuple[str, bytes]] = []


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        assert self.server.open.wait(60)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.headers["Content-Type"], body))
        self.send_response(self.server.answers.pop(0) if self.server.answers else 204)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Server()) as server:
        yield server


@contextmanager
def _started(server: Server, picture: str, **settings: Any) -> Iterator[Webhook]:
    made = WebhookSettings(url=server.url, picture=picture, **settings)  # type: ignore[arg-type]
    sink = Webhook(made, "pi", RetryPolicy(0.001, 0.001))
    sink.start()
    try:
        yield sink
    finally:
        sink.close(0)


def _event(number: int = 1) -> Event:
    return msgspec.structs.replace(make_event(number), id=f"2026Z-{number}", picture=True)


def _picture(number: int = 1) -> EventPicture:
    return EventPicture(answer(number), "full")


def _deliver(sink: Webhook, *numbers: int) -> None:
    for number in numbers:
        sink.event(_event(number), _picture(number))
    until(lambda: sink.report().queued == 0)


def _form(kind: str, body: bytes) -> dict[str, tuple[str, str | None, bytes]]:
    """The parts of a form by name: content type, file name, content."""
    whole = f"Content-Type: {kind}\r\n\r\n".encode() + body
    message = BytesParser(policy=email.policy.HTTP).parsebytes(whole)
    return {
        str(part.get_param("name", header="content-disposition")): (
            part.get_content_type(), part.get_filename(), part.get_payload(decode=True),
        )
        for part in message.iter_parts()  # type: ignore[attr-defined]
    }  # fmt: skip


def test_a_form_has_the_event_and_its_picture(server: Server) -> None:
    with _started(server, "multipart") as sink:
        _deliver(sink, 1)
        assert sink.report().pictures_dropped == 0
    form = _form(*server.requests[0])
    assert list(form) == ["event", "picture"]
    assert form["picture"] == ("image/jpeg", "2026Z-1.jpg", _picture().published)
    kind, name, event = form["event"]
    assert (kind, name) == ("application/json", None)
    content = json.loads(event)
    assert (content["name"], content["id"], content["picture"]) == ("pi", "2026Z-1", True)


def test_base64_is_a_field_of_the_json(server: Server) -> None:
    with _started(server, "base64") as sink:
        _deliver(sink, 1)
    kind, body = server.requests[0]
    content = json.loads(body)
    assert (kind, content["picture"]) == ("application/json", True)
    assert base64.b64decode(content["picture_base64"]) == _picture().published


@pytest.mark.parametrize("form", ["none", "multipart", "base64"])
def test_an_event_without_one_is_plain_json(server: Server, form: str) -> None:
    with _started(server, form) as sink:
        sink.event(make_event(1, "heartbeat"), None)
        sink.event(make_event(2), EventPicture(answer(2), "off"))
        until(lambda: sink.report().queued == 0)
    assert [kind for kind, _ in server.requests] == ["application/json"] * 2
    assert not any(b"picture" in body for _, body in server.requests)


@pytest.mark.parametrize("tries", [1, 5])
@pytest.mark.parametrize("status", [413, 415])
def test_what_is_refused_with_a_picture_goes_once_without(
    server: Server, status: int, tries: int
) -> None:
    server.answers = [status]
    with _started(server, "multipart", tries=tries) as sink:
        _deliver(sink, 1)
        report = sink.report()
        assert (report.sent, report.dropped, report.pictures_dropped) == (1, 0, 1)
        assert str(status) in (report.problem or "") and "went without" in (report.problem or "")
        # An event that has none says nothing of the next picture.
        sink.event(make_event(2, "heartbeat"))
        until(lambda: sink.report().queued == 0)
        assert sink.report().problem == report.problem
        _deliver(sink, 3)
        assert sink.report().problem is None
    kinds = [kind.partition(";")[0] for kind, _ in server.requests]
    assert kinds == ["multipart/form-data", *["application/json"] * 2, "multipart/form-data"]
    assert "picture" not in json.loads(server.requests[1][1])


def test_the_last_of_several_tries_goes_without(server: Server) -> None:
    server.answers = [500, 500]
    with _started(server, "base64", tries=3) as sink:
        _deliver(sink, 1)
        assert (sink.report().sent, sink.report().pictures_dropped) == (1, 1)
    assert ["picture_base64" in json.loads(body) for _, body in server.requests] == [
        True, True, False,
    ]  # fmt: skip


def test_what_is_refused_without_it_too_is_given_up(server: Server) -> None:
    server.answers = [413, 404]
    with _started(server, "multipart") as sink:
        _deliver(sink, 1)
        report = sink.report()
        assert (report.sent, report.dropped, report.pictures_dropped) == (0, 1, 1)
        assert "404" in (report.problem or "")


def test_while_the_server_is_away_the_oldest_pictures_go_and_their_events_stay(
    server: Server,
) -> None:
    server.open.clear()
    with _started(server, "multipart", timeout=60.0) as sink:
        for number in range(20):
            sink.event(_event(number), _picture(number))
        dropped = sink.report().pictures_dropped
        server.open.set()
        until(lambda: sink.report().queued == 0)
        assert (sink.report().sent, sink.report().pictures_dropped) == (20, dropped)
    went = sum(kind.startswith("multipart") for kind, _ in server.requests)
    # One was on its way already, or was not.
    assert went + dropped == 20 and went in (16, 17)


def test_pictures_in_the_webhook_and_none_that_goes_out_is_a_contradiction() -> None:
    with pytest.raises(ValueError, match=r'set pictures.size = "small", or leave'):
        Settings(webhook=WebhookSettings(picture="base64"))
    Settings(webhook=WebhookSettings(picture="base64"), pictures=PictureSettings(size="small"))
