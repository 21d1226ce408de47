"""A running daemon hands a clip to a command, whatever that command does."""

import shutil
import socket
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from edgekit_device.sinks.clip import server as clip_server
from edgekit_device.sinks.clip.protocol import (
    CONTROL_SOCKET,
    JSON_LIMIT,
    NOW,
    PIECE_LIMIT,
    Reply,
    ask,
    receive,
)
from edgekit_device.sinks.clip.request import ClipRequest, Outcome
from edgekit_device.sinks.clip.server import ClipServer

from edgekit.offline.clip import Clip
from tests.device.sinks.answers import answer, noise
from tests.device.sinks.samples import make_health, until

SIZE = noise(0).nbytes


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path: that of a socket has 107 characters at most."""
    folder = Path(tempfile.mkdtemp())
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def server(folder: Path) -> Iterator[ClipServer]:
    server = ClipServer(folder, make_health, memory=4 * SIZE)
    server.start()
    yield server
    server.close(30)


@contextmanager
def connected(folder: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(30)
        connection.connect(str(folder / CONTROL_SOCKET))
        yield connection


@contextmanager
def recording(folder: Path, request: ClipRequest | None = None) -> Iterator[socket.socket]:
    """A connection over which a clip comes."""
    with connected(folder) as connection:
        assert ask(connection, msgspec.json.encode(request or ClipRequest())).refusal is None
        yield connection


def rest_of(connection: socket.socket, folder: Path) -> tuple[Outcome, list[int]]:
    """What became of it, and the numbers of the frames that came."""
    pieces = []
    while piece := receive(connection, PIECE_LIMIT):
        pieces.append(piece)
    assert piece == b""
    outcome = msgspec.json.decode(receive(connection, JSON_LIMIT) or b"", type=Outcome)
    assert receive(connection, JSON_LIMIT) is None
    if not outcome.kept:
        return outcome, []
    (folder / "a.clip").write_bytes(b"".join(pieces))
    clip = Clip(folder / "a.clip")
    found = [frame.record.number for frame in clip]
    assert clip.cut is None
    return outcome, found


def recorded(server: ClipServer, *numbers: int) -> None:
    """Let the recording have frames, each once there is room for it."""
    for number in numbers:
        until(lambda: server.report().queued < 3)
        server.frame(answer(number))


def under_way(server: ClipServer) -> None:
    """Return once a recording takes frames."""
    until(lambda: server._recording is not None)


def test_its_socket_is_for_its_own_user_alone(server: ClipServer, folder: Path) -> None:
    assert stat.S_IMODE((folder / CONTROL_SOCKET).stat().st_mode) == 0o600
    server.close(30)
    assert not (folder / CONTROL_SOCKET).exists()


def test_a_clip_comes_until_the_command_has_enough(server: ClipServer, folder: Path) -> None:
    with recording(folder) as connection:
        under_way(server)
        recorded(server, *range(3, 10))
        connection.shutdown(socket.SHUT_WR)
        outcome, numbers = rest_of(connection, folder)
    assert numbers == list(range(3, 10))
    assert outcome == Outcome(7, 7, 1, 0, full=False, reason=None)
    assert server.report().sent == 7


def test_a_clip_ends_by_itself_at_its_time(server: ClipServer, folder: Path) -> None:
    with recording(folder, ClipRequest(max_seconds=2)) as connection:
        under_way(server)
        recorded(server, *range(10, 20))
        outcome, numbers = rest_of(connection, folder)
    assert numbers == [10, 11, 12]
    assert outcome.kept == 3


def test_another_recording_comes_after_the_first(server: ClipServer, folder: Path) -> None:
    for _ in range(2):
        with recording(folder) as connection:
            under_way(server)
            recorded(server, 1, 2)
            connection.shutdown(socket.SHUT_WR)
            assert rest_of(connection, folder)[1] == [1, 2]
        until(lambda: server._connection is None)
    assert server.report().sent == 4


def test_a_second_one_at_a_time_is_refused_at_once(server: ClipServer, folder: Path) -> None:
    with recording(folder) as connection, connected(folder) as second:
        under_way(server)
        assert "records already" in (ask(second, b"{}").refusal or "")
        recorded(server, 1)
        connection.shutdown(socket.SHUT_WR)
        assert rest_of(connection, folder)[1] == [1]


@pytest.mark.parametrize(
    "content",
    [b"", b"no JSON", b"[]", b'{"on":["never"]}', b'{"ring":-1}', b'{"path":"/etc/passwd"}',
     b'{"max_seconds":0}', b"{}" + b" " * JSON_LIMIT],
)  # fmt: skip
def test_what_is_no_request_is_refused_and_the_next_one_served(
    server: ClipServer, folder: Path, content: bytes
) -> None:
    with connected(folder) as connection:
        assert "does not understand" in (ask(connection, content).refusal or "")
    until(lambda: server._connection is None)
    with recording(folder):
        under_way(server)


def test_a_signal_of_the_command_keeps_the_frames_around_it(
    server: ClipServer, folder: Path
) -> None:
    with recording(folder, ClipRequest(on=("signal",), ring=1, after=0)) as connection:
        under_way(server)
        recorded(server, 1, 2)
        connection.sendall(NOW)
        found = server._recording
        assert found is not None
        until(lambda: found._called)
        recorded(server, 3, 4, 5)
        connection.shutdown(socket.SHUT_WR)
        assert rest_of(connection, folder)[1] == [2, 3]


def test_a_command_that_reads_nothing_costs_frames_and_not_the_daemon(
    server: ClipServer, folder: Path
) -> None:
    with recording(folder) as connection:
        under_way(server)
        number = 0
        # What the system holds for the connection fills first, then the memory of the daemon.
        while not server.report().dropped:
            server.frame(answer(number))
            number += 1
        assert "frames come faster than the command takes them" in (server.report().problem or "")
        connection.shutdown(socket.SHUT_WR)
        outcome, numbers = rest_of(connection, folder)
    assert server.report().problem is None
    assert outcome.dropped >= 1
    assert outcome.answered == outcome.dropped + outcome.kept == number
    assert len(numbers) == outcome.kept


def test_a_command_that_is_gone_leaves_the_place_to_the_next(
    server: ClipServer, folder: Path
) -> None:
    with recording(folder):
        under_way(server)
        recorded(server, 1, 2)
    server.frame(answer(3))
    until(lambda: server._connection is None)
    server.frame(answer(4))
    with recording(folder) as connection:
        under_way(server)
        recorded(server, 5)
        connection.shutdown(socket.SHUT_WR)
        assert rest_of(connection, folder)[1] == [5]


def test_a_command_that_never_says_what_it_wants_is_sent_away(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgekit_device.sinks.clip.server._REQUEST_TIMEOUT", 0.05)
    server = ClipServer(folder, make_health)
    server.start()
    with connected(folder) as connection:
        reply = msgspec.json.decode(receive(connection, JSON_LIMIT) or b"", type=Reply)
        assert "does not understand" in (reply.refusal or "")
    server.close(30)


def test_a_command_that_says_it_byte_by_byte_is_sent_away(
    server: ClipServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clip_server, "_REQUEST_TIMEOUT", 0.2)
    with connected(folder) as connection:
        connection.sendall((1000).to_bytes(4, "big"))
        with pytest.raises(BrokenPipeError):
            while True:
                connection.sendall(b" ")
                time.sleep(0.02)
    with recording(folder):
        pass


def test_that_no_file_is_left_for_a_call_passes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Short(socket.socket):
        calls = 0

        def accept(self) -> tuple[socket.socket, object]:
            Short.calls += 1
            if Short.calls < 3:
                raise OSError(24, "Too many open files")
            return super().accept()

    monkeypatch.setattr(clip_server.socket, "socket", Short)
    monkeypatch.setattr(clip_server, "_PAUSE", 0.2)
    server = ClipServer(folder, make_health)
    server.start()
    try:
        until(lambda: server.report().problem)
        assert server.report().problem == "cannot take a command's call: Too many open files"
        with recording(folder):
            assert server.report().problem is None
    finally:
        server.close(30)


def test_the_end_of_the_daemon_finishes_the_clip_and_is_told(
    server: ClipServer, folder: Path
) -> None:
    with recording(folder) as connection:
        under_way(server)
        recorded(server, 1, 2)
        server.close(30)
        outcome, numbers = rest_of(connection, folder)
    assert numbers == [1, 2]
    assert "stopped" in (outcome.reason or "")


def test_the_socket_of_a_daemon_that_was_killed_is_no_trouble(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left:
        left.bind(str(folder / CONTROL_SOCKET))
    server = ClipServer(folder, make_health)
    server.start()
    with recording(folder):
        assert server.report().problem is None
    server.close(30)


def test_that_it_cannot_listen_is_a_problem_and_no_end(folder: Path) -> None:
    server = ClipServer(folder / "none", make_health)
    server.start()
    assert "cannot listen on" in (server.report().problem or "")
    server.frame(answer(0))
    server.close(0)


def test_frames_that_nobody_asked_for_are_not_kept(server: ClipServer) -> None:
    server.frame(answer(0))
    assert server.report().queued == server.report().sent == 0
