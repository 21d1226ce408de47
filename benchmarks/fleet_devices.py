"""Simulated devices: the daemon's own MQTT sink, without a camera or a model.

A process has many; each has a thread, a connection, a will, its discovery and its retained topics.
"""

import multiprocessing
import random
import threading
import time
from multiprocessing.connection import Connection as Pipe
from typing import NamedTuple

import msgspec
from edgekit_device.config.settings import MqttSettings
from edgekit_device.retry import BROKER, RetryPolicy
from edgekit_device.sinks.mqtt import Facts, Mqtt
from edgekit_device.sinks.mqtt.connection import Connection

from edgekit.inference.events import timestamp
from tests.device.sinks.player import HEALTH
from tests.device.sinks.samples import make_event

HEALTH_EVERY, CHANGE_EVERY = 30.0, 60.0
"""Seconds from one message of a device to the next: health as the daemon says it by default, and a
change of the label, as a camera at a busy door has it."""
_LABELS = ("mug", "cup", "kettle", "plate", "spoon", "fork", "knife", "glass", "bowl", "bottle")
_fork = multiprocessing.get_context("fork")  # the interpreter and its libraries are shared


class Attempts(NamedTuple):
    """When devices tried to connect, as `time.time` has it.

    Attributes:
        made: all.
        worked: those that did.
    """

    made: list[float]
    worked: list[float]


class _Device(Mqtt):
    """A sink that writes down when it connects."""

    def __init__(self, port: int, name: str, attempts: Attempts, policy: RetryPolicy) -> None:
        facts = Facts(labels=_LABELS, temperature=True, drift=True)
        settings = MqttSettings(host="127.0.0.1", port=port, give_up=0)
        super().__init__(settings, name, facts=facts, timeout=20.0, policy=policy)
        self._device_name = name
        self._attempts = attempts
        now = time.monotonic()
        self._next_health = now + HEALTH_EVERY * random.random()
        self._next_change = now + CHANGE_EVERY * random.random()
        self.report_health()
        self.report_change()

    def _connect(self) -> Connection:
        self._attempts.made.append(time.time())
        connection = super()._connect()
        self._attempts.worked.append(time.time())
        return connection

    def report_health(self) -> None:
        """Say how it is."""
        self.health(msgspec.structs.replace(HEALTH, ts=timestamp(), name=self._device_name))

    def tick(self, now: float) -> None:
        """Say what is due."""
        if now >= self._next_health:
            self._next_health += HEALTH_EVERY
            self.report_health()
        if now >= self._next_change:
            self._next_change += CHANGE_EVERY
            self.report_change()

    def report_change(self) -> None:
        """Say what it sees."""
        event = make_event(label=random.choice(_LABELS))
        self.event(msgspec.structs.replace(event, ts=timestamp()))


class Devices:
    """A process with some devices.

    Args:
        port: of the broker, on this machine.
        names: of the devices.
        policy: when they connect again.
    """

    def __init__(self, port: int, names: list[str], policy: RetryPolicy = BROKER) -> None:
        self.names = names
        self._pipe, there = _fork.Pipe()
        self.process = _fork.Process(target=_run, args=(there, port, names, policy), daemon=True)
        self.process.start()
        there.close()

    def attempts(self) -> Attempts:
        """When they tried to connect since the last call."""
        self._pipe.send("attempts")
        return Attempts(*self._pipe.recv())

    def close(self) -> None:
        """End them all, without a goodbye."""
        self.process.kill()
        self.process.join()
        self._pipe.close()


def _run(pipe: Pipe, port: int, names: list[str], policy: RetryPolicy) -> None:
    threading.stack_size(256 << 10)
    random.seed(names[0])
    attempts = Attempts([], [])
    devices = [_Device(port, name, attempts, policy) for name in names]
    for device in devices:
        device.start()
    while True:
        if pipe.poll(0.2):
            try:
                pipe.recv()
            except EOFError:
                return
            taken = Attempts(*(list(times) for times in attempts))
            pipe.send(taken)
            # Others may have been added meanwhile.
            for times, sent in zip(attempts, taken, strict=True):
                del times[: len(sent)]
        now = time.monotonic()
        for device in devices:
            device.tick(now)
