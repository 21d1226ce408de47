"""What is written into a history."""

from typing import NamedTuple

# Bytes of an event without its picture, with its share of the indices and the end of a page.
_ROW = 4096


class Item(NamedTuple):
    """An event to keep.

    Attributes:
        id: of the event.
        at: milliseconds since 1970.
        label: the decided label.
        event: all of it, as JSON.
        sees: x, y, width, height of what the model saw of the picture, as JSON; None without one.
        jpeg: the picture, without marks; None for none.
    """

    id: str
    at: int
    label: str
    event: str
    sees: str | None
    jpeg: bytes | None

    @property
    def size(self) -> int:
        """Bytes it takes, in about."""
        return _ROW + len(self.jpeg or b"")

    def without_picture(self) -> "Item":
        """The same, where its picture is too large."""
        return self._replace(sees=None, jpeg=None)


class Note(NamedTuple):
    """That the daemon watches, from now on or still; or why it no longer does.

    Attributes:
        at: milliseconds since 1970.
        why: it does not watch any more, in a word; None while it does.
    """

    at: int
    why: str | None = None

    @property
    def size(self) -> int:
        """Bytes it takes, in about."""
        return 256
