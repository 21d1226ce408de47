"""A web server of ours for tests, and those who ask it."""

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from edgekit_device.config.settings import HttpSettings
from edgekit_device.sinks.base import Host
from edgekit_device.sinks.http import Http
from edgekit_device.sinks.http.api.metrics import metrics_of
from edgekit_device.sinks.http.limits import Limits

from tests.device.sinks.player import Player

TOKEN = "correct horse battery"


def make(
    listen: str = "127.0.0.1:0",
    player: Player | None = None,
    limits: Limits | None = None,
    **settings: Any,
) -> Http:
    player = player or Player()
    host = Host(player.snapshot, answers=player.answers.snapshot)
    parts = (metrics_of(host, player.folders),)
    return Http(HttpSettings(listen=listen, **settings), "pi", player.snapshot, limits, parts)


@contextmanager
def served(sink: Http) -> Iterator[Http]:
    sink.start()
    try:
        yield sink
    finally:
        sink.close(timeout=30)


class Answer:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


def ask(
    sink: Http, path: str, method: str = "GET", body: str | bytes | None = None, **headers: str
) -> Answer:
    client = http.client.HTTPConnection("127.0.0.1", sink.port, timeout=30)
    try:
        client.request(method, path, body, headers)
        return Answer(client.getresponse())
    finally:
        client.close()


class Viewer:
    """Reads a stream."""

    def __init__(self, sink: Http, path: str = "/stream.mjpg") -> None:
        self._client = http.client.HTTPConnection("127.0.0.1", sink.port, timeout=30)
        self._client.request("GET", path)
        self.response = self._client.getresponse()

    def __enter__(self) -> "Viewer":
        return self

    def __exit__(self, *_: object) -> None:
        self.response.close()
        self._client.close()

    def picture(self) -> bytes:
        """The next part of an MJPEG stream."""
        length = 0
        while line := self.response.readline().strip():
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        picture = self.response.read(length)
        assert self.response.readline() == b"\r\n"
        return picture

    def pictures(self) -> Iterator[bytes]:
        assert self.response.readline() == b"--frame\r\n"
        while True:
            yield self.picture()
            if self.response.readline() != b"--frame\r\n":
                return

    def messages(self, kind: str) -> Iterator[Any]:
        """Server-sent events of one kind."""
        event = ""
        while line := self.response.readline():
            if line.startswith(b"event: "):
                event = line.split(b": ")[1].strip().decode()
            elif line.startswith(b"data: ") and event == kind:
                yield json.loads(line[6:])


def is_cut_off(client: socket.socket) -> bool:
    """Wait for the end of a connection on which nothing is said."""
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def ask_status(sink: Http, path: str) -> int:
    with Viewer(sink, path) as viewer:
        return viewer.response.status
