"""One connection to an MQTT broker: every wait has a time-out, every failure a reason in words."""

import select
import socket
import ssl
import time
from collections.abc import Callable, Sequence

from paho.mqtt.client import Client, ConnectFlags, MQTTMessage, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edgekit.errors import ConfigurationError, OutputError
from edgekit_device.config.secrets import read_secret
from edgekit_device.config.settings import MqttSettings
from edgekit_device.sinks.reasons import reason

KEEPALIVE = 30
"""Seconds of silence after which the broker is asked whether it is there; twice that ends it."""
PACKET_LIMIT = 1 << 16
"""Bytes of a packet that is taken; those that a broker has for us have a few."""


class OversizedPacketError(OutputError):
    """The broker has begun to send a packet larger than is taken."""


class _Client(Client):
    """Refuses a packet by the length that its head says, before there is memory for it.

    MQTT 3.1.1 has no way to ask for small ones, and paho takes up to 256 MB.
    """

    packet_limit = PACKET_LIMIT

    def _sock_recv(self, bufsize: int) -> bytes:
        # paho asks for all that is left of a packet.
        if bufsize > self.packet_limit:
            raise OversizedPacketError(
                f"sends a packet of {bufsize:,} bytes, where {self.packet_limit:,} are the maximum"
            )
        return super()._sock_recv(bufsize)


class _TlsSocket(ssl.SSLSocket):
    """Closed when the handshake fails; paho leaves that to the garbage collector."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except ConnectionError as error:
            self.close()
            hint = "it breaks the TLS handshake off; does this port expect TLS?"
            raise ConnectionError(error.errno, hint) from error
        except BaseException:
            self.close()
            raise


class Connection:
    """An open connection. Belongs to one thread, which has to call `turn` again and again.

    paho's own loop would reconnect by itself, at moments and for reasons that we could not tell.

    Args:
        settings: with a host.
        client_id: a broker ends an older connection of the same name.
        will: retained topic to which the broker publishes `offline` when the connection breaks.
        timeout: seconds for each step of connecting.
        packet_limit: bytes of the largest packet that is taken.

    Attributes:
        where: which broker, in words.
        refused: filters that the broker lets us not subscribe to.
        marks: of `mark`, how many have come.

    Raises:
        OutputError: the broker cannot be reached, or does not want us.
        ConfigurationError: a certificate, key or password cannot be used.
    """

    def __init__(
        self,
        settings: MqttSettings,
        client_id: str,
        *,
        will: str | None = None,
        timeout: float,
        packet_limit: int = PACKET_LIMIT,
    ) -> None:
        host, port = settings.host or "", settings.port or (8883 if settings.tls else 1883)
        self.where = f"the MQTT broker {host}:{port}"
        self._qos = settings.qos
        self._tls = settings.tls
        self._answer: ReasonCode | None = None
        self._asked: dict[int | None, Sequence[str]] = {}
        self.refused: list[str] = []
        self.marks = 0
        client = make_client(settings, client_id)
        client.packet_limit = packet_limit
        client.connect_timeout = timeout
        if will is not None:
            client.will_set(will, "offline", settings.qos, retain=True)
        client.on_socket_open = _send_at_once
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_unsubscribe = self._on_unsubscribe
        self._client = client
        try:
            client.connect(host, port, KEEPALIVE)
        # A host that is no name at all is a ValueError.
        except (OSError, ValueError) as error:
            told = f"cannot reach {self.where}: {reason(error)}"
            # An IPv6 address has two colons at least.
            if "/" in host or host.count(":") == 1:
                told += "; the host is a name alone: mqtt.port is its port, mqtt.tls means TLS"
            raise OutputError(told) from error
        try:
            self._await_answer(time.monotonic() + timeout)
        except BaseException:
            self.abort()
            raise

    @property
    def local_address(self) -> str:
        """The address by which the broker's network reaches this device; empty once it is lost."""
        stream = self._client.socket()
        return stream.getsockname()[0] if isinstance(stream, socket.socket) else ""

    def publish(
        self, topic: str, payload: bytes, retain: bool, *, acknowledged: bool = False
    ) -> MQTTMessageInfo:
        """Begin to send a message, one to be acknowledged with QoS 0, too; see `has_arrived`."""
        qos = max(1, self._qos) if acknowledged else self._qos
        return self._client.publish(topic, payload, qos, retain)

    def subscribe(self, topic: str, callback: Callable[[MQTTMessage], None]) -> None:
        """Call back, in `turn`, with each message to a topic, or to those that a filter names."""

        def on_message(client: Client, userdata: object, message: MQTTMessage) -> None:
            callback(message)

        self._client.message_callback_add(topic, on_message)
        self.ask_for([topic])

    def hear(self, callback: Callable[[MQTTMessage], None]) -> None:
        """Call back, in `turn`, with each message that no callback of `subscribe` is for."""

        def on_message(client: Client, userdata: object, message: MQTTMessage) -> None:
            callback(message)

        self._client.on_message = on_message

    def ask_for(self, filters: Sequence[str]) -> None:
        """Subscribe to several filters in one request; what comes of them goes to `hear`."""
        _, number = self._client.subscribe([(one, self._qos) for one in filters])
        self._asked[number] = filters

    def mark(self, topic: str) -> None:
        """Unsubscribe from a filter; `marks` says when the broker has answered.

        A broker answers also where there was no such subscription, needs no right for it, and
        tells nobody: the answer marks in what it sends the place that it has come to.
        """
        self._client.unsubscribe(topic)

    def congested(self) -> bool:
        """Whether data still waits to go out, so that more would only pile up in memory."""
        return self._client.want_write()

    def turn(self, timeout: float, wake: socket.socket | None = None) -> None:
        """Send and receive what there is; return after `timeout` seconds, or as `wake` is readable.

        Raises:
            OversizedPacketError: the broker sends what is too large.
            OutputError: the connection is lost.
        """
        stream = self._client.socket()
        if stream is None:
            raise OutputError(f"{self.where} closed the connection, or no longer answers")
        if isinstance(stream, ssl.SSLSocket) and stream.pending():
            timeout = 0.0
        sources = [stream] if wake is None else [stream, wake]
        drains = [stream] if self.congested() else []
        try:
            select.select(sources, drains, [], timeout)
            # Neither waits; TLS may hold data that `select` does not see, and want either.
            code = self._client.loop_read() or self._client.loop_write() or self._client.loop_misc()
        except OversizedPacketError as error:
            raise OversizedPacketError(f"{self.where} {error}") from error
        # On bytes that are not MQTT paho raises whatever they happen to lead to.
        except Exception as error:
            raise OutputError(f"{self.where} does not speak MQTT: {reason(error)}") from error
        if code == MQTTErrorCode.MQTT_ERR_PROTOCOL:
            raise OutputError(f"{self.where} does not speak MQTT")
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise OutputError(f"{self.where} closed the connection")

    def close(self) -> None:
        """Say goodbye, so that the will is not published."""
        self._client.disconnect()
        self.abort()

    def abort(self) -> None:
        """Let go of it, as it is; the broker then publishes the will."""
        stream = self._client.socket()
        if stream is not None:
            stream.close()

    def _await_answer(self, deadline: float) -> None:
        while self._answer is None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise OutputError(f"{self.where} accepts the connection but does not answer")
            try:
                self.turn(left)
            except OutputError as error:
                if self._answer is None:
                    hint = "want a client's certificate" if self._tls else "expect TLS"
                    told = f"{error}, before it answered; does this port {hint}?"
                    raise OutputError(told) from error
        if self._answer.is_failure:
            answer = str(self._answer).lower()
            raise OutputError(f"{self.where} refuses us: {answer}; check user and password")

    def _on_connect(
        self,
        client: Client,
        userdata: object,
        flags: ConnectFlags,
        answer: ReasonCode,
        properties: Properties | None,
    ) -> None:
        self._answer = answer

    def _on_subscribe(
        self,
        client: Client,
        userdata: object,
        number: int,
        answers: list[ReasonCode],
        properties: Properties | None,
    ) -> None:
        filters = self._asked.pop(number, ())
        self.refused += [f for f, a in zip(filters, answers, strict=False) if a.is_failure]

    def _on_unsubscribe(self, *unused: object) -> None:
        self.marks += 1


