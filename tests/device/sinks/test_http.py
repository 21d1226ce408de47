"""The HTTP sink, over real connections."""

import re
import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest
from edgekit_device.health import Health
from edgekit_device.sinks.http import Http, feed
from edgekit_device.sinks.http.limits import Limits

from edgekit.errors import ConfigurationError, SettingsError
from edgekit.inference.events import State
from edgekit.inference.pipeline import Result
from tests.conftest import ROOT
from tests.device.sinks.player import (
    DECISION,
    DRIFT,
    HEALTH,
    LABELS,
    OWN,
    Player,
    make_change,
    make_result,
)
from tests.device.sinks.samples import until
from tests.device.sinks.web import TOKEN, Viewer, ask, ask_status, make, served


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of the frames that were made a JPEG."""
    numbers: list[int] = []
    real = feed._encode

    def encode(result: Result) -> bytes:
        numbers.append(result.frame.number)
        return real(result)

    monkeypatch.setattr(feed, "_encode", encode)
    return numbers


def decode(jpeg: bytes) -> Any:
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


class TestPage:
    def test_is_one_piece_that_loads_nothing_from_elsewhere(self, sink: Http) -> None:
        page = ask(sink, "/")
        assert page.status == 200
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        assert "<h1>pi</h1>" in page.text
        assert "{{" not in page.text
        assert not re.search(r"(?:src|href|url\()=?[\"']?(?:https?:)?//", page.text)

    def test_all_its_files_are_in_it(self, sink: Http) -> None:
        page = ask(sink, "/").text
        folder = ROOT / "device" / "edgekit_device" / "sinks" / "http" / "page"
        for file in [*folder.glob("*.js"), *folder.glob("*.css")]:
            assert file.read_text("utf-8") in page, file.name

    def test_runs_nothing_else(self, sink: Http) -> None:
        policy = ask(sink, "/").headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy

    @pytest.mark.parametrize("path", ["/", "/healthz", "/metrics", "/api/state", "/nowhere"])
    def test_headers_that_protect(self, sink: Http, path: str) -> None:
        headers = ask(sink, path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cache-Control"] == "no-store"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert "Access-Control-Allow-Origin" not in headers

    def test_unknown_address(self, sink: Http) -> None:
        assert ask(sink, "/nowhere").status == 404

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
    @pytest.mark.parametrize("path", ["/", "/api/state", "/stream.mjpg"])
    def test_only_reads(self, sink: Http, method: str, path: str) -> None:
        assert ask(sink, path, method).status == 405

    @pytest.mark.parametrize("path", ["/", "/events", "/stream.mjpg", "/healthz"])
    def test_head_ends(self, sink: Http, path: str) -> None:
        answer = ask(sink, path, "HEAD")
        assert (answer.status, answer.body) == (200, b"")


class TestHealth:
    @pytest.mark.parametrize(
        ("state", "status"),
        [("starting", 503), ("running", 200), ("degraded", 200), ("paused", 200),
         ("stalled", 503), ("stopping", 503)],
    )  # fmt: skip
    def test_healthz(self, state: State, status: int) -> None:
        player = Player(health=msgspec.structs.replace(HEALTH, state=state))
        with served(make(player=player)) as sink:
            answer = ask(sink, "/healthz")
        assert answer.status == status
        assert msgspec.json.decode(answer.body, type=Health) == player.health

    def test_while_it_is_paused_nothing_is_left_of_what_was_seen(self) -> None:
        player = Player()
        with served(make(player=player)) as sink:
            sink.frame(make_result(1))
            sink.event(make_change(1))
            for path in ("/api/state", "/api/decision", "/api/snapshot.jpg"):
                assert ask(sink, path).status == 200
            player.health = msgspec.structs.replace(HEALTH, state="paused")
            sink.health(player.health)
            for path in ("/api/state", "/api/decision", "/api/snapshot.jpg"):
                answer = ask(sink, path)
                assert (answer.status, answer.text) == (503, "It is paused.\n")
            with Viewer(sink, "/events") as viewer:
                hello = next(viewer.messages("hello"))
            assert "label" not in hello and hello["health"]["state"] == "paused"
            # What was decided before is history, and stays.
            assert ask(sink, "/api/history").json["changes"]

    def test_drift_is_in_it_and_no_reason_to_fail(self) -> None:
        player = Player(health=msgspec.structs.replace(HEALTH, drift=DRIFT))
        with served(make(player=player)) as sink:
            for path in ("/healthz", "/api/health"):
                answer = ask(sink, path)
                assert (answer.status, answer.json["state"]) == (200, "running")
                assert answer.json["drift"] == msgspec.to_builtins(DRIFT)

    def test_is_fresh_each_time(self) -> None:
        player = Player()
        with served(make(player=player)) as sink:
            assert ask(sink, "/api/health").json["frames"] == 1234567
            player.health = msgspec.structs.replace(HEALTH, frames=1234568)
            assert ask(sink, "/api/health").json["frames"] == 1234568
            assert ask(sink, "/healthz").json["frames"] == 1234568


class TestInterface:
    @pytest.mark.parametrize(
        "path", ["/api/state", "/api/decision", "/api/labels", "/api/snapshot.jpg"]
    )
    def test_before_the_first_frame(self, sink: Http, path: str) -> None:
        answer = ask(sink, path)
        assert (answer.status, answer.text) == (503, "No frame has been answered yet.\n")

    def test_state_is_the_last_event(self, sink: Http) -> None:
        event = make_change(3, best=1)
        sink.event(event)
        answer = ask(sink, "/api/state")
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.json == msgspec.to_builtins(event)

    def test_decision_is_what_holds(self, sink: Http) -> None:
        sink.frame(make_result(decision=OWN))
        assert ask(sink, "/api/decision").json == msgspec.to_builtins(OWN)
        sink.frame(make_result())
        assert ask(sink, "/api/decision").json["labels"] == {}

    def test_labels_are_all_that_the_model_tells_apart(self, sink: Http) -> None:
        sink.frame(make_result())
        assert ask(sink, "/api/labels").json == {"labels": LABELS}

    def test_history(self, sink: Http) -> None:
        sink.frame(make_result(best=0, score=0.75, age=2))
        sink.frame(make_result(best=1, score=0.9, age=0))
        sink.event(make_change(1, best=1))
        sink.event(msgspec.structs.replace(make_change(2, best=1), event="heartbeat"))
        history = ask(sink, "/api/history").json
        assert [(p["label"], p["score"]) for p in history["history"]] == [
            ("mug", 0.75),
            ("teapot", 0.9),
        ]
        first, second = (p["ts"] for p in history["history"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first)
        assert first < second
        assert [event["event"] for event in history["changes"]] == ["change"]

    def test_history_keeps_minutes_not_frames(self, sink: Http) -> None:
        for number in range(6000):
            sink.frame(make_result(number, pixels=np.zeros((2, 2, 3), np.uint8),
                                   age=600 - number / 10))  # fmt: skip
        points = ask(sink, "/api/history").json["history"]
        assert 900 < len(points) <= 1200

    def test_snapshot_keeps_the_colours(self, sink: Http) -> None:
        red = np.zeros((48, 64, 3), np.uint8)
        red[..., 0] = 200
        sink.frame(make_result(pixels=red))
        answer = ask(sink, "/api/snapshot.jpg")
        assert answer.headers["Content-Type"] == "image/jpeg"
        picture = decode(answer.body)
        assert picture.shape == (48, 64, 3)
        assert np.abs(picture.astype(int) - [200, 0, 0]).max() < 8

    def test_snapshot_is_scaled_down(self, sink: Http) -> None:
        sink.frame(make_result(pixels=np.zeros((720, 1280, 3), np.uint8)))
        assert decode(ask(sink, "/api/snapshot.jpg").body).shape == (360, 640, 3)


class TestPictures:
    def test_move(self, sink: Http) -> None:
        player = Player()
        with player.playing(sink), Viewer(sink) as viewer:
            media_type = viewer.response.headers["Content-Type"]
            assert media_type == "multipart/x-mixed-replace; boundary=frame"
            pictures = viewer.pictures()
            first, second, third = (next(pictures) for _ in range(3))
        assert decode(first).shape == (240, 320, 3)
        assert len({first, second, third}) == 3

    def test_nothing_is_encoded_when_nobody_watches(self, sink: Http, encoded: list[int]) -> None:
        with Viewer(sink, "/events") as viewer:
            for number in range(3):
                sink.frame(make_result(number))
            assert next(viewer.messages("hello"))
        assert encoded == []

    def test_each_is_encoded_once_for_everybody(self, sink: Http, encoded: list[int]) -> None:
        sink.frame(make_result(0))
        with Viewer(sink) as one, Viewer(sink) as another:
            a, b = one.pictures(), another.pictures()
            assert next(a) == next(b) == ask(sink, "/api/snapshot.jpg").body
            sink.frame(make_result(1))
            assert next(a) == next(b)
        assert encoded == [0, 1]

    def test_one_viewer_too_many(self) -> None:
        with served(make(viewers=1)) as sink:
            with Viewer(sink) as viewer:
                sink.frame(make_result())
                next(viewer.pictures())
                refused = ask(sink, "/stream.mjpg")
                assert refused.status == 503
                assert refused.text.startswith("Too many viewers: http.viewers allows 1")
                assert ask(sink, "/api/snapshot.jpg").status == 200
            # Noticed without a new frame.
            until(lambda: ask_status(sink, "/stream.mjpg") == 200)

    def test_a_slow_viewer_delays_nobody(self) -> None:
        # Noise, which JPEG cannot make small.
        noise = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
        with served(make(viewers=2, picture_fps=60.0)) as sink, ExitStack() as stack:
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", sink.port)))
            slow.sendall(b"GET /stream.mjpg HTTP/1.1\r\nHost: localhost\r\n\r\n")
            pictures = stack.enter_context(Viewer(sink)).pictures()
            for number in range(40):
                sink.frame(make_result(number, pixels=np.roll(noise, number, axis=1)))
                assert next(pictures)
            assert ask(sink, "/healthz").status == 200

    @pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux only")
    def test_a_viewer_that_never_reads_is_let_go(self) -> None:
        noise = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
        limits = Limits(send_timeout=0.5)
        with served(make(viewers=1, limits=limits)) as sink, socket.socket() as stuck:
            stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stuck.connect(("127.0.0.1", sink.port))
            stuck.sendall(b"GET /stream.mjpg HTTP/1.1\r\nHost: localhost\r\n\r\n")
            until(lambda: ask_status(sink, "/stream.mjpg") == 503)
            numbers = iter(range(10_000))

            def free() -> bool:
                sink.frame(make_result(pixels=np.roll(noise, next(numbers), axis=1)))
                return ask_status(sink, "/stream.mjpg") == 200

            until(free)


class TestEvents:
    def test_tell_everything_and_then_what_is_new(self) -> None:
        player = Player()
        with served(make(player=player)) as sink:
            sink.frame(make_result(7, best=1, score=0.8))
            sink.event(make_change(7, best=1))
            with Viewer(sink, "/events") as viewer:
                assert viewer.response.headers["Content-Type"].startswith("text/event-stream")
                hello = next(viewer.messages("hello"))
                assert hello["label"] == "teapot"
                assert [label["label"] for label in hello["labels"]] == [
                    "teapot", "mug", "watering can",
                ]  # fmt: skip
                assert hello["changes"][0]["label"] == "teapot"
                assert hello["history"][0][1:] == ["teapot", 0.8]
                assert hello["health"]["state"] == "running"
                assert hello["decision"] == msgspec.to_builtins(DECISION)
                sink.frame(make_result(8, best=2))
                sink.event(make_change(8, best=2))
                assert next(viewer.messages("change"))["label"] == "watering can"
                frame = next(viewer.messages("frame"))
                assert (frame["frame"], frame["label"]) == (8, "watering can")
                player.set_health(sink, "degraded", "the broker is away")
                assert next(viewer.messages("health"))["problems"] == ["the broker is away"]
                sink.frame(make_result(9, best=2, decision=OWN))
                assert next(viewer.messages("decision"))["labels"]["mug"]["ignore"] is True


class TestAccess:
    @pytest.mark.parametrize("host", ["localhost", "localhost:80", "127.0.0.1:1", "[::1]:80"])
    def test_this_machine_by_its_own_names(self, sink: Http, host: str) -> None:
        assert ask(sink, "/api/health", Host=host).status == 200

    @pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "192.0.2.1", "", "[::2]"])
    @pytest.mark.parametrize("path", ["/", "/healthz", "/stream.mjpg"])
    def test_not_by_other_names(self, sink: Http, host: str, path: str) -> None:
        assert ask(sink, path, Host=host).status == 403

    @pytest.mark.parametrize(
        "path", ["/metrics", "/events", "/stream.mjpg", "/api/state", "/api/health",
                 "/api/history", "/api/decision", "/api/labels", "/api/snapshot.jpg", "/nowhere"],
    )  # fmt: skip
    def test_nothing_without_the_token(self, guarded: Http, path: str) -> None:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Cookie": "edgekit-0=x"}):
            answer = ask(guarded, path, **headers)
            assert answer.status == 401
            assert answer.headers["WWW-Authenticate"] == "Bearer"

    def test_with_the_token(self, guarded: Http) -> None:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert ask(guarded, "/api/health", Host="pi.local", **headers).json["state"] == "running"
        assert ask(guarded, "/healthz", **headers).json["frames"] == 1234567
        assert ask(guarded, "/", "PUT", **headers).status == 405

    def test_healthz_tells_strangers_the_state_alone(self, guarded: Http) -> None:
        answer = ask(guarded, "/healthz")
        assert (answer.status, answer.json) == (200, {"state": "running"})

    def test_a_link_with_the_token_lets_a_browser_in(self, guarded: Http) -> None:
        answer = ask(guarded, "/?token=" + TOKEN.replace(" ", "+"))
        assert answer.status == 200
        assert answer.headers["Refresh"] == "0; url=/"
        cookie = answer.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "samesite=strict" in cookie.lower()
        assert TOKEN not in cookie
        shown = cookie.partition(";")[0]
        assert ask(guarded, "/api/health", Cookie=shown).status == 200
        assert "<h1>pi</h1>" in ask(guarded, "/", Cookie=shown).text

    @pytest.mark.parametrize("path", ["/", "/?token=wrong", "/?token=", "/?token=%ff"])
    def test_a_form_for_those_without(self, guarded: Http, path: str) -> None:
        answer = ask(guarded, path)
        assert answer.status == 401
        assert '<form method="post" action="/login">' in answer.text
        assert ("not the right one" in answer.text) == ("token=" in path)
        assert "Set-Cookie" not in answer.headers

    def test_the_form(self, guarded: Http) -> None:
        assert ask(guarded, "/login").status == 405
        assert ask(guarded, "/login", "POST", "token=wrong").status == 401
        assert ask(guarded, "/login", "POST", "token=" + 5000 * "x").status == 413
        answer = ask(guarded, "/login", "POST", "token=correct+horse+battery")
        assert (answer.status, answer.headers["Location"]) == (303, "/")
        shown = answer.headers["Set-Cookie"].partition(";")[0]
        assert ask(guarded, "/api/health", Cookie=shown).status == 200

    def test_a_token_counts_on_loopback_too(self, token_file: Path) -> None:
        with served(make(token_file=token_file)) as sink:
            assert ask(sink, "/api/health").status == 401

    def test_needs_a_token_where_others_can_reach_it(self) -> None:
        with pytest.raises(ConfigurationError, match=r"0\.0\.0\.0:8080, which others can reach"):
            make("0.0.0.0:8080")

    def test_takes_the_token_from_systemd(
        self, token_file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        token_file.rename(token_file.with_name("http-token"))
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(token_file.parent))
        make("0.0.0.0:8080")

    @pytest.mark.parametrize(
        "token",
        [
            "short",
            19 * "x",
            20 * " ",
            20 * "x" + " ",
            "pässwörter-sind-länger",
            "with\ttabulator-in-the-middle",
        ],
    )
    def test_refuses_tokens_that_would_not_work(self, token_file: Path, token: str) -> None:
        token_file.write_text(token, encoding="utf-8")
        with pytest.raises(ConfigurationError, match="20 ASCII characters or more, without blanks"):
            make(token_file=token_file)


class TestListening:
    def test_a_port_that_is_taken(self, sink: Http) -> None:
        other = make(f"127.0.0.1:{sink.port}")
        for attempt in (other.start, other.check):
            with pytest.raises(SettingsError, match="Address already in use") as caught:
                attempt()
            # It may be free when systemd starts us again.
            assert f"port {sink.port}" in str(caught.value)
            assert not isinstance(caught.value, ConfigurationError)
        other.close(timeout=1)

    def test_an_address_of_another_machine(self, token_file: Path) -> None:
        with pytest.raises(SettingsError, match=r"cannot listen on 192\.0\.2\.1"):
            make("192.0.2.1:0", token_file=token_file).start()

    def test_no_address(self, token_file: Path) -> None:
        with pytest.raises(SettingsError, match=r"nowhere\.invalid is no address"):
            make("nowhere.invalid:80", token_file=token_file).start()

    def test_check_says_where(self, token_file: Path) -> None:
        assert make("localhost:0").check() == "http://localhost:0/, for this machine alone"
        assert make("[::1]:0", token_file=token_file).check() == "http://[::1]:0/, with a token"

    @pytest.mark.parametrize("stream", ["/stream.mjpg", "/events"])
    def test_close_with_viewers(self, stream: str) -> None:
        with served(make()) as sink, Viewer(sink, stream) as viewer:
            sink.frame(make_result())
            assert viewer.response.readline()
            ended: list[bytes] = []
            reader = threading.Thread(target=lambda: ended.append(viewer.response.read()))
            reader.start()
            sink.close(timeout=30)
            # The stream is ended in good order, not cut off.
            reader.join(timeout=30)
            assert len(ended) == 1
            with pytest.raises(ConnectionRefusedError):
                ask(sink, "/")

    def test_close_with_a_viewer_that_does_not_read(self, caplog: pytest.LogCaptureFixture) -> None:
        noise = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
        sink = make(picture_fps=60.0, limits=Limits(send_timeout=300.0))
        sink.start()
        with socket.socket() as stuck:
            stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stuck.connect(("127.0.0.1", sink.port))
            stuck.sendall(b"GET /stream.mjpg HTTP/1.1\r\nHost: localhost\r\n\r\n")
            with Viewer(sink) as viewer:
                pictures = viewer.pictures()
                for number in range(20):
                    sink.frame(make_result(number, pixels=np.roll(noise, number, axis=1)))
                    next(pictures)
            sink.close(timeout=1)
            until(lambda: not sink._thread.is_alive())
        assert not caplog.records

    def test_close_at_once(self) -> None:
        for _ in range(20):
            sink = make()
            sink.start()
            sink.close(timeout=30)
            with pytest.raises(ConnectionRefusedError):
                ask(sink, "/")

    def test_takes_messages_before_the_start_and_after_the_end(self) -> None:
        sink = make()
        messages: list[Callable[[], None]] = [
            lambda: sink.frame(make_result()),
            lambda: sink.event(make_change()),
            lambda: sink.health(HEALTH),
        ]
        for tell in messages:
            tell()
        with served(sink):
            assert ask(sink, "/api/state").status == 200
        for tell in messages:
            tell()
        sink.close(timeout=1)
        assert sink.failure is None

    def test_starts_again_on_the_same_port(self, sink: Http) -> None:
        port = sink.port
        with Viewer(sink, "/events"):
            sink.close(timeout=30)
            with served(make(f"127.0.0.1:{port}")) as again:
                assert ask(again, "/healthz").status == 200

    def test_report_counts_what_viewers_got(self, sink: Http) -> None:
        assert sink.report().sent == 0
        sink.frame(make_result())
        with Viewer(sink) as viewer:
            next(viewer.pictures())
        report = sink.report()
        assert (report.sent, report.dropped, report.queued, report.problem) == (1, 0, 0, None)
