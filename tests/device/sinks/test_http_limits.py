"""The HTTP sink among clients that are broken, slow, greedy or hostile, over real connections."""

import http.client
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import pytest
from edgekit_device.retry import RetryPolicy
from edgekit_device.sinks.http import Http, feed
from edgekit_device.sinks.http.access import Guesses
from edgekit_device.sinks.http.connection import Connection
from edgekit_device.sinks.http.limits import REFUSALS, Limits, client_of, no_refusals

from tests.conftest import ROOT
from tests.device.sinks.clock import Clock
from tests.device.sinks.player import make_result
from tests.device.sinks.samples import until
from tests.device.sinks.web import TOKEN, Viewer, ask, ask_status, is_cut_off, make, served

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
LOGIN = CHUNKED.replace(b"POST / ", b"POST /login ")


@pytest.fixture(autouse=True)
def silence(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever clients do, nothing of it is in the journal."""
    yield
    assert not caplog.get_records("call")


def connect(sink: Http, source: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(("127.0.0.1", sink.port), 30, (source, 0))


def say(sink: Http, *pieces: bytes) -> bytes:
    """All that is answered to what is not always HTTP, until the connection ends."""
    answer = b""
    with connect(sink) as client:
        try:
            for piece in pieces:
                client.sendall(piece)
            while received := client.recv(1 << 16):
                answer += received
        except (ConnectionResetError, BrokenPipeError):
            pass
    return answer


def stalled(sink: Http, path: str) -> socket.socket:
    """A client that asks, and reads nothing of a long answer."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", sink.port))
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return client


def refused(sink: Http) -> dict[str, int]:
    return sink.report().refused


