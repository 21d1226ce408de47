"""Somebody who does what is asked for, and remembers it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgekit_device.control import Name, Outcome, RecordingNow, Refusal, arguments_of

DONE = Outcome(True, "it was done")


@dataclass
class FakeController:
    """A controller.

    Attributes:
        asked: what came through, with who asked.
        refused: what did not, with why.
        outcome: of everything that comes through.
    """

    asked: list[tuple[str, dict[str, Any], str]] = field(default_factory=list)
    refused: list[tuple[str, str, str]] = field(default_factory=list)
    outcome: Outcome = DONE
    paused: bool = False
    recording: RecordingNow | None = None
    recorded: str = ""

    def perform(self, name: Name, arguments: Mapping[str, Any], asked_by: str) -> Outcome:
        try:
            arguments_of(name, arguments)
        except ValueError as error:
            return self.refuse(name, asked_by, "wrong", str(error))
        self.asked.append((name, dict(arguments), asked_by))
        if name in ("pause", "resume"):
            self.paused = name == "pause"
        return self.outcome

    def refuse(self, name: str, asked_by: str, refused: Refusal, message: str) -> Outcome:
        self.refused.append((name, refused, message))
        return Outcome(False, message, refused)

    def obstacle(self, name: Name) -> str | None:
        return "there is none before this one" if name == "rollback" else None
