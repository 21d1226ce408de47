"""Times between RFC 3339 and milliseconds since 1970."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from msgspec import Meta

_BEGIN = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
# Milliseconds since 1970 that are a time: of the years 1 to 9999.
Moment = Annotated[int, Meta(ge=-62_135_596_800_000, le=253_402_300_799_999)]


def milliseconds(text: str) -> int:
    """Milliseconds since 1970 of an RFC 3339 time, with Z or an offset.

    Raises:
        ValueError: it is none.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} does not say in which zone")
    return (moment - _BEGIN) // _MILLISECOND


def rfc3339(at: int) -> str:
    """RFC 3339 in UTC of milliseconds since 1970."""
    moment = _BEGIN + at * _MILLISECOND
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
