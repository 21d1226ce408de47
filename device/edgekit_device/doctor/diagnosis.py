"""What a check found."""

from typing import Literal

import msgspec

Level = Literal["ok", "note", "warning", "problem"]


class Diagnosis(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that was looked at.

    Attributes:
        check: what was looked at, in a word.
        level: `problem` for what does not work, `warning` for what will not work well, `note` for
            what one may want to know.
        text: what was seen, on one line.
        remedy: the command that mends it.
    """

    check: str
    level: Level
    text: str
    remedy: str | None = None
