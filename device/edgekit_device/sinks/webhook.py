"""Events, POSTed as JSON to an address."""

import base64
import http.client
import io
import secrets
import socket
import threading
import time
import urllib.error
import urllib.request
from email.utils import parsedate_to_datetime
from http.client import HTTPException, HTTPMessage
from typing import IO, Any
from urllib.parse import urlsplit

import msgspec

from edgekit import __version__
from edgekit.errors import ConfigurationError, OutputError, SettingsError
from edgekit.inference.events import Event
from edgekit.text import one_line
from edgekit_device.config.secrets import read_secret
from edgekit_device.config.settings import WebhookSettings
from edgekit_device.health import SinkHealth
from edgekit_device.pictures import EventPicture, KeptPictures
from edgekit_device.retry import WEBHOOK, RetryPolicy
from edgekit_device.sinks.base import Outbox, Sink
from edgekit_device.sinks.reasons import reason

# Of a request, each with the timeout: connect, TLS, send, answer.
_STEPS = 4
# Characters of the server's own words that are shown.
_REASON = 100
# Pictures that may wait, and their bytes.
_PICTURES, _PICTURE_BYTES = 16, 4 << 20


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected POST would arrive as a GET without the event, or at a host nobody named."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> None:
        """Turn the redirection into an error."""


class _Answer(http.client.HTTPResponse):
    """An answer whose head has to come within the connection's timeout, all of it.

    http.client's own limit is for each piece: a byte now and then would hold an event for ever.
    """

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp.close()
        self.fp = io.BufferedReader(_Reader(sock))


