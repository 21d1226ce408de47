"""The sink: what waits for the broker, and the thread that brings it there."""

import math
import threading
import time
from collections import deque
from dataclasses import replace
from typing import Any

import msgspec

from edgekit.errors import BrokerLostError, EdgekitError, OutputError, SettingsError
from edgekit.inference.events import Event
from edgekit.inference.pipeline import Result
from edgekit_device.config.settings import HttpSettings, MqttSettings, PictureSize
from edgekit_device.control import Controller
from edgekit_device.health import Health, SinkHealth
from edgekit_device.pictures import EventPicture
from edgekit_device.retry import BROKER, Retry, RetryPolicy
from edgekit_device.sinks.base import OVERFLOW, Sink
from edgekit_device.sinks.mqtt.commands import Commands, ControlShown
from edgekit_device.sinks.mqtt.connection import (
    Connection,
    OversizedPacketError,
    has_arrived,
    make_client,
)
from edgekit_device.sinks.mqtt.entities import Facts
from edgekit_device.sinks.mqtt.hearing import Hearing
from edgekit_device.sinks.mqtt.homeassistant import announcements, page_address
from edgekit_device.sinks.mqtt.messages import Message, Sent
from edgekit_device.sinks.mqtt.namesake import Namesake
from edgekit_device.sinks.mqtt.pictures import Pictures
from edgekit_device.sinks.mqtt.place import place
from edgekit_device.sinks.mqtt.retained import Retained
from edgekit_device.sinks.mqtt.topics import Topics
from edgekit_device.sinks.mqtt.waker import Waker

LIMIT = 1000
"""Events that may wait while the broker is away; then the oldest is dropped."""
UNDERWAY = 20
"""Messages sent before the first of them is acknowledged; brokers take as many."""
ACKNOWLEDGE = 30.0
"""Seconds after which a message that was not acknowledged means that the broker is stuck."""
LAST_WORD = 0.25
"""Seconds of closing that are kept for `offline`."""
PACE = 0.001
"""Seconds before the next look at a broker that has nothing to acknowledge: one that sends without
an end takes no more of the processor."""
SAY_AGAIN = 2.0
"""Seconds after other labels are announced in which Home Assistant follows. A state of that time is
lost to it."""


