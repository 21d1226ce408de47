"""The webhook, against a real HTTP server."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from edgekit_device.config.settings import WebhookSettings
from edgekit_device.retry import RetryPolicy
from edgekit_device.sinks import webhook
from edgekit_device.sinks.base import OVERFLOW
from edgekit_device.sinks.webhook import Webhook

from edgekit import __version__
from edgekit.errors import ConfigurationError, SettingsError
from tests.device.sinks.samples import make_event, until
from tests.serving import serving


class Server(ThreadingHTTPServer):
    """Gives the answers it is told to, then 204; keeps what it is sent."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/hook/s3cret?key=s3cret"
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.bodies: list[dict[str, object]] = []
        self.requests: list[tuple[str, str, dict[str, str]]] = []


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append(json.loads(body))
        self.server.requests.append((self.command, self.path, dict(self.headers)))
        status, headers = self.server.answers.pop(0) if self.server.answers else (204, {})
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Server()) as server:
        yield server


@dataclass(frozen=True)
class Delays(RetryPolicy):
    """Waits for nothing by default, and remembers how often it was asked."""

    first: float = 0.0
    maximum: float = 3600.0
    jitter: float = 0.0
    asked: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def delay(self, failures: int, draw: Callable[[], float] = float) -> float:
        self.asked.release()
        return super().delay(failures, draw)


@dataclass(frozen=True)
class Held(Delays):
    """A delay that takes until it is freed."""

    free: threading.Event = field(default_factory=threading.Event)

    def delay(self, failures: int, draw: Callable[[], float] = float) -> float:
        assert self.free.wait(60)
        return 0.0


@contextmanager
def _started(settings: WebhookSettings, policy: RetryPolicy | None = None) -> Iterator[Webhook]:
    sink = Webhook(settings, "pi", policy or Delays())
    sink.start()
    try:
        yield sink
    finally:
        sink.close(0)


def _settled(sink: Webhook) -> Callable[[], bool]:
    return lambda: sink.report().queued == 0


def test_an_event_is_posted_with_the_name_of_the_device(server: Server) -> None:
    with _started(WebhookSettings(url=server.url)) as sink:
        sink.event(make_event(1))
        sink.event(make_event(2, "heartbeat"))
        until(_settled(sink))
        assert (sink.report().sent, sink.report().problem) == (2, None)
    assert server.bodies[0] == {
        "name": "pi", "id": "20260101T000000000Z-0", "ts": "2025-06-01T12:00:00.125Z",
        "event": "change", "label": "mug",
        "score": 0.75, "frame": 1, "source": "test:", "model": "m.tflite",
        "labels": [{"label": "mug", "index": 0, "score": 0.5}], "latency_ms": 1.25,
        "state": "running",
    }  # fmt: skip
    assert [body["frame"] for body in server.bodies] == [1, 2]
    method, path, headers = server.requests[0]
    assert (method, path) == ("POST", "/hook/s3cret?key=s3cret")
    assert headers["Content-Type"] == "application/json"
    assert headers["User-Agent"] == f"edgekit/{__version__}"
    assert "Authorization" not in headers


def test_a_token_is_sent(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "webhook-token").write_text("t0ken\n")
    with _started(WebhookSettings(url=server.url, token_file=tmp_path / "webhook-token")) as sink:
        sink.event(make_event())
        until(_settled(sink))
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with _started(WebhookSettings(url=server.url)) as sink:
        sink.event(make_event())
        until(_settled(sink))
    assert [headers["Authorization"] for _, _, headers in server.requests] == ["Bearer t0ken"] * 2


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_or_failing_server_is_tried_again(server: Server, status: int) -> None:
    server.answers = [(status, {}), (status, {"Retry-After": "0"})]
    with _started(WebhookSettings(url=server.url)) as sink:
        sink.event(make_event(1))
        sink.event(make_event(2))
        until(_settled(sink))
        assert (sink.report().sent, sink.report().dropped) == (2, 0)
    assert [body["frame"] for body in server.bodies] == [1, 1, 1, 2]


def test_an_event_is_given_up_after_so_many_tries(server: Server) -> None:
    server.answers = [(503, {})] * 3
    with _started(WebhookSettings(url=server.url, tries=3)) as sink:
        sink.event(make_event(1))
        until(_settled(sink))
        assert (sink.report().sent, sink.report().dropped) == (0, 1)
        assert (
            sink.report().problem
            == f"127.0.0.1:{server.server_port} answers 503 Service Unavailable"
        )
        sink.event(make_event(2))
        until(_settled(sink))
        assert (sink.report().sent, sink.report().problem) == (1, None)
    assert len(server.bodies) == 4


@pytest.mark.parametrize(
    ("status", "headers"), [(400, {}), (401, {}), (404, {}), (301, {"Location": "/elsewhere"})]
)
def test_what_cannot_become_better_is_tried_once(
    server: Server, status: int, headers: dict[str, str]
) -> None:
    server.answers = [(status, headers)]
    with _started(WebhookSettings(url=server.url)) as sink:
        sink.event(make_event())
        until(_settled(sink))
        assert sink.report().dropped == 1
        problem = sink.report().problem
    assert len(server.requests) == 1
    assert problem is not None
    assert f" answers {status} " in problem
    assert "s3cret" not in problem


