"""What to record, and what became of it."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

On = Literal["change", "unknown", "signal"]
_Seconds = Annotated[float, Meta(ge=0)]


class ClipRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to record.

    Attributes:
        on: what to keep frames for; empty for every frame.
        ring, after: seconds that are kept before and after it.
        max_bytes: size that the clip stays below.
        max_seconds: after which it ends, in the source's time; None for no end.
    """

    on: tuple[On, ...] = ()
    ring: _Seconds = 5.0
    after: _Seconds = 5.0
    max_bytes: Annotated[int, Meta(ge=0)] = 1 << 30
    max_seconds: Annotated[float, Meta(gt=0)] | None = None


class Outcome(msgspec.Struct, frozen=True):
    """What became of a recording.

    Attributes:
        answered: frames that were answered meanwhile.
        kept: those of them in the clip.
        stretches: runs of kept frames without a gap.
        dropped: frames that should be in the clip and are not: they came faster than they could
            be written, or the disk was full.
        full: whether it ended because the clip has reached its size.
        reason: why it ended although nobody asked for that, in words.
    """

    answered: int
    kept: int
    stretches: int
    dropped: int
    full: bool
    reason: str | None