class _Reader(io.RawIOBase):
    """Reads from a socket for as long as its timeout is, in all."""

    def __init__(self, sock: socket.socket) -> None:
        self._file = sock.makefile("rb", buffering=0)  # keeps it open
        self._socket = sock
        self._deadline = time.monotonic() + (sock.gettimeout() or 0.0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()


class _Connection(http.client.HTTPConnection):
    response_class = _Answer


class _TlsConnection(http.client.HTTPSConnection):
    response_class = _Answer


class _Handler(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Connection, req)


class _TlsHandler(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_TlsConnection, req)


class Webhook(Sink):
    """Sends each event, with the device's name, to an address, in order, one at a time.

    An event is tried again when the server is away, busy (429) or failing (5xx). Its picture is
    no reason to lose it: the last of several tries goes without, and so does one more where a
    server refuses both together for good. Addresses of webhooks are often secrets themselves:
    messages name the host alone.

    Args:
        settings: with a url.
        device_name: field `name` of each body.
        policy: delays between the tries; none is longer, whatever a server asks for.

    Raises:
        ConfigurationError: the address or the token cannot be used.
    """

    name = "webhook"
    owes_events = True

    def __init__(
        self, settings: WebhookSettings, device_name: str, policy: RetryPolicy = WEBHOOK
    ) -> None:
        self._url = settings.url or ""
        self._host = _host(self._url)
        self._tries = settings.tries
        self._timeout = settings.timeout
        self._device_name = device_name
        self._form = settings.picture
        self._headers = {"User-Agent": f"edgekit/{__version__}"}
        token = read_secret(settings.token_file, "webhook-token")
        if token is not None:
            if not (token.isascii() and token.isprintable()):
                raise ConfigurationError(
                    "the webhook-token has characters that HTTP does not allow"
                )
            self._headers["Authorization"] = f"Bearer {token}"
        self._policy = policy
        self._opener = urllib.request.build_opener(_NoRedirect, _Handler, _TlsHandler)
        self._problem: str | None = None
        self._pictures = KeptPictures(_PICTURES, _PICTURE_BYTES)
        self._refused = 0  # pictures
        self._left_out: str | None = None  # why the last one was
        self._closing = threading.Event()
        self._closed = False
        # Each step of a request has the timeout; a name may have many addresses.
        self._outbox = Outbox(
            "webhook", self._deliver, limit=1000, patience=_STEPS * settings.timeout
        )

    def check(self) -> str:
        """Ask for the address's options (OPTIONS), to which any answer will do.

        Returns:
            The host.

        Raises:
            SettingsError: nobody answers there.
        """
        request = urllib.request.Request(self._url, method="OPTIONS")
        try:
            self._opener.open(request, timeout=self._timeout).close()
        except urllib.error.HTTPError as error:
            error.close()
        except (OSError, HTTPException, ValueError) as error:
            raise SettingsError(self._unreachable(error)) from error
        return self._host

    def start(self) -> None:
        """Begin to post; a server that is away is no error."""
        self._outbox.start()

    def event(self, event: Event, picture: EventPicture | None = None) -> None:
        """Queue an event; the oldest of more than 1,000 is dropped, and of its pictures sooner."""
        jpeg = picture.published if picture is not None and self._form != "none" else None
        if jpeg is not None:
            self._pictures.put(event.id, jpeg)
        self._outbox.put(event)

    def report(self) -> SinkHealth:
        """Events posted, given up and waiting, and pictures that were not."""
        report = self._outbox.report(self._problem or self._left_out)
        dropped = self._pictures.gone + self._refused
        return msgspec.structs.replace(report, pictures_dropped=dropped)

    def close(self, timeout: float) -> None:
        """Post what waits, each with one more try and no delay, for at most `timeout` seconds."""
        self._closing.set()
        self._outbox.close(timeout)
        self._pictures.give_up()
        self._closed = True

    def _deliver(self, event: Event) -> None:
        jpeg = self._pictures.take(event.id)
        # What goes with each try.
        without: list[bytes | None] = [None]
        plan = without * self._tries
        if jpeg is not None:
            plan = [*[jpeg] * max(1, self._tries - 1), *without]
        tried = 0
        while plan:
            goes, tried, closing = plan.pop(0), tried + 1, self._closing.is_set()
            try:
                self._post(event, goes)
            except urllib.error.HTTPError as error:
                error.close()
                words = one_line(error.reason, _REASON)
                self._problem = f"{self._host} answers {error.code} {words}".rstrip()
                refused = error.code != 429 and error.code < 500
                asked = _retry_after(error.headers.get("Retry-After"), self._policy.maximum)
            # urllib lets a ValueError out on a redirection to what is no address.
            except (OSError, HTTPException, ValueError) as error:
                self._problem = self._unreachable(error)
                refused, asked = False, 0.0
            else:
                self._note_delivery(jpeg, goes)
                return
            if refused:
                plan = without if goes is not None else []
            elif closing or self._closed:
                break
            elif plan:
                self._closing.wait(max(asked, self._policy.delay(tried)))
        self._refused += jpeg is not None
        raise OutputError(self._problem)

    def _note_delivery(self, jpeg: bytes | None, went: bytes | None) -> None:
        """An event was delivered, with its picture if it had one and that `went` along."""
        if jpeg is not None and went is None:
            self._refused += 1
            self._left_out = (
                f"{self._problem}, with a picture of {len(jpeg):,} bytes; its event went without: "
                'set pictures.size = "small", or let the server take more'
            )
        elif went is not None:
            self._left_out = None
        self._problem = None

    def _post(self, event: Event, jpeg: bytes | None) -> None:
        kind, body = self._body(event, jpeg)
        headers = {**self._headers, "Content-Type": kind}
        request = urllib.request.Request(self._url, body, headers, method="POST")
        # The status is all we want; closing spares us an endless body.
        self._opener.open(request, timeout=self._timeout).close()

    def _body(self, event: Event, jpeg: bytes | None) -> tuple[str, bytes]:
        """Content type and body of a request."""
        content = {"name": self._device_name, **msgspec.to_builtins(event)}
        if self._form != "none" and jpeg is None:
            content.pop("picture", None)  # as it is left out where there never was one
        if self._form == "base64" and jpeg is not None:
            content["picture_base64"] = base64.b64encode(jpeg).decode()
        json = msgspec.json.encode(content)
        if self._form == "multipart" and jpeg is not None:
            return _multipart(json, jpeg, f"{event.id}.jpg")
        return "application/json", json

    def _unreachable(self, error: Exception) -> str:
        return f"cannot reach {self._host}: {reason(error)}"


def _multipart(json: bytes, jpeg: bytes, name: str) -> tuple[str, bytes]:
    """Content type and body of a form (RFC 7578) with the parts `event` and `picture`."""
    # Random, so that it is in no picture.
    boundary = secrets.token_hex(16)
    parts = (
        ('name="event"', "application/json", json),
        (f'name="picture"; filename="{name}"', "image/jpeg", jpeg),
    )
    body = b"".join(
        f"--{boundary}\r\nContent-Disposition: form-data; {what}\r\n"
        f"Content-Type: {kind}\r\n\r\n".encode()
        + content
        + b"\r\n"
        for what, kind, content in parts
    )
    return f"multipart/form-data; boundary={boundary}", body + f"--{boundary}--\r\n".encode()


def _host(url: str) -> str:
    """The part of an address that may be shown.

    Raises:
        ConfigurationError: it is no address, or has a password in it.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigurationError(f"webhook url: {error}") from error
    if not host or not url.isascii() or not url.isprintable() or " " in url:
        raise ConfigurationError("webhook url: it names no host, or has characters to be %-escaped")
    try:
        host.encode("idna")
    except UnicodeError as error:
        raise ConfigurationError(f"webhook url: {host} is no name of a host") from error
    if parts.username is not None:
        raise ConfigurationError(
            "webhook url: it holds a user name or password; put a token into token-file instead"
        )
    return host if port is None else f"{host}:{port}"


def _retry_after(value: str | None, maximum: float) -> float:
    """Seconds that a Retry-After header (RFC 9110, 10.2.3) asks for, within bounds."""
    if value is None:
        return 0.0
    try:
        delay = parsedate_to_datetime(value).timestamp() - time.time()
    # It fails in many ways on what is no date.
    except Exception:
        digits = value.strip()
        delay = float(digits) if digits.isdecimal() else 0.0
    return min(max(delay, 0.0), maximum)
