"""Ends the wait of a thread that waits for a socket."""

import contextlib
import socket
import threading


class Waker:
    """A pair of sockets: what one thread writes to the one ends another's wait for the other.

    Attributes:
        socket: to wait for.
    """

    def __init__(self) -> None:
        self.socket, self._end = socket.socketpair()
        self.socket.setblocking(False)
        self._end.setblocking(False)
        self._lock = threading.Lock()

    def rouse(self) -> None:
        """End the wait; from any thread, also after `close`."""
        # One that is full rouses as well as one with a byte more.
        with self._lock, contextlib.suppress(OSError):
            self._end.send(b"!")

    def settle(self) -> None:
        """Wait anew: whatever was asked for so far is seen to."""
        with contextlib.suppress(BlockingIOError):
            self.socket.recv(4096)

    def close(self) -> None:
        """Let go of both."""
        with self._lock:
            self._end.close()
            self.socket.close()
