"""What a running daemon can be asked to do, and by whom it was."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple, Protocol, get_args

import msgspec
from msgspec import Meta

Name = Literal["reload", "snapshot", "record", "pause", "resume", "model", "rollback"]


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The arguments of what takes none."""


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The arguments of `record`.

    Attributes:
        seconds: for how long.
    """

    seconds: Annotated[int, Meta(ge=1, le=600)] = 60


class Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The arguments of `model`.

    Attributes:
        sha256: of an installed model's file, in hexadecimal.
    """

    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$", max_length=64)]


class Action(NamedTuple):
    """Something that the daemon can be asked for.

    Attributes:
        title: for people.
        text: what it does, in a sentence.
        arguments: what it takes, as msgspec decodes it.
    """

    title: str
    text: str
    arguments: type[msgspec.Struct] = Nothing


ACTIONS: Mapping[Name, Action] = {
    "reload": Action("Read the configuration again", "Read the configuration again."),
    "snapshot": Action("Take a picture", "Tell an event of kind `snapshot` at the next frame."),
    "record": Action("Record", "Write a clip of what the camera sees from now on.", Record),
    "pause": Action("Pause", "Close the camera until it is resumed, a restart included."),
    "resume": Action("Resume", "Open the camera again; the decision begins afresh."),
    "model": Action("Choose a model", "Change to another installed model.", Choice),
    "rollback": Action("Roll back", "Change to the model before this one."),
}
"""Everything that can be asked for."""

Refusal = Literal["off", "wrong", "often"]


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of it.

    Attributes:
        done: whether it was done.
        message: what was done, or why not and what to do, in one line for people.
        refused: why nobody tried to: control is `off`, what was asked for is `wrong`, or it was
            asked for too `often`. None where somebody tried.
    """

    done: bool
    message: str
    refused: Refusal | None = None


class RecordingNow(msgspec.Struct, frozen=True):
    """A clip in progress.

    Attributes:
        clip: its name once it is whole.
        until: when it ends, RFC 3339 in UTC.
        done: how much of it, in [0, 1].
    """

    clip: str
    until: str
    done: float


class Controller(Protocol):
    """Does what is asked for; its methods may be called from any thread."""

    @property
    def paused(self) -> bool:
        """Whether the daemon is paused, or about to be."""

    @property
    def recording(self) -> RecordingNow | None:
        """The clip in progress; None while there is none."""

    @property
    def recorded(self) -> str:
        """What became of the last clip, in words; empty before."""

    def perform(self, name: Name, arguments: Mapping[str, Any], asked_by: str) -> Outcome:
        """Do it, and log it with who asked; returns when it is done, or was not possible.

        Args:
            name: what.
            arguments: `seconds` of `record`, `sha256` of `model`; the others take none.
            asked_by: the client, in words: `192.0.2.7 over HTTP`, `edgekit/pi/command over MQTT`.
        """

    def refuse(self, name: str, asked_by: str, refused: Refusal, message: str) -> Outcome:
        """Log and count what was asked for and is not to be tried; gives that as an outcome.

        Args:
            name: what was asked for; may be anything.
            asked_by: the client, in words.
            refused: why.
            message: the same in words.
        """

    def obstacle(self, name: Name) -> str | None:
        """Why it is not possible now, in words; None where it is, as far as that is known."""


def is_action(name: str) -> bool:
    """Whether it is something that can be asked for."""
    return name in get_args(Name)


def arguments_of(name: Name, arguments: Mapping[str, Any]) -> msgspec.Struct:
    """The arguments of an action, checked.

    Raises:
        ValueError: they are others than it takes.
    """
    return msgspec.convert(arguments, ACTIONS[name].arguments)