def test_a_server_that_is_away_is_reached_later() -> None:
    with serving(Server()) as server:
        url, port = server.url, server.server_port
    delays = Held()
    with _started(WebhookSettings(url=url, tries=20), delays) as sink:
        sink.event(make_event())
        until(lambda: sink.report().problem)
        assert sink.report().problem == f"cannot reach 127.0.0.1:{port}: Connection refused"
        with serving(Server(port)) as server:
            delays.free.set()
            until(_settled(sink))
        assert sink.report().sent == 1
        assert len(server.bodies) == 1


def test_a_server_that_says_nothing_is_left_alone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}/"
        with _started(WebhookSettings(url=url, timeout=0.05, tries=2)) as sink:
            sink.event(make_event())
            until(_settled(sink))
            assert sink.report().dropped == 1
            assert "does not answer in time" in (sink.report().problem or "")


@pytest.mark.parametrize(
    "answer",
    [b"nonsense\r\n\r\n", b"HTTP/1.1 20x OK\r\n\r\n", b"HTTP/1.1 500 \x1b[2J\x07 no\r\n\r\n", b""],
)
def test_what_is_no_answer_is_a_problem_in_plain_words(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        with _started(WebhookSettings(url=url, tries=1)) as sink:
            sink.event(make_event())
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)
            until(_settled(sink))
            report = sink.report()
        assert (report.sent, report.dropped) == (0, 1)
        assert report.problem is not None
        assert report.problem.isprintable()


def test_a_redirection_to_what_is_no_address_is_a_problem_too(server: Server) -> None:
    server.answers = [(301, {"Location": "http://["})] * 2
    with _started(WebhookSettings(url=server.url, tries=2)) as sink:
        sink.event(make_event())
        until(_settled(sink))
        assert sink.report().dropped == 1
        assert (sink.report().problem or "").startswith(
            f"cannot reach 127.0.0.1:{server.server_port}"
        )


def test_more_events_than_it_takes_are_a_problem_until_it_has_caught_up(server: Server) -> None:
    held = Held()
    server.answers = [(503, {})]
    with _started(WebhookSettings(url=server.url), held) as sink:
        sink.event(make_event(0))
        until(lambda: sink.report().problem)
        for frame in range(1, 1003):
            sink.event(make_event(frame))
        assert (sink.report().dropped, sink.report().queued) == (2, 1001)
        held.free.set()
        # It delivers again, and has dropped all the same.
        until(lambda: sink.report().problem == OVERFLOW)
        until(_settled(sink))
        assert (sink.report().sent, sink.report().dropped) == (1001, 2)
        assert sink.report().problem is None


def test_close_cuts_a_delay_short_and_tries_once_more(server: Server) -> None:
    server.answers = [(503, {})]
    policy = Delays(3600)
    with _started(WebhookSettings(url=server.url), policy) as sink:
        sink.event(make_event())
        assert policy.asked.acquire(timeout=30)
        sink.close(30)
        assert sink.report().sent == 1


def test_close_does_not_wait_for_a_server_that_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}/"
        with _started(WebhookSettings(url=url, timeout=60)) as sink:
            sink.event(make_event(1))
            sink.event(make_event(2))
            connection, _ = mute.accept()
            with connection:
                sink.close(0.05)
                assert sink.report().dropped >= 1
            until(_settled(sink))


def test_check_finds_out_whether_it_can_be_reached(server: Server) -> None:
    sink = Webhook(WebhookSettings(url=server.url), "pi")
    # A server that knows no OPTIONS is there all the same.
    assert sink.check() == f"127.0.0.1:{server.server_port}"
    assert server.bodies == []
    tls = WebhookSettings(url=server.url.replace("http:", "https:"), timeout=20)
    with pytest.raises(SettingsError, match=r"cannot reach 127\.0\.0\.1:\d+: TLS fails: "):
        Webhook(tls, "pi").check()
    with pytest.raises(
        SettingsError, match=r"cannot reach webhook\.invalid: its name does not resolve"
    ):
        Webhook(WebhookSettings(url="http://webhook.invalid/"), "pi").check()


