"""A webhook's receiver that does what a test says."""

import json
import socket
import threading
from typing import Any

from tests.device.sources.servers import Server

_GOOD = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"


class Receiver(Server):
    """Answers one event after the other.

    Attributes:
        bodies: what was posted, in its order.
    """

    def __init__(self) -> None:
        self._answer: bytes | None = _GOOD
        self._drips = False
        self.bodies: list[dict[str, Any]] = []
        self._changed = threading.Event()
        super().__init__()

    @property
    def url(self) -> str:
        """Its address, which holds a secret."""
        return f"http://127.0.0.1:{self.port}/hook/s3cret?key=s3cret"

    def misbehave(self, answer: bytes | None, *, drips: bool = False) -> None:
        """Answer otherwise from now on; None to say nothing, `drips` to come to no end."""
        self._changed.clear()
        self._answer, self._drips = answer, drips

    def mend(self) -> None:
        """Answer as it should from now on."""
        self._answer, self._drips = _GOOD, False
        self._changed.set()

    def answer(self, client: socket.socket) -> None:
        """See `Server`."""
        client.settimeout(30)
        with client.makefile("rb") as request:
            length = 0
            while line := request.readline().strip():
                name, _, value = line.decode().partition(":")
                length = int(value) if name.lower() == "content-length" else length
            if not length:
                return
            self.bodies.append(json.loads(request.read(length)))
        answer = self._answer
        if answer is None:
            self._wait()
        elif self._drips:
            # A header that never ends.
            client.sendall(answer.partition(b"\r\n")[0] + b"\r\nX-Padding: ")
            while not self._wait(0.2):
                client.sendall(b"x")
        else:
            client.sendall(answer)

    def _wait(self, seconds: float = 30) -> bool:
        return self._changed.wait(seconds) or self._closing.is_set()

    def close(self) -> None:
        """Vanish."""
        self._changed.set()
        super().close()


def answer(status: str, *headers: str) -> bytes:
    """An answer with a status line such as `500 Internal Server Error`."""
    lines = [f"HTTP/1.1 {status}", *headers, "Content-Length: 0"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
