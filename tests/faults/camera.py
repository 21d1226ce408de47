"""A network camera that does what a test says, while it sends."""

import os
import socket

import cv2
import numpy as np

from tests.device.sources.servers import Server
from tests.recordings import SHADES

_HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"


def jpeg(colour: str, width: int = 160, height: int = 120) -> bytes:
    """A picture of one colour with a little structure."""
    pixels = np.full((height, width, 3), SHADES[colour][::-1], np.uint8)
    pixels[::4] //= 2
    return bytes(cv2.imencode(".jpg", pixels)[1])


class Camera(Server):
    """Sends JPEGs over HTTP, all of the same colour.

    Attributes:
        mode: what it does now: `pictures`, `large` ones, those of a `covered` lens, `giants`,
            `halves`, `garbage` in their place, `noise` in the place of the whole stream, `silence`,
            or it `ends`: hangs up, and refuses who connects.
        connections: how often it was connected to.
    """

    def __init__(self, colour: str = "red") -> None:
        self.mode = "pictures"
        self.connections = 0
        whole = jpeg(colour)
        self._bodies = {
            "pictures": whole,
            "large": jpeg(colour, 320, 200),
            "covered": bytes(cv2.imencode(".jpg", np.full((120, 160, 3), 5, np.uint8))[1]),
            "halves": whole[: len(whole) // 2],
            "giants": bytes(cv2.imencode(".jpg", np.zeros((6000, 6000), np.uint8))[1]),
            "garbage": whole[:2] + os.urandom(2000) + whole[-2:],
        }
        super().__init__()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}/live"

    def answer(self, client: socket.socket) -> None:
        """See `Server`."""
        self.connections += 1
        if self.mode == "ends":
            return
        with client.makefile("rb") as request:
            while request.readline().strip():
                pass
        client.sendall(_HEAD)
        for _ in self.paced():
            body = self._bodies.get(self.mode)
            if self.mode == "ends":
                return
            if body is not None:
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n"
                client.sendall(head.encode() + body + b"\r\n")
            elif self.mode == "noise":
                client.sendall(os.urandom(1000))
            # Nothing is sent in silence: who has gone is noticed all the same.
            elif _is_gone(client):
                return


def _is_gone(client: socket.socket) -> bool:
    client.setblocking(False)
    try:
        return client.recv(1) == b""
    except BlockingIOError:
        return False
    finally:
        client.setblocking(True)
