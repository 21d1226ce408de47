"""Which events a request is about: what stands in its address, and what may stand there."""

import re
from typing import Annotated

from msgspec import Meta
from starlette.exceptions import HTTPException
from starlette.requests import Request

from edgekit.model import limits
from edgekit_device.history.reader import Span
from edgekit_device.history.times import milliseconds
from edgekit_device.sinks.http.operation import Parameter

LIMIT = 500
"""Events in one answer."""
NOT_KEPT = "No such event is kept.\n"
NOT_HELD = (
    "No such picture. Without a history those of the last changes are held as they go out, marked: "
    "where pictures.size is not off.\n"
)
_USUAL = 100
_ID = re.compile(r"\d{8}T\d{9}Z-\d{1,19}", re.ASCII)
_TIME = "RFC 3339, like 2026-11-27T01:31:07Z"

_Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
_EventId = Annotated[str, Meta(pattern=f"^{_ID.pattern}$")]
ID = Parameter("id", _EventId, "Id of an event.")
FROM = Parameter("from", _Time, f"The earliest time, {_TIME}.")
TO = Parameter("to", _Time, f"The time before which they are, {_TIME}.")
LABEL = Parameter("label", str, "The decided label.")
BEFORE = Parameter("before", _EventId, "Id of an event: those that came before it.")
COUNT = Parameter("limit", Annotated[int, Meta(ge=1, le=LIMIT)], "How many at most; 100 if unset.")
PLAIN = Parameter("plain", str, "Without marks.")


class Query:
    """The values of an address, each at most once.

    Args:
        request: that asks.
        parameters: those there are.

    Raises:
        HTTPException: 400 for one that is not there to be asked for, or comes twice.
    """

    def __init__(self, request: Request, *parameters: Parameter) -> None:
        names = [parameter.name for parameter in parameters]
        self.values: dict[str, str] = {}
        for name, value in request.query_params.multi_items():
            if name not in names:
                known = f"there are {', '.join(names)}" if names else "there is none"
                raise HTTPException(400, f"No parameter {name[:40]!a} here: {known}.\n")
            if name in self.values:
                raise HTTPException(400, f"{name} is given twice.\n")
            self.values[name] = value

    def span(self) -> Span:
        """From, to and label.

        Raises:
            HTTPException: 400 where one is not as it should be.
        """
        since, until = self._time("from"), self._time("to")
        if since is not None and until is not None and since >= until:
            raise HTTPException(400, "from is not before to.\n")
        label = self.values.get("label")
        if label is not None and not 0 < len(label) <= limits.LABEL:
            raise HTTPException(400, "label is empty, or too long.\n")
        return Span(since, until, label)

    def limit(self) -> int:
        """How many events.

        Raises:
            HTTPException: 400 where it is no number, or out of bounds.
        """
        text = self.values.get("limit", str(_USUAL))
        if not re.fullmatch("[0-9]{1,3}", text) or not 1 <= int(text) <= LIMIT:
            raise HTTPException(400, f"limit is a number from 1 to {LIMIT}.\n")
        return int(text)

    def before(self) -> str | None:
        """An event's id.

        Raises:
            HTTPException: 400 where it is none.
        """
        text = self.values.get("before")
        if text is not None and not _ID.fullmatch(text):
            raise HTTPException(400, "before is the id of an event.\n")
        return text

    def _time(self, name: str) -> int | None:
        text = self.values.get(name)
        if text is None:
            return None
        try:
            # RFC 3339 has it; other forms of ISO 8601 are not meant.
            if not re.match(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d", text, re.ASCII):
                raise ValueError
            return milliseconds(text.upper())
        except ValueError:
            hint = "; a + is %2B in an address" if " " in text else ""
            raise HTTPException(400, f"{name} is {text[:40]!a}, not {_TIME}{hint}.\n") from None


def id_of(request: Request) -> str:
    """The id in a path.

    Raises:
        HTTPException: 404 where it is none.
    """
    text: str = request.path_params["id"]
    if not _ID.fullmatch(text):
        raise HTTPException(404, NOT_KEPT)
    return text
