"""How `edgekit record --service` and the service talk, over a Unix socket.

A message is its length, four bytes in network order, and that many bytes. The command sends a
`ClipRequest`, and from then on a single byte for "keep the frames around now"; when it sends no
more, the recording ends. The service answers with a `Reply`, the pieces of the clip, an empty
message and an `Outcome`. All but the pieces are JSON.
"""

import contextlib
import socket
import struct
import time

import msgspec

from edgekit.errors import OutputError
from edgekit.files import decode_json

CONTROL_SOCKET = "control.sock"
NOW = b"!"
# Bytes of a message that is no piece of a clip, and of one that is: a frame of 8192 x 8192.
JSON_LIMIT = 4096
PIECE_LIMIT = 1 << 28
_LENGTH = struct.Struct("!I")


class Reply(msgspec.Struct, frozen=True):
    """Whether the service records: why it does not, None when it does."""

    refusal: str | None = None


def send(connection: socket.socket, content: bytes) -> None:
    """Send a message.

    Raises:
        OSError: the other side is gone, or does not take it within the socket's time-out.
    """
    connection.sendall(_LENGTH.pack(len(content)) + content)


def receive(connection: socket.socket, limit: int, timeout: float | None = None) -> bytes | None:
    """The next message; None when the other side ended before it was whole.

    Args:
        connection: to the other side.
        limit: bytes that it may have.
        timeout: seconds in which the whole of it has to come, beside the socket's own for each
            piece.

    Raises:
        OSError: the connection broke, or it did not come within the socket's time-out.
        ValueError: it has more than `limit` bytes.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    head = _receive_exactly(connection, _LENGTH.size, deadline)
    if head is None:
        return None
    (length,) = _LENGTH.unpack(head)
    if length > limit:
        raise ValueError(f"a message of {length} bytes, where {limit} are the maximum")
    return _receive_exactly(connection, length, deadline)


def _receive_exactly(
    connection: socket.socket, length: int, deadline: float | None
) -> bytes | None:
    content = bytearray()
    while len(content) < length:
        if deadline is not None and time.monotonic() > deadline:
            raise TimeoutError("timed out")
        piece = connection.recv(min(length - len(content), 1 << 20))
        if not piece:
            return None
        content += piece
    return bytes(content)


def ask(connection: socket.socket, request: bytes) -> Reply:
    """Send a request, and wait for the reply.

    Raises:
        OSError: the connection broke, or no reply came within the socket's time-out.
        ValueError: what came is no reply.
    """
    # A service that records already says so at once, and listens no more.
    with contextlib.suppress(BrokenPipeError):
        send(connection, request)
    return decode_json(receive(connection, JSON_LIMIT) or b"", Reply)


class ClipStream:
    """A clip on its way to the command that asked for it.

    Args:
        connection: to the command; its time-out bounds how long a piece may take.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.size = 0
        self._connection = connection

    def append(self, data: bytes) -> None:
        """Send a piece.

        Raises:
            OutputError: the command is gone, or takes nothing.
        """
        try:
            send(self._connection, data)
        except OSError as error:
            raise OutputError("the command that recorded is gone, or takes nothing") from error
        self.size += len(data)

    def sync(self) -> None:
        """Nothing: the command cares for the disk."""

    def finish(self) -> None:
        """Nothing: the `Outcome` that follows says that the clip is whole."""

    def close(self) -> None:
        """Nothing: the connection is still needed."""
