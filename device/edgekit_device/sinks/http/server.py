"""The sink: a web server in a thread of its own."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from edgekit.errors import ConfigurationError, OutputError, SettingsError
from edgekit.inference.events import Event
from edgekit.inference.pipeline import Result
from edgekit_device.config.secrets import read_http_token
from edgekit_device.config.settings import HttpSettings
from edgekit_device.health import Health, SinkHealth
from edgekit_device.pictures import EventPicture
from edgekit_device.sinks.base import Sink
from edgekit_device.sinks.http.feed import Feed
from edgekit_device.sinks.http.limits import Limits, no_refusals

if TYPE_CHECKING:
    from uvicorn import Server

    from edgekit_device.sinks.http.app import Part

# Bytes on their way to a viewer: a few pictures, so that a slow one does not see the past.
_SEND_BUFFER = 128 * 1024
# Seconds for which an answer that failed is a problem.
_ERROR_SECONDS = 60.0


class Http(Sink):
    """A live page, `/healthz`, `/metrics` and a JSON interface.

    Args:
        settings: where to listen, and who may look; `listen` must be set.
        device_name: title of the page.
        snapshot: fresh health; called from the server's thread, and returns at once.
        limits: what clients may have.
        parts: of the JSON interface, beside what is always there.

    Attributes:
        port: where it listens; known from `start` on when the settings leave it open with 0.

    Raises:
        ConfigurationError: others could reach it and there is no token, the token cannot be used,
            or the libraries are not installed.
    """

    name = "http"

    def __init__(
        self,
        settings: HttpSettings,
        device_name: str,
        snapshot: Callable[[], Health],
        limits: Limits | None = None,
        parts: "Sequence[Part]" = (),
    ) -> None:
        try:
            import starlette  # noqa: F401
            import uvicorn  # noqa: F401
        except ImportError as error:
            raise ConfigurationError(
                f"http.listen is set, but {error.name} is not installed; install it with: "
                'pip install "edgekit-device[page]"'
            ) from error
        self._settings = settings
        self._device_name = device_name
        self._token = _token(settings)
        self._host, self.port = settings.address()
        self._feed = Feed(snapshot, settings.picture_fps)
        self._limits = limits or Limits()
        self._parts = parts
        self._refused = no_refusals()
        self._error: tuple[float, str] | None = None
        self._server: Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing = False
        # A daemon thread: a connection that cannot be closed must not keep the process alive.
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)

    @property
    def url(self) -> str:
        """Where a browser on this machine finds it."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}/"

    def check(self) -> str:
        """What can be reached where, in words, once it was seen that it can.

        Raises:
            SettingsError: see `start`.
        """
        _bind(self._host, self.port, self._limits.send_timeout).close()
        return f"{self.url}, {'with a token' if self._token else 'for this machine alone'}"

    def start(self) -> None:
        """Listen.

        Raises:
            SettingsError: the address is taken, or none of this machine.
        """
        from edgekit_device.sinks.http.connection import make_server

        listener = _bind(self._host, self.port, self._limits.send_timeout)
        self.port = listener.getsockname()[1]
        self._listener = listener
        self._server, self._guard = make_server(
            self._feed,
            self._device_name,
            self._token,
            self.port,
            self._settings.viewers,
            self._limits,
            self._refused,
            self._note_error,
            self._parts,
        )
        self._thread.start()

    def frame(self, result: Result) -> None:
        """Keep a reference to the newest answer; nothing more."""
        self._feed.put_result(result)

    def event(self, event: Event, picture: EventPicture | None = None) -> None:
        """Show the event to the viewers."""
        self._feed.put_event(event, picture)
        self._call(self._feed.wake)

    def health(self, health: Health) -> None:
        """Show the viewers how the daemon is."""
        self._feed.put_health(health)
        self._call(self._feed.wake)

    def report(self) -> SinkHealth:
        """Pictures and messages sent to viewers, and what clients were refused."""
        problem = None if self.failure is None else str(self.failure)
        if problem is None and self._error is not None:
            when, text = self._error
            problem = text if time.monotonic() - when < _ERROR_SECONDS else None
        refused = {reason: count for reason, count in self._refused.items() if count}
        return SinkHealth(self._feed.sent, dropped=0, queued=0, problem=problem, refused=refused)

    def close(self, timeout: float) -> None:
        """Let the viewers go."""
        self._closing = True
        if self._thread.is_alive():
            self._call(lambda: self._stop(timeout / 2))
            self._thread.join(timeout)

    def _call(self, function: Callable[[], object]) -> None:
        # Before the loop runs nobody listens, nor after it has ended.
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(function)

    def _stop(self, timeout: float) -> None:
        assert self._server is not None
        self._feed.close()
        self._server.should_exit = True
        asyncio.get_running_loop().call_later(timeout, self._guard.abort)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:
            self.failure = OutputError(f"the web server ended: {error}; start edgekit afresh")
        finally:
            self._listener.close()

    def _note_error(self, error: Exception) -> None:
        """What went wrong on our side, for a while a problem."""
        self._error = time.monotonic(), f"cannot serve all: {str(error) or type(error).__name__}"

    def _on_loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What asyncio would write a traceback for: no file left for a connection, say."""
        self._refused["error"] += 1
        self._note_error(context.get("exception") or OutputError(context["message"]))

    async def _serve(self) -> None:
        assert self._server is not None
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(self._on_loop_error)
        if not self._closing:
            await self._server.serve(sockets=[self._listener])


def _token(settings: HttpSettings) -> str | None:
    token = read_http_token(settings.token_file)
    if token is None and not settings.is_loopback():
        raise ConfigurationError(
            f"http.listen is {settings.listen}, which others can reach, and there is no token: "
            "name a file with one in http.token-file, or listen on 127.0.0.1"
        )
    return token


def _bind(host: str, port: int, send_timeout: float) -> socket.socket:
    # Names of this machine often resolve to IPv6 first, where few look for it.
    host = "127.0.0.1" if host == "localhost" else host
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise SettingsError(f"http.listen: {host} is no address: {error.strerror}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Connections inherit these two.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            milliseconds = round(1000 * send_timeout)
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
        listener.bind(address)
        listener.listen()
    except OSError as error:
        listener.close()
        # Another program may give the port back; to be allowed to have it takes other settings.
        wrong = ConfigurationError if isinstance(error, PermissionError) else SettingsError
        raise wrong(
            f"http.listen: cannot listen on {host}, port {port}: {error.strerror}; choose another"
        ) from error
    return listener