@contextmanager
def _answering(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """The address of a server that reads each request, and answers as it likes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection, contextlib.suppress(OSError):
                    while b"}" not in connection.recv(1 << 16):
                        pass
                    answer(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(30)


def _for_ever(start: bytes, piece: bytes, pause: float = 0.0) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        connection.sendall(start)
        while True:
            connection.sendall(piece)
            time.sleep(pause)

    return answer


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (_for_ever(b"HTTP/1.1 2", b"0", 0.05), "it does not answer in time"),
        (_for_ever(b"HTTP/1.1 200 OK\r\nX: ", b"x", 0.05), "it does not answer in time"),
        (_for_ever(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), "it does not answer in time"),
        (_for_ever(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"), "got more than 100 headers"),
        (_for_ever(b"HTTP/1.1 200 OK\r\nX: ", b"x" * 4096), "got more than 65536 bytes"),
        (_for_ever(b"", b"x" * 4096), "got more than 65536 bytes when reading status line"),
    ],
)
def test_an_answer_without_an_end_is_given_up(
    answer: Callable[[socket.socket], None], problem: str
) -> None:
    with (
        _answering(answer) as url,
        _started(WebhookSettings(url=url, timeout=0.5, tries=2)) as sink,
    ):
        sink.event(make_event(1))
        until(_settled(sink))
        assert (sink.report().sent, sink.report().dropped) == (0, 1)
        assert problem in (sink.report().problem or "")


@pytest.mark.parametrize(
    "head", [b"", b"Content-Encoding: gzip\r\n", b"Content-Length: 9999999999\r\n"]
)
def test_the_body_of_an_answer_is_not_read(head: bytes) -> None:
    answer = _for_ever(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n", b"\x1f\x8b\x08" + 4096 * b"\0")
    with _answering(answer) as url, _started(WebhookSettings(url=url, timeout=30)) as sink:
        sink.event(make_event(1))
        sink.event(make_event(2))
        until(lambda: sink.report().sent == 2)


@pytest.mark.parametrize(
    "value",
    [b"-1", b"1e9", b"NaN", b"inf", b"soon", b"\xff\xfe", b"9" * 6000, b"0x10", b"1, 2", b"", b"\t",
     b"Mon, 1 Jan 99999 00:00:00 GMT", b"Sat, 01 Jan 0000 00:00:00 +9999", b"1\r\n 2"],
)  # fmt: skip
def test_a_retry_after_that_is_none_loses_no_event(value: bytes) -> None:
    answers = iter([b"503 Busy\r\nRetry-After: " + value, b"204 Done"])

    def answer(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 " + next(answers) + b"\r\nContent-Length: 0\r\n\r\n")

    policy = Delays(maximum=0.01)
    with _answering(answer) as url, _started(WebhookSettings(url=url), policy) as sink:
        sink.event(make_event(1))
        until(_settled(sink))
        assert (sink.report().sent, sink.report().dropped) == (1, 0)


def test_a_server_has_few_words(server: Server) -> None:
    words = b"busy\x1b[2J \xe2\x80\xae \xff" + b"x" * 60_000

    def answer(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 400 " + words + b"\r\n\r\n")

    with _answering(answer) as url, _started(WebhookSettings(url=url)) as sink:
        sink.event(make_event(1))
        until(_settled(sink))
        problem = sink.report().problem or ""
        assert problem.startswith(f"{url[7:-1]} answers 400 busy [2J ")
        assert problem.isprintable()
        assert len(problem) < 150


def test_a_redirection_to_itself_is_not_followed(server: Server) -> None:
    server.answers = [(302, {"Location": server.url})] * 5
    with _started(WebhookSettings(url=server.url)) as sink:
        sink.event(make_event(1))
        until(_settled(sink))
        assert sink.report().problem == f"127.0.0.1:{server.server_port} answers 302 Found"
    assert len(server.bodies) == 1


def test_retry_after_is_honoured_within_bounds() -> None:
    in_a_day = formatdate(time.time() + 86400, usegmt=True)
    long_ago = formatdate(0, usegmt=True)
    for header, seconds in (
        (None, 0), ("7", 7), ("86400", 60), ("soon", 0), ("-5", 0), (in_a_day, 60), (long_ago, 0),
        ("", 0), ("0 0 0 0 0", 0), ("Mon, 1 Jan 99999 00:00:00 GMT", 0), ("9" * 400, 60),
    ):  # fmt: skip
        assert webhook._retry_after(header, maximum=60) == seconds
    soon = formatdate(time.time() + 3600, usegmt=True)
    assert 0 < webhook._retry_after(soon, maximum=86400) <= 3600


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://user:s3cret@example.org/", "token-file"),
        ("https://example.org:s3cret/", "webhook url"),
        ("https:///path", "names no host"),
        ("https://example.org/a b", "%-escaped"),
        ("https://example..org/", "example..org is no name of a host"),
    ],
)
def test_an_address_that_cannot_work_is_refused(url: str, expected: str) -> None:
    with pytest.raises(ConfigurationError, match=expected) as caught:
        Webhook(WebhookSettings(url=url), "pi")
    if "user" in url:
        assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "cannot read the webhook-token in .*: No such file"),
        (b"", "is empty; it should hold the webhook-token"),
        (b"\n", "is empty"),
        (b"one\ntwo\n", "several lines"),
        (b"\xff\n", "not UTF-8"),
        ("schlüssel\n".encode(), "characters that HTTP does not allow"),
    ],
)
def test_a_token_that_cannot_be_used_is_refused(
    tmp_path: Path, content: bytes | None, expected: str
) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=expected):
        Webhook(WebhookSettings(url="http://localhost/", token_file=path), "pi")
