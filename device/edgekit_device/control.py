"""What a running daemon can be asked to do, and by whom it was."""

from collections.abc import Mapping
from typing import Any, Literal, Protocol

import msgspec

Name = Literal["reload", "snapshot", "record", "pause", "resume", "model", "rollback"]


class Outcome(msgspec.Struct, frozen=True):
    """What became of it.

    Attributes:
        done: whether it was done.
        message: what was done, or why not and what to do, in one line for people.
    """

    done: bool
    message: str


class Controller(Protocol):
    """Does what is asked for; its methods may be called from any thread.

    Attributes:
        paused: whether the daemon is paused.
    """

    paused: bool

    def perform(self, name: Name, arguments: Mapping[str, Any], asked_by: str) -> Outcome:
        """Do it, and log it with who asked; returns when it is done, or was not possible.

        Args:
            name: what.
            arguments: `seconds` of `record`, `sha256` of `model`; the others take none.
            asked_by: the client, in words: `192.0.2.7 over HTTP`, `MQTT`.
        """
