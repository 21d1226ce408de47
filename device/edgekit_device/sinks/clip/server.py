"""Lets `edgekit record --service` have what a running daemon sees, without giving up its camera."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from edgekit.errors import OutputError
from edgekit.files import decode_json
from edgekit.inference.pipeline import Result
from edgekit_device.health import Health, SinkHealth
from edgekit_device.sinks.base import Sink
from edgekit_device.sinks.clip.protocol import (
    CONTROL_SOCKET,
    JSON_LIMIT,
    ClipStream,
    Reply,
    receive,
    send,
)
from edgekit_device.sinks.clip.recording import MEMORY, Recording
from edgekit_device.sinks.clip.request import ClipRequest

# Seconds for a command to say what it wants, and to take a piece of its clip.
_REQUEST_TIMEOUT = 5.0
_PIECE_TIMEOUT = 20.0
# Seconds before connections are taken again, where there was no file for one.
_PAUSE = 1.0
_GAPS = "frames come faster than the command takes them: some are missing in its clip"
_STOPPED = "the service was stopped, or is set otherwise now"


class ClipServer(Sink):
    """Listens on a Unix socket that its own user and root alone can open; see `protocol`.

    The clip's bytes go to the command, which writes them: the daemon needs no access to a disk.
    One recording at a time. Frames that a slow command leaves no memory for are dropped and
    counted; neither it nor one that is gone ever delays the daemon.

    Args:
        folder: where the socket lies.
        health: how the daemon is now.
        memory: bytes of pixels that may wait.
    """

    name = "record"

    def __init__(
        self,
        folder: Path,
        health: Callable[[], Health],
        *,
        memory: int = MEMORY,
    ) -> None:
        self._path = folder / CONTROL_SOCKET
        self._health = health
        self._memory = memory
        self._problem: str | None = None
        self._listener: socket.socket | None = None
        # Guards everything below.
        self._lock = threading.Lock()
        self._closing = False
        self._connection: socket.socket | None = None
        self._recording: Recording | None = None
        self._sent = 0
        self._dropped = 0
        self._serving: threading.Thread | None = None

    def check(self) -> str:
        """Where it would listen."""
        return str(self._path)

    def start(self) -> None:
        """Listen; that it cannot is a problem, but no reason not to answer frames."""
        try:
            self._listener = _listen(self._path)
        except OSError as error:
            self._problem = f"cannot listen on {self._path}: {error.strerror or error}"
            return
        threading.Thread(
            target=self._accept, args=(self._listener,), name="record", daemon=True
        ).start()

    def frame(self, result: Result) -> None:
        """Keep a reference to the frame, if there is a recording that wants it."""
        recording = self._recording
        if recording is not None:
            recording.frame(result)

    def report(self) -> SinkHealth:
        """Frames sent, dropped and waiting, of all recordings together."""
        with self._lock:
            sent, dropped, queued = self._sent, self._dropped, 0
            problem = self._problem
            if self._recording is not None:
                now = self._recording.report()
                sent, dropped, queued = sent + now.sent, dropped + now.dropped, now.queued
                problem = problem or (_GAPS if now.dropped else None)
            return SinkHealth(sent, dropped, queued, problem)

    def close(self, timeout: float) -> None:
        """End the recording; its command learns why, if it takes the rest in time."""
        with self._lock:
            self._closing = True
            connection, serving = self._connection, self._serving
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._path.unlink(missing_ok=True)
            self._listener = None
        if connection is not None:
            _wake(connection)
        if serving is not None:
            serving.join(timeout)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError as error:
                if self._closing:
                    return
                # No file is left for it, say: that passes.
                self._problem = f"cannot take a command's call: {error.strerror or error}"
                time.sleep(_PAUSE)
                continue
            self._problem = None
            with self._lock:
                free = self._connection is None and not self._closing
                if free:
                    self._connection = connection
                    self._serving = threading.Thread(
                        target=self._serve, args=(connection,), name="record", daemon=True
                    )
                    self._serving.start()
            if not free:
                connection.settimeout(_REQUEST_TIMEOUT)
                _refuse(connection, "the service records already; try again when that has ended")
                connection.close()

    def _serve(self, connection: socket.socket) -> None:
        try:
            request = _request(connection)
            if request is not None:
                self._record(connection, request)
        finally:
            with self._lock:
                self._connection = None
            connection.close()

    def _record(self, connection: socket.socket, request: ClipRequest) -> None:
        connection.settimeout(_PIECE_TIMEOUT)
        recording = Recording(
            lambda: ClipStream(connection),
            request,
            self._health,
            lossless=False,
            memory=self._memory,
            on_end=lambda: _wake(connection),
        )
        # A command that is gone is no trouble of ours.
        with contextlib.suppress(OSError, OutputError):
            send(connection, msgspec.json.encode(Reply()))
            recording.start()
            self._recording = recording
            try:
                _attend(connection, recording)
                recording.finish()
            finally:
                with self._lock:
                    self._recording = None
                    self._sent += recording.outcome.kept
                    self._dropped += recording.outcome.dropped
            outcome = recording.outcome
            if self._closing and outcome.reason is None:
                outcome = msgspec.structs.replace(outcome, reason=_STOPPED)
            send(connection, b"")
            send(connection, msgspec.json.encode(outcome))


def _listen(path: Path) -> socket.socket:
    # What a daemon that was killed has left.
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
        # Before it listens, so that nobody else ever gets in.
        path.chmod(0o600)
        listener.listen(4)
    except OSError:
        listener.close()
        raise
    return listener


def _request(connection: socket.socket) -> ClipRequest | None:
    """What a command wants; None where that cannot be understood."""
    connection.settimeout(_REQUEST_TIMEOUT)
    try:
        return decode_json(receive(connection, JSON_LIMIT, _REQUEST_TIMEOUT) or b"", ClipRequest)
    except (OSError, ValueError) as error:
        _refuse(connection, f"the service does not understand the request: {error}")
        return None


def _refuse(connection: socket.socket, reason: str) -> None:
    with contextlib.suppress(OSError):
        send(connection, msgspec.json.encode(Reply(reason)))


def _attend(connection: socket.socket, recording: Recording) -> None:
    """Listen to the command until it has had enough, or the recording has ended."""
    while True:
        try:
            said = connection.recv(64)
        except TimeoutError:
            continue
        except OSError:
            return
        if not said:
            return
        recording.call()


def _wake(connection: socket.socket) -> None:
    """Let `_attend` return."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RD)
