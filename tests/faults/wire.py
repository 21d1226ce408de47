"""A wire between a client and a server that a test may cut, freeze, slow down or speak on."""

import contextlib
import socket
import threading
import time


class Wire:
    """Passes TCP connections on to a port of 127.0.0.1.

    Args:
        target: that port.

    Attributes:
        port: to connect to in its place.
        delay: seconds before each small piece from the server is passed on.
        connections: how many there were.
    """

    def __init__(self, target: int) -> None:
        self.delay = 0.0
        self.connections = 0
        self._target = target
        self._open: list[tuple[socket.socket, socket.socket]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *unused: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for pair in self._open:
            for end in pair:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(30)
        self._listener.close()
        for pair in self._open:
            for end in pair:
                end.close()

    def send(self, data: bytes) -> bool:
        """Say something to the newest client in the server's name; whether it could be sent."""
        client, _ = self._open[-1]
        client.settimeout(5)
        try:
            client.sendall(data)
        except OSError:
            return False
        return True

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                try:
                    server = socket.create_connection(("127.0.0.1", self._target))
                except OSError:
                    client.close()
                    continue
                self._open.append((client, server))
                for source, sink, slow in ((client, server, False), (server, client, True)):
                    thread = threading.Thread(target=self._pass, args=(source, sink, slow))
                    self._threads.append(thread)
                    thread.start()

    def _pass(self, source: socket.socket, sink: socket.socket, slow: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(4 if slow and self.delay else 65536):
                if slow:
                    time.sleep(self.delay)
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
