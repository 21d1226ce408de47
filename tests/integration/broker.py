"""A real MQTT broker on a free loopback port, and a client that keeps all it hears."""

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

_T = TypeVar("_T")


class Broker:
    """mosquitto, which may be killed and started again on the same port.

    Args:
        folder: for its files.
        options: lines of its configuration after the listener.
        port: any that is free if 0.
    """

    host = "127.0.0.1"

    def __init__(self, folder: Path, *options: str, port: int = 0) -> None:
        program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if program is None:
            pytest.skip("mosquitto is not installed")
        with socket.create_server((self.host, port)) as free:
            self.port: int = free.getsockname()[1]
        self._config = folder / "mosquitto.conf"
        lines = [f"listener {self.port} {self.host}", *options, "log_dest stderr"]
        if not any(option.startswith("password_file") for option in options):
            lines.append("allow_anonymous true")
        if os.geteuid() == 0:
            lines.append("user root")  # else it gives up the right to read our files
        self._config.write_text("\n".join(lines) + "\n")
        self._command = [program, "-c", str(self._config)]
        self.process: subprocess.Popen[str] | None = None
        self.log: list[str] = []

    def start(self) -> None:
        """Returns once it listens."""
        process = subprocess.Popen(self._command, stderr=subprocess.PIPE, text=True)
        self.process = process
        running = threading.Event()

        def read() -> None:
            assert process.stderr is not None
            with process.stderr:
                for line in process.stderr:
                    self.log.append(line)
                    if line.rstrip().endswith("running"):
                        running.set()

        self._reading = threading.Thread(target=read, daemon=True)
        self._reading.start()
        if not running.wait(30):
            self.kill()
            pytest.fail("mosquitto does not start: " + "".join(self.log))

    def kill(self) -> None:
        """End it without a goodbye."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self._reading.join(30)
            self.process = None


@contextmanager
def running_broker(folder: Path, *options: str) -> Iterator[Broker]:
    """A broker that listens; see `Broker`."""
    broker = Broker(folder, *options)
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()


class Listener:
    """A second client, subscribed to everything.

    Attributes:
        messages: (topic, payload, whether it was retained before), in their order.
    """

    def __init__(self, broker: Broker, configure: Callable[[Client], None] = lambda c: None):
        self.messages: list[tuple[str, str, bool]] = []
        self.subscriptions = 0
        self._changed = threading.Condition()
        client = Client(CallbackAPIVersion.VERSION2)
        configure(client)
        client.reconnect_delay_set(1, 1)
        client.on_connect = lambda c, *rest: c.subscribe("#", qos=1)
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        self.client = client
        client.connect(broker.host, broker.port)
        client.loop_start()
        self.await_subscription(1)

    def __enter__(self) -> "Listener":
        return self

    def __exit__(self, *unused: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def await_subscription(self, number: int) -> None:
        """Return once it has subscribed for the so-manieth time."""
        self._await(lambda: self.subscriptions >= number or None)

    def await_message(self, topic: str, payload: str | None = None, count: int = 1) -> str:
        """The payload of the count-th message to a topic, with the given payload if any."""

        def find() -> str | None:
            found = [p for t, p, _ in self.messages if t == topic and payload in (None, p)]
            return found[count - 1] if len(found) >= count else None

        return self._await(find)

    def payloads(self, topic: str) -> list[str]:
        """What was said to a topic so far."""
        with self._changed:
            return [payload for t, payload, _ in self.messages if t == topic]

    def _await(self, find: Callable[[], _T | None], timeout: float = 60.0) -> _T:
        deadline = time.monotonic() + timeout
        with self._changed:
            while (found := find()) is None:
                left = deadline - time.monotonic()
                assert left > 0, f"not among {self.messages}"
                self._changed.wait(left)
            return found

    def _on_subscribe(self, *unused: object) -> None:
        with self._changed:
            self.subscriptions += 1
            self._changed.notify_all()

    def _on_message(self, client: Client, userdata: object, message: MQTTMessage) -> None:
        with self._changed:
            # A picture is no UTF-8; `encode` with the same gives its bytes back.
            payload = bytes(message.payload).decode(errors="surrogateescape")
            self.messages.append((message.topic, payload, message.retain))
            self._changed.notify_all()
