"""What a command tells of a recording, as a worker gives it back."""

from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Told:
    """What is told of a recording, in lines and as JSON has it.

    Attributes:
        lines: the result.
        before, after: what is to be known beside it, said before it and behind it.
        pace: how long it took; said of a single recording.
        summary: the result, as JSON has it.
        heading: the result in few words.
        differs: how it is not what was expected; empty where it is, or nothing was.
        counts: figures that add up over recordings, by name.
        file: what is to be written of it, if anything: a page, or a golden file.
    """

    lines: list[str]
    summary: dict[str, Any]
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    pace: str = ""
    heading: str = ""
    differs: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    file: bytes | None = None

    def without_file(self) -> "Told":
        """It, without what is to be written."""
        return replace(self, file=None)
