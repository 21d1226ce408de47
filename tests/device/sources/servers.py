"""Network cameras on loopback: one speaks RTSP (RFC 2326), the other sends JPEGs over HTTP."""

import base64
import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

from tests.device.sources.clips import jpeg, write_clip

_SDP = """\
v=0\r
o=- 0 0 IN IP4 127.0.0.1\r
s=camera\r
t=0 0\r
m=video 0 RTP/AVP 33\r
a=rtpmap:33 MP2T/90000\r
a=control:track1\r
"""
_TS_PACKET = 188


class Server:
    """Serves one client at a time on a port of its own; `answer` says what.

    Attributes:
        port: on 127.0.0.1.
        stop_sending: set to end the stream in a way that `hang_up` chooses.
        hang_up: close the connection then; else it stays open, and silent.
        sending: set once the stream has begun.
    """

    def __init__(self) -> None:
        self.stop_sending = threading.Event()
        self.sending = threading.Event()
        self.hang_up = True
        self._closing = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def answer(self, client: socket.socket) -> None:
        """Talk to a client until its stream ends."""
        raise NotImplementedError

    def close(self) -> None:
        """Vanish."""
        self._closing.set()
        self.stop_sending.set()
        # Wakes `accept`.
        with socket.create_connection(("127.0.0.1", self.port)):
            self._thread.join(timeout=30)
        self._listener.close()

    def paced(self) -> Iterator[int]:
        """Count up in the rhythm of a camera until the stream is to end."""
        self.sending.set()
        for number in itertools.count():
            if self.stop_sending.wait(timeout=0.01):
                return
            yield number

    def _serve(self) -> None:
        while True:
            client, _ = self._listener.accept()
            with client:
                if self._closing.is_set():
                    return
                try:
                    self.answer(client)
                    if not self.hang_up:
                        self._closing.wait(timeout=30)
                except OSError:
                    continue


class RtspCamera(Server):
    """Sends a clip over and over, as MPEG-TS in RTP in the RTSP connection itself (TCP)."""

    def __init__(self, folder: Path, password: str | None = None) -> None:
        self._clip = write_clip(folder / "stream.ts", range(0, 250), codec="mp4v").read_bytes()
        self._password = password
        super().__init__()

    def answer(self, client: socket.socket) -> None:
        """See `Server`."""
        with client.makefile("rb") as requests:
            self._answer(client, requests)

    def _answer(self, client: socket.socket, requests: BinaryIO) -> None:
        while True:
            lines = list(iter(lambda: requests.readline().strip().decode(), ""))
            if not lines:
                return
            method = lines[0].split()[0]
            headers = dict(line.split(": ", 1) for line in lines[1:])
            status, extra, body = "200 OK", [], ""
            if method == "DESCRIBE" and not self._knows(headers):
                status, extra = "401 Unauthorized", ['WWW-Authenticate: Basic realm="camera"']
            elif method == "DESCRIBE":
                body = _SDP
                extra = ["Content-Type: application/sdp", f"Content-Length: {len(body)}"]
            elif method == "OPTIONS":
                extra = ["Public: DESCRIBE, SETUP, PLAY, TEARDOWN"]
            elif method == "SETUP" and "RTP/AVP/TCP" not in headers["Transport"]:
                status = "461 Unsupported Transport"
            elif method == "SETUP":
                extra = ["Transport: RTP/AVP/TCP;unicast;interleaved=0-1", "Session: 1"]
            head = [f"RTSP/1.0 {status}", f"CSeq: {headers['CSeq']}", *extra]
            client.sendall(("\r\n".join(head) + "\r\n\r\n" + body).encode())
            if method == "PLAY":
                self._play(client)
                return

    def _knows(self, headers: dict[str, str]) -> bool:
        if self._password is None:
            return True
        expected = base64.b64encode(f"admin:{self._password}".encode()).decode()
        return headers.get("Authorization") == f"Basic {expected}"

    def _play(self, client: socket.socket) -> None:
        size = 7 * _TS_PACKET
        parts = [self._clip[at : at + size] for at in range(0, len(self._clip), size)]
        sequence = itertools.count()
        for number in self.paced():
            # All of it at first: FFmpeg wants to see seconds of a stream before it opens it.
            for _ in parts if number == 0 else range(4):
                now = next(sequence)
                rtp = bytes([0x80, 33]) + (now % 65536).to_bytes(2, "big") + bytes(8)
                packet = rtp + parts[now % len(parts)]
                client.sendall(b"$\0" + len(packet).to_bytes(2, "big") + packet)


class HttpCamera(Server):
    """Sends JPEGs one after the other, as multipart/x-mixed-replace.

    Attributes:
        to_damage: how many of the next pictures are damaged.
        damage: what it does to them; by default the second half is missing.
        mended: set after the last of them.
    """

    def __init__(self) -> None:
        self.to_damage = 0
        self.damage: Callable[[bytes], bytes] = lambda jpeg: jpeg[: len(jpeg) // 2]
        self.mended = threading.Event()
        super().__init__()

    def answer(self, client: socket.socket) -> None:
        """See `Server`."""
        with client.makefile("rb") as request:
            while request.readline().strip():
                pass
        client.sendall(
            b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"
        )
        for number in self.paced():
            picture = jpeg(number % 250).tobytes()
            # Once for each picture: a test sets it while one is on its way.
            damaged = self.to_damage > 0
            if damaged:
                picture = self.damage(picture)
            client.sendall(
                b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%b\r\n"
                % (len(picture), picture)
            )
            if damaged:
                self.to_damage -= 1
                if self.to_damage == 0:
                    self.mended.set()


_S = TypeVar("_S", bound=Server)


@contextmanager
def serving(server: _S) -> Iterator[_S]:
    """Close a server at the end."""
    try:
        yield server
    finally:
        server.close()
