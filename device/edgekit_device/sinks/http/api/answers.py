"""What `/api/events…` takes and answers, as JSON."""

from typing import Any

import msgspec


class Wrong(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the picture of an event shows.

    Attributes:
        label: the right label.
    """

    label: str


class Done(msgspec.Struct, frozen=True):
    """What was done, in a line for people."""

    message: str


class Page(msgspec.Struct, frozen=True):
    """Events, newest first.

    Attributes:
        events: as everywhere; `wrong` is the right label where somebody gave one, and `view` what
            the model saw: x, y, width, height, in fractions of the picture.
        more: whether there are older ones.
        history: whether they are kept on the disk; else these are the last ones in memory.
    """

    events: list[dict[str, Any]]
    more: bool
    history: bool


class Corrected(msgspec.Struct, frozen=True):
    """Pictures that were corrected: how many, and their bytes. No bound removes them."""

    pictures: int
    bytes: int


class Summary(msgspec.Struct, frozen=True):
    """What is kept.

    Attributes:
        first, last: RFC 3339 times of the events; null without one.
        events, labels: how many there are, and of each label.
        bytes: that all of the history takes on the disk, without corrections.
        days, megabytes: its bounds.
        gaps: when nobody watched, as `from`, `to` and `why`.
        corrections: what is kept besides.
    """

    first: str | None
    last: str | None
    events: int
    labels: dict[str, int]
    bytes: int
    days: int
    megabytes: int
    gaps: list[dict[str, str]]
    corrections: Corrected