class Mqtt(Sink):
    """Publishes below PREFIX/NAME what is retained, such as `state` and `health`, and each `event`.

    One thread owns the connection. Of retained topics only the newest value is kept, and all are
    published again after each connection: the broker may have forgotten them. An event counts as
    sent when the broker has acknowledged it (with QoS 0, when it was handed to the system); what
    is not acknowledged as the connection breaks is sent again.

    Args:
        settings: with a host.
        device_name: NAME; a broker ends the connection of another device with the same one, which
            is then a problem.
        pictures: of events, how they go out.
        facts: what Home Assistant is to know from the start.
        http: where the device's own page is, to tell Home Assistant.
        health_interval: seconds between health messages, to tell who watches for them.
        controller: does what clients of the broker ask for; None where nobody may.
        timeout: seconds for each step of connecting.
        policy: delays between the tries.

    Raises:
        ConfigurationError: a certificate, key or password cannot be used.
    """

    name = "mqtt"
    owes_events = True

    def __init__(
        self,
        settings: MqttSettings,
        device_name: str,
        pictures: PictureSize = "off",
        *,
        facts: Facts | None = None,
        http: HttpSettings | None = None,
        health_interval: float = 30.0,
        controller: Controller | None = None,
        timeout: float = 5.0,
        policy: RetryPolicy = BROKER,
    ) -> None:
        self.restarts = 0
        self._settings = settings
        self._topics = Topics.of(settings, device_name)
        self._timeout = timeout
        self._retry = Retry(policy, settings.give_up or math.inf)
        self._client_id = f"edgekit-{device_name}"
        self._encoder = msgspec.json.Encoder()
        # Made afresh for each connection; this one is to fail early.
        make_client(settings, self._client_id)
        # Guards everything below up to the thread.
        self._lock = threading.RLock()
        self._events: deque[Message] = deque()
        self._underway: deque[Sent] = deque()
        self._retained = Retained()
        self._announced: set[str] = set()  # of these, the topics of Home Assistant
        self._facts = facts or Facts()
        self._http = http or HttpSettings()
        self._health_interval = health_interval
        self._sent = self._dropped = 0
        self._overflowed = False  # since no event waited last
        self._pictures = Pictures(self._topics, pictures)
        self._problem: str | None = None
        self._namesake = Namesake(device_name)
        # Of the thread.
        self._hearing = Hearing(self._topics, self._namesake)
        self._say_at = math.inf
        self._waker: Waker | None = None
        self._deadline = math.inf
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._commands = Commands(controller, self._topics, self._show) if controller else None
        self._retain("status", b"online")
        self._announce()

    def check(self) -> str:
        """Connect once, under another name so as not to end a connection in use.

        Returns:
            Which broker.

        Raises:
            SettingsError: the broker cannot be reached or refuses us, or a file cannot be used.
        """
        try:
            connection = Connection(
                self._settings, f"{self._client_id}-check", timeout=self._timeout
            )
        except EdgekitError as error:
            raise SettingsError(str(error)) from error
        connection.close()
        return connection.where

    def start(self) -> None:
        """Begin to connect and publish; a broker that is away is no error."""
        self._waker = waker = Waker()
        self._thread = threading.Thread(target=self._run, args=(waker,), name="mqtt", daemon=True)
        self._thread.start()
        if self._commands is not None:
            self._commands.start()

    def frame(self, result: Result) -> None:
        """Tell Home Assistant the labels of the model, when another answers."""
        # By identity: this is called for every frame.
        if result.model.labels is not self._facts.labels:
            self._learn(labels=result.model.labels)

    def event(self, event: Event, picture: EventPicture | None = None) -> None:
        """Queue an event, and keep it as the present state; more than `LIMIT` drop the oldest."""
        payload = self._encoder.encode(event)
        jpeg = picture.published if picture is not None else None
        with self._lock:
            if self._closing.is_set():
                self._dropped += 1
                return
            self._events.append(Message(self._topics.own("event"), payload, retain=False))
            self._bound()
            if jpeg is not None:
                self._pictures.put(event.id, jpeg)
        self._retain("state", payload)

    def health(self, health: Health) -> None:
        """Publish how the daemon is; only the newest waits."""
        if health.temperature_c is not None:
            self._learn(temperature=True)
        if health.drift_figures:
            self._learn(drift=True)
        self._retain("health", self._encoder.encode(health))
        if health.state == "paused":
            # No label, for there is none: the last one is not true any more.
            paused = {"ts": health.ts, "state": health.state}
            self._retain("state", self._encoder.encode(paused))
        if self._commands is not None:
            self._commands.look()

    def report(self) -> SinkHealth:
        """Events delivered, dropped and waiting; the retained topics are not counted."""
        with self._lock:
            queued = len(self._events) + sum(not sent.message.retain for sent in self._underway)
            # The connection that another ends is lost for that reason.
            problem = self._namesake.problem or self._problem
            problem = problem or (OVERFLOW if self._overflowed else self._pictures.problem)
            return SinkHealth(
                self._sent, self._dropped, queued, problem,
                pictures_dropped=self._pictures.dropped,
                takeovers=self._namesake.takeovers, namesake=self._namesake.other,
            )  # fmt: skip

    def close(self, timeout: float) -> None:
        """Publish what waits, for at most `timeout` seconds; the last word is `offline`."""
        self._deadline = min(self._deadline, time.monotonic() + timeout)
        self._closing.set()
        self._rouse()
        if self._thread is not None:
            self._thread.join(timeout)
        if self._commands is not None:
            self._commands.close()
        with self._lock:
            self._dropped += len(self._events)
            self._events.clear()
            self._pictures.give_up()

    # Called from any thread.

    def _retain(self, name: str, payload: bytes) -> None:
        self._keep(self._topics.own(name), payload)

    def _show(self, shown: ControlShown) -> None:
        """Tell what can be asked for, and that there is an outcome to publish."""
        self._learn(models=tuple(shown.models), newest=shown.update and shown.update.latest_version)
        self._retain("control", self._encoder.encode(shown))

    def _learn(self, **facts: Any) -> None:
        """Tell Home Assistant what follows of it, if anything does."""
        with self._lock:
            before, self._facts = self._facts, replace(self._facts, **facts)
            if self._facts != before:
                self._announce()

    def _announce(self) -> None:
        if self._settings.discovery:
            for topic, payload in announcements(self._topics, self._facts).items():
                before = self._retained.payload(topic)
                if before != payload:
                    self._announced.add(topic)
                    self._keep(topic, payload)
                    if before:
                        self._say_at = time.monotonic() + SAY_AGAIN

    def _keep(self, topic: str, payload: bytes) -> None:
        with self._lock:
            self._retained.keep(topic, payload)
        self._rouse()

    def _rouse(self) -> None:
        if self._waker is not None:
            self._waker.rouse()

    def _bound(self) -> None:
        while len(self._events) > LIMIT:
            self._events.popleft()
            self._dropped += 1
            self._overflowed = True

    # Called in the thread.

    def _run(self, waker: Waker) -> None:
        try:
            self._stay_connected(waker)
        finally:
            waker.close()

    def _stay_connected(self, waker: Waker) -> None:
        connected = False
        while True:
            try:
                connection = self._connect()
                self.restarts += connected
                connected = True
                self._serve(connection, waker)
            # Nothing that goes wrong with a broker may end the thread.
            except Exception as error:
                if isinstance(error, OversizedPacketError):
                    self._hearing.stop()
                    if self._commands is not None:
                        self._commands.stop_listening(str(error))
                problem = str(error) or type(error).__name__
            else:
                return
            with self._lock:
                self._problem = problem
            if self._closing.is_set():
                return
            delay = self._retry.failed()
            if delay is None:
                self.failure = BrokerLostError(
                    f"{problem}; gave up after {self._settings.give_up:g} s"
                )
                return
            if self._closing.wait(delay):
                return

    def _connect(self) -> Connection:
        # A new client each time: whatever state the old one was in, it is gone.
        settings, will = self._settings, self._topics.own("status")
        try:
            connection = Connection(settings, self._client_id, will=will, timeout=self._timeout)
        except EdgekitError:
            self._namesake.forget()
            raise
        self._hearing.listen(connection)
        if self._commands is not None:
            self._commands.listen(connection)
        self._retry.worked()
        address = connection.local_address
        page = page_address(self._http, address)
        self._learn(page=page)
        self._retain("device", self._encoder.encode(place(address, page, self._health_interval)))
        with self._lock:
            self._problem = None
            self._retained.say_again()
            self._pictures.connected()
        return connection

    def _announce_again(self) -> None:
        """What Home Assistant has missed."""
        if self._hearing.home_assistant_started():
            with self._lock:
                self._retained.say_again(self._announced)
        if time.monotonic() >= self._say_at:
            with self._lock:
                self._say_at = math.inf
                self._retained.say_again(self._topics.own(name) for name in ("state", "control"))

    def _serve(self, connection: Connection, waker: Waker) -> None:
        """Publish until it is closed; raises when the connection is lost."""
        try:
            while not self._finished():
                self._announce_again()
                self._publish(connection)
                idle = self._waits_since() == math.inf
                left = self._deadline - LAST_WORD - time.monotonic()
                connection.turn(min(1.0, max(0.0, left)), waker.socket)
                waker.settle()
                if idle:
                    time.sleep(PACE)
                self._settle()
                if time.monotonic() - self._waits_since() > ACKNOWLEDGE:
                    raise OutputError(f"{connection.where} acknowledges nothing")
            self._say_offline(connection)
        except BaseException:
            connection.abort()
            raise
        finally:
            self._take_back()

    def _finished(self) -> bool:
        if not self._closing.is_set():
            return False
        with self._lock:
            waiting = self._events or self._retained or self._underway or self._pictures.waiting
        return not waiting or time.monotonic() > self._deadline - LAST_WORD

    def _settle(self) -> None:
        """Take note of what the broker has acknowledged."""
        with self._lock:
            arrived = [sent for sent in self._underway if has_arrived(sent.info)]
            for sent in arrived:
                self._underway.remove(sent)
                self._sent += not sent.message.retain
            self._pictures.settle()

    def _waits_since(self) -> float:
        """When the oldest of the messages that are not acknowledged was sent; infinite for none."""
        return min(self._underway[0].time if self._underway else math.inf, self._pictures.since)

    def _publish(self, connection: Connection) -> None:
        while len(self._underway) < UNDERWAY and not connection.congested():
            with self._lock:
                message = self._retained.take()
                if message is None and self._events:
                    message = self._events.popleft()
                    self._overflowed = self._overflowed and bool(self._events)
                if message is None:
                    self._pictures.publish(connection, alone=not self._underway)
                    if self._commands is not None:
                        self._commands.tell(connection)
                    return
                info = connection.publish(*message)
                self._underway.append(Sent(message, info, time.monotonic()))

    def _take_back(self) -> None:
        """Put events that were not acknowledged back into the queue."""
        self._settle()
        with self._lock:
            self._pictures.take_back()
            again = [sent.message for sent in self._underway if not sent.message.retain]
            self._underway.clear()
            self._events.extendleft(reversed(again))
            self._bound()

    def _say_offline(self, connection: Connection) -> None:
        last = connection.publish(self._topics.own("status"), b"offline", retain=True)
        while not has_arrived(last) and time.monotonic() < self._deadline:
            connection.turn(max(0.0, self._deadline - time.monotonic()))
        connection.close()
