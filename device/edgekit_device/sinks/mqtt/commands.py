"""What clients of the broker ask the daemon for, below PREFIX/NAME/command.

The broker knows who they are, and we do not: who may publish there is for its access list to say.
"""

import contextlib
import queue
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec
from paho.mqtt.client import MQTTMessage

from edgekit import __version__
from edgekit_device.control import Controller, Name, Outcome, Refusal
from edgekit_device.installed import InstalledModel, installed_models
from edgekit_device.sinks.mqtt.connection import Connection
from edgekit_device.sinks.mqtt.topics import Topics

# Commands that wait for the one in hand; more are refused.
_WAITING = 8
# Bytes of a payload that are looked at; the name of a model is the longest.
_LONGEST = 256
_ON, _OFF = "ON", "OFF"


class Command(NamedTuple):
    """A message to a topic of ours.

    Attributes:
        topic: below `command/`.
        payload: as it came.
        retained: whether the broker kept it from earlier.
    """

    topic: str
    payload: bytes
    retained: bool


class Update(msgspec.Struct, frozen=True):
    """Whether there is a newer model than the one that runs, as Home Assistant shows updates.

    Attributes:
        installed_version, latest_version: names of models.
        title: of what they are versions.
    """

    installed_version: str
    latest_version: str
    title: str = "Model"


class ControlShown(msgspec.Struct, frozen=True):
    """What the retained topic `control` says.

    Attributes:
        paused: whether the daemon is paused, or about to be.
        model: name of the installed one that runs; empty outside the service.
        models: names of those that can be chosen.
        recording: whether a clip is being recorded.
        installed_version: of edgekit.
        update: the model that runs, and the newest; None where no model is installed.
    """

    paused: bool
    model: str
    models: list[str]
    recording: bool
    installed_version: str = __version__
    update: Update | None = None


class CommandError(ValueError):
    """A command that is none."""


class Commands:
    """Does what is asked for, one after the other in a thread of its own.

    Args:
        controller: does it.
        topics: of the device.
        show: called in the thread with what the topic `control` is to say, when that has changed
            and after each command.
    """

    def __init__(
        self, controller: Controller, topics: Topics, show: Callable[[ControlShown], None]
    ) -> None:
        self._controller = controller
        self._above = topics.own("command")
        self._outcome = topics.own("control/outcome")
        self._show = show
        self._shown: ControlShown | None = None
        self._listens = True
        self._oversized = 0
        self._closed = False
        # None: nothing is to be done, but what is shown may have changed.
        self._queue: queue.Queue[Command | None] = queue.Queue(_WAITING)
        self._outcomes: deque[bytes] = deque(maxlen=_WAITING)
        # A daemon thread: a model is tried for minutes, which keeps no process alive.
        self._thread = threading.Thread(target=self._run, name="commands", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Do nothing more after the command in hand."""
        self._closed = True
        self.look()

    # Called in the thread of the connection.

    def listen(self, connection: Connection) -> None:
        """Hear what is asked for over a new connection."""
        if self._listens:
            connection.subscribe(f"{self._above}/#", self._on_message)

    def tell(self, connection: Connection) -> None:
        """Publish what became of commands; where that is lost, the journal has it, too."""
        while self._outcomes:
            connection.publish(self._outcome, self._outcomes.popleft(), retain=False)

    def stop_listening(self, because: str) -> None:
        """Hear no more, after a packet that was too large: it would come again and again."""
        self._oversized += 1
        # The first may have come to another topic, which nobody listens to any more.
        if self._listens and self._oversized > 1:
            self._listens = False
            message = f"{because}: no command is heard until the configuration is read anew"
            self._controller.refuse("other", self._asked_by, "wrong", message)

    def _on_message(self, message: MQTTMessage) -> None:
        topic = message.topic.removeprefix(f"{self._above}/")
        self.put(Command(topic, bytes(message.payload), message.retain))

    # Called in any thread.

    @property
    def _asked_by(self) -> str:
        return f"{self._above} over MQTT"

    def put(self, command: Command) -> None:
        """Do what is asked for, soon; returns at once."""
        if command.retained:
            # What is removed from a topic comes as an empty one.
            if command.payload:
                # It would be done at each start, long after whoever asked has forgotten it.
                self._refuse(
                    command, "wrong", "it is retained: remove it, and publish it unretained"
                )
            return
        try:
            self._queue.put_nowait(command)
        except queue.Full:
            self._refuse(command, "often", f"{_WAITING} others wait already")

    def look(self) -> None:
        """Show what has changed, soon; returns at once."""
        # Where something waits, it looks anyhow.
        with contextlib.suppress(queue.Full):
            if self._queue.empty():
                self._queue.put_nowait(None)

    def _refuse(self, command: Command, why: Refusal, message: str) -> Outcome:
        return self._controller.refuse(command.topic, self._asked_by, why, message)

    # Called in its own thread.

    def _run(self) -> None:
        while not self._closed:
            command = self._queue.get()
            if command is not None:
                self._outcomes.append(msgspec.json.encode(self._do(command)))
            now = shown(self._controller)
            if now != self._shown or command is not None:
                self._shown = now
                self._show(now)

    def _do(self, command: Command) -> Outcome:
        try:
            name, arguments = understand(command, installed_models())
        except CommandError as error:
            return self._refuse(command, "wrong", str(error))
        return self._controller.perform(name, arguments, self._asked_by)


def understand(command: Command, models: list[InstalledModel]) -> tuple[Name, Mapping[str, Any]]:
    """What a command asks for, and its arguments.

    Raises:
        CommandError: it is none.
    """
    try:
        payload = command.payload[: _LONGEST + 1].decode("utf-8").strip()
    except UnicodeDecodeError:
        raise CommandError("its payload is no text") from None
    if len(command.payload) > _LONGEST:
        raise CommandError(f"its payload has more than {_LONGEST} bytes")
    match command.topic:
        case "pause":
            if payload not in (_ON, _OFF):
                raise CommandError(f"its payload is {_ON} or {_OFF}")
            return ("pause" if payload == _ON else "resume"), {}
        case "record":
            if payload and not (payload.isascii() and payload.isdecimal()):
                raise CommandError("its payload is a number of seconds, or empty for a minute")
            return "record", {"seconds": int(payload)} if payload else {}
        case "model":
            return "model", {"sha256": _chosen(payload, models)}
        case "reload" | "snapshot" | "rollback":
            return command.topic, {}
        case _:
            raise CommandError("there is no such command")


def _chosen(name: str, models: list[InstalledModel]) -> str:
    found = {model.sha256 for model in models if model.name == name}
    if len(found) != 1:
        raise CommandError(
            "its payload is the name of an installed model: "
            f"{', '.join(model.name for model in models) or 'there is none'}"
        )
    return found.pop()


def shown(controller: Controller) -> ControlShown:
    """What the topic `control` is to say now."""
    models = installed_models()
    current = next((model.name for model in models if model.current), "")
    newest = max(models, key=lambda model: model.added, default=None)
    return ControlShown(
        paused=controller.paused,
        model=current,
        # Two may have the same bytes; Home Assistant wants each name once.
        models=list(dict.fromkeys(model.name for model in models)),
        recording=controller.recording is not None,
        update=Update(current, newest.name) if newest and current else None,
    )
