"""`edgekit record --service`: a clip of what the running service sees."""

import contextlib
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from edgekit.errors import ServiceError
from edgekit.files import decode_json
from edgekit.offline.clip_output import ClipFile
from edgekit_device.health import SERVICE_FOLDER, runtime_folder
from edgekit_device.signals import handled
from edgekit_device.sinks.clip.protocol import (
    CONTROL_SOCKET,
    JSON_LIMIT,
    NOW,
    PIECE_LIMIT,
    ask,
    receive,
)
from edgekit_device.sinks.clip.recording import SYNC_INTERVAL
from edgekit_device.sinks.clip.request import ClipRequest, Outcome

# Seconds for the service to say whether it records.
_REPLY_TIMEOUT = 10.0


def record_from_service(target: Path, request: ClipRequest) -> Outcome:
    """Ask the service for a clip, and write it until it is whole; a signal ends it early.

    Raises:
        ServiceError: there is no service, it refuses, or it ended before the clip was whole.
        OutputError: the clip cannot be written.
    """
    file = ClipFile(target)
    try:
        with _connected((runtime_folder() or SERVICE_FOLDER) / CONTROL_SOCKET) as connection:
            _ask(connection, request)
            connection.settimeout(None)
            # When nothing more comes from here, the service finishes the clip.
            stop = _unless_gone(lambda: connection.shutdown(socket.SHUT_WR))
            call = _unless_gone(lambda: connection.sendall(NOW))
            with handled(stop, {signal.SIGUSR1: call}):
                outcome = _receive_clip(connection, file)
        if outcome is not None and outcome.kept:
            file.finish()
    finally:
        file.close()
    if outcome is None:
        left = f"; {file.part} replays up to there" if file.part.exists() else ""
        raise ServiceError(f"the service ended before the clip was whole{left}")
    return outcome


def _connected(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(_REPLY_TIMEOUT)
    try:
        connection.connect(str(path))
    except PermissionError as error:
        connection.close()
        raise ServiceError(f"{path} is for the service and root alone; use sudo") from error
    except OSError as error:
        connection.close()
        raise ServiceError(
            f"no service listens at {path}; start it (systemctl start edgekit), or record without "
            "--service"
        ) from error
    return connection


def _ask(connection: socket.socket, request: ClipRequest) -> None:
    try:
        reply = ask(connection, msgspec.json.encode(request))
    except (OSError, ValueError) as error:
        raise ServiceError(f"the service does not answer as it should: {error}") from error
    if reply.refusal is not None:
        raise ServiceError(reply.refusal)


def _receive_clip(connection: socket.socket, file: ClipFile) -> Outcome | None:
    """Write the pieces as they come; None where the service ended before all had come."""
    synced = time.monotonic()
    try:
        while piece := receive(connection, PIECE_LIMIT):
            file.append(piece)
            if time.monotonic() - synced >= SYNC_INTERVAL:
                file.sync()
                synced = time.monotonic()
        if piece is None:
            return None
        return decode_json(receive(connection, JSON_LIMIT) or b"", Outcome)
    except (OSError, ValueError):
        return None


def _unless_gone(function: Callable[[], object]) -> Callable[[], None]:
    """The function, for which it is no trouble that the service is gone."""

    def call() -> None:
        with contextlib.suppress(OSError):
            function()

    return call