def has_arrived(info: MQTTMessageInfo) -> bool:
    """Whether the broker has acknowledged a message; with QoS 0, whether it was handed over."""
    return info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS and info.is_published()


def make_client(settings: MqttSettings, client_id: str) -> _Client:
    """A client with the credentials of the settings, not connected.

    Raises:
        ConfigurationError: a certificate, key or password cannot be used, or no host has such a
            name.
    """
    try:
        (settings.host or "").encode("idna")
    except UnicodeError as error:
        raise ConfigurationError(f"mqtt.host {settings.host}: {reason(error)}") from error
    client = _Client(CallbackAPIVersion.VERSION2, client_id=client_id, reconnect_on_failure=False)
    if settings.user is not None:
        password = read_secret(settings.password_file, "mqtt-password")
        client.username_pw_set(settings.user, password)
    if settings.tls:
        client.tls_set_context(_tls_context(settings))
    return client


def _send_at_once(client: Client, userdata: object, stream: object) -> None:
    # Else the state that follows an event waits, 40 ms or so, for the system to acknowledge that.
    if isinstance(stream, socket.socket):
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _tls_context(settings: MqttSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"mqtt ca-file {settings.ca_file}: {reason(error)}") from error
    context.sslsocket_class = _TlsSocket
    if settings.ca_file is not None:
        # From Python 3.13 on this refuses what most instructions for an authority of one's own
        # produce, for lack of an extension.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if settings.cert_file is not None:
        try:
            # An encrypted key would ask for its password on the terminal; none fits.
            context.load_cert_chain(settings.cert_file, settings.key_file, password="")
        except (OSError, ValueError) as error:
            files = f"{settings.cert_file}, key-file {settings.key_file or settings.cert_file}"
            raise ConfigurationError(f"mqtt cert-file {files}: {reason(error)}") from error
    return context
