"""Web clients that read nothing, ask for nothing, flood, babble and guess."""

import contextlib
import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.running import Running, wait_for
from tests.faults.table import Fault, row

_TOKEN = "a-token-that-is-long-enough"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


class Site(Running):
    """A daemon with a web server."""

    port: int

    def get(self, path: str, token: str | None = None, timeout: float = 30) -> tuple[int, str]:
        """Status and text of an answer."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def connect(self, said: bytes = b"") -> socket.socket:
        """A connection on which something was said, and nothing is read."""
        connection = socket.create_connection(("127.0.0.1", self.port), 30)
        connection.sendall(said)
        return connection

    def is_reachable(self, fault: Fault) -> None:
        """Whether it still says how it is, while it works."""
        self.shows(fault)
        assert json.loads(self.get("/healthz")[1])["state"] == "running"
        status, metrics = self.get("/metrics", _TOKEN)
        assert status == 200
        assert "edgekit_frames_total" in metrics
        self.answers()
        assert not any("Traceback" in line for line in self.daemon.said)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Iterator[Site]:
    folder, port = tmp_path_factory.mktemp("site"), _free_port()
    (folder / "token").write_text(_TOKEN)
    site = Site(
        folder,
        top=f'model = "{model}"\nsource = "test:"\nstdout = false',
        http=f'listen = "127.0.0.1:{port}"\ntoken-file = "{folder}/token"',
    )
    site.port = port
    yield site
    site.close()


@pytest.fixture
def site(shared: Site) -> Site:
    """One for all tests, which is well."""
    shared.is_well()
    return shared


@pytest.fixture
def connections() -> Iterator[list[socket.socket]]:
    """Closed at the end."""
    made: list[socket.socket] = []
    yield made
    for connection in made:
        connection.close()


def _asking(path: str) -> bytes:
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {_TOKEN}\r\n\r\n"
    ).encode()


def test_clients_that_read_nothing(site: Site, connections: list[socket.socket]) -> None:
    fault = row("http-slow-readers")
    for _ in range(60):
        connections.append(site.connect(_asking("/events")))
        # So that the next one does not come at the same moment.
        assert connections[-1].recv(100)
    memory = site.health.memory_bytes
    site.is_reachable(fault)
    assert site.health.memory_bytes < memory + (32 << 20)


def test_connections_that_ask_for_nothing(site: Site, connections: list[socket.socket]) -> None:
    fault = row("http-half-open")
    for number in range(200):
        connections.append(site.connect(b"GET / HTTP/1.1\r\nHost: " if number % 2 else b""))
    site.is_reachable(fault)


def test_many_requests_at_once(site: Site) -> None:
    fault = row("http-flood")
    for _ in range(30):
        batch = [site.connect(_asking("/api/state")) for _ in range(20)]
        for connection in batch:
            with contextlib.suppress(OSError):
                connection.recv(10)
            connection.close()
    site.is_reachable(fault)


def test_requests_that_are_none(site: Site, connections: list[socket.socket]) -> None:
    fault = row("http-chunks")
    chunked = b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    said = len(site.daemon.said)
    for text in (
        b"\0" * 100, b"GET / HTTP/9.9\r\n\r\n",
        b"GET /%ff%00 HTTP/1.1\r\nHost: [\r\n\r\n", b"X" * 20_000, _asking("/\u2603"),
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -5\r\n\r\n",
    ):  # fmt: skip
        connections.append(site.connect(text))
        with contextlib.suppress(OSError):
            connections[-1].recv(1000)
    # Once the head was read, and somebody waits for the body, or answers already.
    events = _asking("/events")[:-2] + b"Transfer-Encoding: chunked\r\n\r\n"
    for head in (chunked, events):
        for body in (b"ZZZ\r\n", b"-1\r\n\r\n", b"5\r\nab"):
            connections.append(site.connect(head))
            time.sleep(0.2)
            with contextlib.suppress(OSError):
                connections[-1].sendall(body)
    site.is_reachable(fault)
    assert site.daemon.said[said:] == []


def test_a_client_that_guesses(site: Site) -> None:
    fault = row("http-guessing")

    def refusal() -> bool:
        return site.get("/api/state", "wrong-token-of-enough-letters")[0] == 429

    assert any(refusal() for _ in range(50))
    # Who needs none is answered.
    assert site.get("/healthz")[0] == 200
    # After a while it is.
    wait_for("the right token", lambda: site.get("/api/state", _TOKEN)[0] == 200, 120)
    site.is_reachable(fault)