class TestWhatIsNoHttp:
    @pytest.mark.parametrize(
        "sent",
        [
            [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"],
            [b"\x00" * 100 + b"\r\n\r\n"],
            [b"GET / HTTP/1.1\r\nHost: \xff\xfe\x00\r\n\r\n"],
            [GET + b"No colon\r\n\r\n"],
            [GET + b"X: " + 10_000 * b"x"],
            [GET + b"Content-Length: -1\r\n\r\n"],
            [GET + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n"],
            [GET + b"Transfer-Encoding: gzip, chunked\r\n\r\n"],
            [b"GET / HTTP/1.1\r\n\r\n"],
            [b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"],
            [b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n"],
            [b"GET\r\n\r\n"],
            # In the body, after what would be a request: in one piece, and in two.
            [CHUNKED + b"ZZZ\r\n"],
            [CHUNKED, b"ZZZ\r\n"],
            [CHUNKED + b"ffffffffffffffffffffff\r\n"],
            [LOGIN + b"ZZZ\r\n"],
            [LOGIN, b"3\r\nto", b"ken\r\n"],
        ],
    )  # fmt: skip
    def test_is_refused_and_counted_without_a_line(self, guarded: Http, sent: list[bytes]) -> None:
        assert say(guarded, *sent)[:13] in (b"HTTP/1.1 400 ", b"HTTP/1.1 413 ", b"")
        assert ask_status(guarded, "/healthz") == 200
        assert set(refused(guarded)) <= {"bad-request"}

    def test_what_trips_the_library_itself(
        self, sink: Http, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(connection: Connection) -> None:
            raise ValueError("a bug")

        with monkeypatch.context() as patch:
            patch.setattr(Connection, "handle_events", fail)
            assert say(sink, GET + b"\r\n") == b""
        assert refused(sink) == {"bad-request": 1}
        assert ask_status(sink, "/healthz") == 200

    def test_in_the_middle_of_an_answer(self, sink: Http) -> None:
        with connect(sink) as client:
            client.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 200 ")
            client.sendall(b"ZZZ\r\n\r\n" * 10)
            # Not looked at: one answer is all that a connection has.
            assert client.recv(100)
        assert ask_status(sink, "/healthz") == 200

    @pytest.mark.parametrize(
        ("sent", "status"),
        [
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 403),
            (b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
            (b"TRACE / HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
            (b"CONNECT localhost:22 HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
            (b"BREW / HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
            (b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
            (b"GET //evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
            (b"GET /healthz/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
            (b"GET /%ff%00 HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
            (b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
            (GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 200),
            (GET + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n", 200),
            (GET + b"Expect: 100-continue\r\n\r\n", 200),
            (GET + b"Cookie: ;;=; \xff\r\nAccept: \xff;;q=\r\n\r\n", 200),
            (b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n"
             b"Accept: application/openmetrics-text; version=x.\xb2; escaping=;;q=a\r\n\r\n", 200),
            (b"GET / HTTP/1.0\r\n\r\n", 403),
        ],
    )  # fmt: skip
    def test_what_is_http_is_answered(self, sink: Http, sent: bytes, status: int) -> None:
        assert say(sink, sent).startswith(b"HTTP/1.1 %d " % status)
        assert refused(sink) == {}

    @pytest.mark.parametrize(
        "sent",
        [
            GET + b"X: " + 9000 * b"x" + b"\r\n\r\n",
            GET + 1000 * b"X:yyyyyyyy\r\n" + b"\r\n",
            b"GET /?" + 9000 * b"x" + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        ],
    )
    def test_a_header_that_is_too_long(self, sink: Http, sent: bytes) -> None:
        # In one piece it is understood, in several it is not waited for.
        assert say(sink, sent)[:13] in (b"HTTP/1.1 431 ", b"HTTP/1.1 400 ")

    @pytest.mark.parametrize("host", [b"[", b"[::1", b"]", b"a b", b"::::", b"x:99999", b"@", b"%"])
    def test_a_host_that_is_none(self, sink: Http, guarded: Http, host: bytes) -> None:
        request = b"GET /healthz HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"
        assert say(sink, request).startswith(b"HTTP/1.1 403 ")
        assert say(guarded, request).startswith(b"HTTP/1.1 200 ")
        assert refused(sink) == refused(guarded) == {}

    @pytest.mark.parametrize(
        "smuggled",
        [
            CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Length: 4\r\n\r\n") + b"0\r\n\r\n",
            GET + b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            GET + b"\r\n",
            GET + b"Content-Length: 5\r\n\r\nhello",
        ],
    )
    def test_a_connection_has_one_answer(self, sink: Http, smuggled: bytes) -> None:
        answer = say(sink, smuggled + b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answer.count(b"HTTP/1.1 ") == 1
        assert b"edgekit_frames_total" not in answer

    def test_bodies_are_for_the_form_alone(self, sink: Http) -> None:
        assert ask(sink, "/events", "GET", "x").status == 413
        assert ask(sink, "/healthz", "POST", "x").status == 405


class TestTime:
    def test_for_a_request(self) -> None:
        with served(make(limits=Limits(request_timeout=0.2))) as sink:
            for number, start in enumerate((b"", b"GET / HTTP/1.1\r\nHost: local"), 1):
                with connect(sink) as client:
                    client.sendall(start)
                    assert is_cut_off(client)
                assert refused(sink) == {"request-timeout": number}

    def test_for_a_request_that_comes_byte_by_byte(self) -> None:
        with served(make(limits=Limits(request_timeout=0.2))) as sink, connect(sink) as client:
            client.settimeout(0.01)
            with pytest.raises((BrokenPipeError, ConnectionResetError)):
                client.sendall(GET + b"X: ")
                while True:
                    client.sendall(b"x")
                    try:
                        assert not client.recv(1)
                        raise ConnectionResetError
                    except TimeoutError:
                        pass
            assert refused(sink) == {"request-timeout": 1}

    def test_for_a_form(self, token_file: Path) -> None:
        limits = Limits(request_timeout=0.2)
        with (
            served(make(token_file=token_file, limits=limits)) as sink,
            connect(sink) as client,
        ):
            client.sendall(
                b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\ntok"
            )
            assert is_cut_off(client)
            assert ask(sink, "/healthz").status == 200
            assert refused(sink) == {"request-timeout": 1}

    def test_who_asked_may_watch_for_as_long_as_it_likes(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(feed, "_TICK_SECONDS", 0.25)
        limits = Limits(request_timeout=0.2, send_timeout=0.2)
        with served(make(limits=limits)) as sink, Viewer(sink, "/events") as viewer:
            frames = viewer.messages("frame")
            assert [next(frames)["now"] for _ in range(4)]
            assert refused(sink) == {}

    def test_for_a_reader_of_pictures(self) -> None:
        noise = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
        with (
            served(make(picture_fps=60.0, limits=Limits(send_timeout=0.2))) as sink,
            closing(stalled(sink, "/stream.mjpg")),
        ):
            numbers = iter(range(10_000))

            def cut_off() -> bool:
                sink.frame(make_result(pixels=np.roll(noise, next(numbers), axis=1)))
                return refused(sink) == {"send-timeout": 1}

            until(cut_off)

    def test_for_a_reader_of_events(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(feed, "_TICK_SECONDS", 0.0001)
        with (
            served(make(limits=Limits(send_timeout=0.2))) as sink,
            closing(stalled(sink, "/events")),
        ):
            until(lambda: refused(sink) == {"send-timeout": 1})

    def test_for_the_rest_of_a_whole_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is left in memory when the answer is complete does not stay for ever."""
        # The system's own limit is for a client that takes nothing at all.
        monkeypatch.delattr(socket, "TCP_USER_TIMEOUT", raising=False)
        with served(make(limits=Limits(send_timeout=0.2))) as sink:
            noise = np.random.default_rng(0).integers(0, 255, (4000, 640, 3), np.uint8)
            sink.frame(make_result(pixels=noise))
            with closing(stalled(sink, "/api/snapshot.jpg")):
                until(lambda: refused(sink) == {"send-timeout": 1})


class TestNumber:
    def test_half_open_requests_keep_nobody_out(self, sink: Http) -> None:
        with ExitStack() as stack:
            flood = [stack.enter_context(connect(sink)) for _ in range(200)]
            for client in flood[100:]:
                client.sendall(GET)
            for path in ("/healthz", "/metrics", "/api/health", "/"):
                assert ask(sink, path).status == 200
            # Those that have waited longest gave way.
            assert is_cut_off(flood[0])
            until(lambda: refused(sink)["connection-limit"] >= 200 - 64)

    def test_a_client_takes_nothing_from_others(self) -> None:
        limits = Limits(client_connections=3)
        with served(make(limits=limits)) as sink, ExitStack() as stack:
            other = stack.enter_context(connect(sink, "127.0.0.2"))
            own = [stack.enter_context(connect(sink)) for _ in range(4)]
            assert is_cut_off(own[0])
            for client in (other, own[3]):
                client.sendall(GET + b"\r\n")
                assert client.recv(100).startswith(b"HTTP/1.1 200 ")

    def test_many_clients_have_a_limit_together(self) -> None:
        limits = Limits(connections=5)
        with served(make(limits=limits)) as sink, ExitStack() as stack:
            clients = [
                stack.enter_context(connect(sink, f"127.0.0.{number}")) for number in range(2, 8)
            ]
            assert is_cut_off(clients[0])
            clients[1].sendall(GET + b"\r\n")
            assert clients[1].recv(100).startswith(b"HTTP/1.1 200 ")

    def test_who_is_answered_gives_way_last(self) -> None:
        limits = Limits(client_connections=2, send_timeout=60.0)
        with served(make(limits=limits)) as sink:
            noise = np.random.default_rng(0).integers(0, 255, (4000, 640, 3), np.uint8)
            sink.frame(make_result(pixels=noise))
            with closing(stalled(sink, "/api/snapshot.jpg")) as reader:
                # As much as the system takes has arrived.
                assert reader.recv(100, socket.MSG_PEEK)
                with connect(sink) as mute, connect(sink):
                    assert is_cut_off(mute)
                read = http.client.HTTPResponse(reader)
                read.begin()
                assert len(read.read()) == int(read.headers["Content-Length"])

    def test_forms_that_do_not_come_to_their_end_keep_nobody_out(self, token_file: Path) -> None:
        limits = Limits(client_connections=3)
        form = b"POST /login HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\ntoken"
        with (
            served(make(token_file=token_file, limits=limits)) as sink,
            ExitStack() as stack,
        ):
            forms = [stack.enter_context(connect(sink)) for _ in range(3)]
            for client in forms:
                client.sendall(form)
            until(lambda: all(each.cycle is not None for each in list(sink._guard._open)))
            assert ask(sink, "/healthz").status == 200
            assert is_cut_off(forms[0])

    def test_slow_readers_keep_nobody_out(self) -> None:
        limits = Limits(client_connections=3, send_timeout=60.0)
        noise = np.random.default_rng(0).integers(0, 255, (4000, 640, 3), np.uint8)
        with served(make(limits=limits)) as sink, ExitStack() as stack:
            sink.frame(make_result(pixels=noise))
            for _ in range(3):
                stack.enter_context(closing(stalled(sink, "/api/snapshot.jpg")))
            until(lambda: [each.is_answered() for each in list(sink._guard._open)] == 3 * [True])
            assert ask(sink, "/healthz").status == 200

    def test_readers_of_events_keep_nobody_out(self) -> None:
        with served(make(viewers=2, limits=Limits(events=1))) as sink, ExitStack() as stack:
            for path in ("/events", "/events", "/events", "/stream.mjpg", "/stream.mjpg"):
                assert stack.enter_context(Viewer(sink, path)).response.status == 200
            answer = ask(sink, "/events")
            assert (answer.status, answer.text) == (503, "Too many readers: 3 at once.\n")
            assert answer.headers["Retry-After"] == "5"
            assert ask(sink, "/healthz").status == ask(sink, "/metrics").status == 200
            assert refused(sink) == {"stream-limit": 1}

    def test_streams_do_not_give_way(self) -> None:
        with served(make(limits=Limits(connections=2))) as sink, ExitStack() as stack:
            viewer = stack.enter_context(Viewer(sink, "/events"))
            assert next(viewer.messages("hello"))
            for _ in range(5):
                stack.enter_context(connect(sink))
            until(lambda: refused(sink).get("connection-limit") == 3)
            assert next(viewer.messages("frame"))

    def test_a_thousand_that_come_and_go_leave_nothing(self, sink: Http) -> None:
        def files() -> int:
            return len(list(Path("/proc/self/fd").iterdir()))

        assert ask(sink, "/metrics").status == 200
        until(lambda: not sink._guard._open)
        before = files()
        for number in range(1000):
            with connect(sink) as client:
                if number % 2:
                    client.sendall(GET)
        until(lambda: not sink._guard._open)
        assert files() <= before
        assert ask(sink, "/healthz").status == 200

    def test_no_files_left(self, sink: Http, monkeypatch: pytest.MonkeyPatch) -> None:
        """As asyncio tells it: a problem for a while, and no line for each try."""
        monkeypatch.setattr("edgekit_device.sinks.http.server._ERROR_SECONDS", 0.5)
        assert ask(sink, "/healthz").status == 200
        loop = sink._loop
        assert loop is not None
        context = {"message": "accept", "exception": OSError(24, "Too many open files")}
        loop.call_soon_threadsafe(loop.call_exception_handler, context)
        until(lambda: sink.report().problem)
        assert sink.report().problem == "cannot serve all: [Errno 24] Too many open files"
        assert refused(sink) == {"error": 1}
        until(lambda: sink.report().problem is None)

    @pytest.mark.parametrize(
        ("address", "client"),
        [
            (("192.0.2.7", 80), "192.0.2.7"),
            (("2001:db8:1:2:3:4:5:6", 80, 0, 0), "2001:db8:1:2::/64"),
            (("2001:db8:1:2:ffff::1", 80, 0, 0), "2001:db8:1:2::/64"),
            (("::ffff:192.0.2.7", 80, 0, 0), "192.0.2.7"),
            (("fe80::1%eth0", 80, 0, 3), "fe80::/64"),
            (["192.0.2.7", 80], "192.0.2.7"),
            (None, ""),
            ((), ""),
        ],
    )
    def test_who_counts_as_one(self, address: object, client: str) -> None:
        assert client_of(address) == client


class TestOurOwnMistakes:
    def test_an_answer_that_fails_is_a_problem_and_no_traceback(
        self, sink: Http, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail() -> None:
            raise KeyError("lost")

        monkeypatch.setattr(sink._feed, "_snapshot", fail)
        for _ in range(3):
            assert ask(sink, "/healthz").status == 500
        until(lambda: refused(sink) == {"error": 3})
        assert sink.report().problem == "cannot serve all: 'lost'"
        assert ask(sink, "/").status == 200


class TestGuesses:
    @pytest.fixture
    def refused(self) -> Counter[str]:
        return no_refusals()

    @pytest.fixture
    def guesses(self, clock: Clock, refused: Counter[str]) -> Guesses:
        return Guesses(TOKEN, RetryPolicy(1.0, 60.0, jitter=0.0), refused, clock)

    def test_the_wait_grows(self, guesses: Guesses, clock: Clock) -> None:
        waits = []
        for _ in range(12):
            clock.now += guesses.wait("a")
            assert not guesses.is_right("a", "wrong")
            waits.append(guesses.wait("a"))
        assert waits == [0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]

    def test_nothing_is_looked_at_meanwhile(
        self, guesses: Guesses, clock: Clock, refused: Counter[str]
    ) -> None:
        for _ in range(4):
            guesses.is_right("a", "wrong")
        clock.now += 0.75
        assert guesses.wait("a") == 0.25
        assert not guesses.is_right("a", TOKEN)
        # Nor does that make it longer.
        clock.now += 0.25
        assert guesses.is_right("a", TOKEN)
        assert (refused["wrong-token"], refused["token-pause"]) == (4, 1)

    def test_a_right_one_does_not_end_it(self, guesses: Guesses) -> None:
        for _ in range(3):
            guesses.is_right("a", "wrong")
        assert guesses.is_right("a", TOKEN)
        guesses.is_right("a", "wrong")
        assert guesses.wait("a") == 1

    def test_others_do_not_wait(self, guesses: Guesses) -> None:
        for _ in range(9):
            guesses.is_right("a", "wrong")
        assert guesses.is_right("b", TOKEN)

    def test_they_are_forgotten(self, guesses: Guesses, clock: Clock) -> None:
        for _ in range(4):
            guesses.is_right("a", "wrong")
        clock.now += 600
        guesses.is_right("a", "wrong")
        assert guesses.wait("a") == 0

    def test_memory_is_bounded(self, guesses: Guesses) -> None:
        for number in range(5000):
            for _ in range(4):
                guesses.is_right(str(number), "wrong")
        assert len(guesses._wrong) == 1024
        assert guesses.wait("4999") == 1
        assert guesses.wait("0") == 0

    def test_over_http(self, token_file: Path) -> None:
        limits = Limits(wrong_token=RetryPolicy(3600.0, 3600.0, jitter=0.0))
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        with served(make("0.0.0.0:0", token_file=token_file, limits=limits)) as sink:
            cookie = ask(sink, "/?token=" + TOKEN.replace(" ", "+")).headers["Set-Cookie"]
            assert ask(sink, "/metrics", Authorization="Bearer wrong").status == 401
            assert ask(sink, "/?token=wrong").status == 401
            assert ask(sink, "/login", "POST", "token=wrong").status == 401
            # Whether a token is right may not show at this address either.
            assert ask(sink, "/healthz", Authorization="Bearer wrong").json == {"state": "running"}
            for answer in (
                ask(sink, "/metrics", **bearer),
                ask(sink, "/?token=" + TOKEN.replace(" ", "+")),
                ask(sink, "/login", "POST", "token=correct+horse+battery"),
            ):
                assert answer.status == 429
                assert 3500 < int(answer.headers["Retry-After"]) <= 3600
                assert "Too many wrong tokens came from your address: wait 3" in answer.text
                assert "Set-Cookie" not in answer.headers
            assert ask(sink, "/healthz", **bearer).json == {"state": "running"}
            # Who was let in before, stays; and a cookie is no guess.
            shown = cookie.partition(";")[0]
            assert ask(sink, "/metrics", Cookie=shown).status == 200
            assert ask(sink, "/metrics", Cookie="edgekit-0=wrong").status == 401
            assert refused(sink) == {"wrong-token": 4, "token-pause": 4}


def test_the_documentation_names_all_reasons() -> None:
    text = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
    table = text.partition("| reason |")[2].partition("\n\n")[0]
    assert [reason for reason in REFUSALS if f"`{reason}`" not in table] == []


def test_a_reload_under_a_flood_gets_the_port_back() -> None:
    """The next server listens on the address of the one that is closed."""
    first = make()
    first.start()
    stop = threading.Event()

    def flood() -> None:
        with ExitStack() as stack:
            while not stop.is_set():
                try:
                    stack.enter_context(connect(first)).sendall(GET)
                except OSError:
                    stop.wait(0.01)

    def answers(server: Http) -> bool:
        # Who is slow to ask gives way to the flood.
        try:
            return ask(server, "/healthz").status == 200
        except (OSError, http.client.HTTPException):
            return False

    thread = threading.Thread(target=flood)
    try:
        with Viewer(first, "/events"):
            thread.start()
            until(lambda: refused(first).get("connection-limit"))
            first.close(timeout=0.8)
            with served(make(f"127.0.0.1:{first.port}")) as second:
                until(lambda: answers(second))
    finally:
        stop.set()
        thread.join()
