"""Read tables of a FlatBuffer, checking every offset on the way.

A table starts with the distance back to its vtable, and each field of a vtable is the distance from
the table's start, 0 when absent. The checks are those of FlatBuffers' own verifier (`verifier.h`),
which runtimes leave to their caller: bounds, alignment, strings that end, no offset of 0. What is
read is counted, so that a file whose parts share each other costs no more than its limits.
"""

import functools
import struct
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from edgekit.errors import ModelFileError
from edgekit.model import limits

Fields = dict[str, Any]
_LAYOUTS = {code: struct.Struct(f"<{code}") for code in "?bBhHiIqQfd"}


class Reader:
    """Bounds-checked access to a flatbuffer's bytes."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._tables = 0
        self._numbers = 0
        self._text = 0

    def unpack(self, code: str, at: int) -> Any:
        """The number at an offset, which is a multiple of its size."""
        layout = _LAYOUTS[code]
        if at < 0 or at + layout.size > len(self.data):
            raise ModelFileError("an offset points outside the file")
        if at % layout.size:
            raise ModelFileError("a number is not aligned")
        return layout.unpack_from(self.data, at)[0]

    def table(self, at: int) -> "Table":
        """The table at an offset."""
        self._tables += 1
        limits.check(self._tables, limits.TABLES, "tables")
        return Table(self, at)

    def root(self) -> "Table":
        """The table that the file starts with."""
        return self.table(self.unpack("I", 0))

    def count_numbers(self, length: int) -> None:
        """Note that a list was read."""
        self._numbers += length
        limits.check(self._numbers, limits.NUMBERS, "numbers in lists")

    def count_text(self, length: int) -> None:
        """Note that a text was read."""
        self._text += length
        limits.check(self._text, limits.TEXT_BYTES, "bytes of names")


class Table:
    """One table; a field is named by its number in the schema."""

    def __init__(self, reader: Reader, at: int) -> None:
        self.reader = reader
        self.at = at
        vtable = at - reader.unpack("i", at)
        length, size = reader.unpack("H", vtable), reader.unpack("H", vtable + 2)
        if length < 4 or length % 2 or size < 4:
            raise ModelFileError("a table's description is damaged")
        if max(vtable + length, at + size) > len(reader.data):
            raise ModelFileError("a table reaches beyond the end of the file")
        self.size = size
        # Of the fields, from the table's start; 0 for one that is absent.
        self.offsets = struct.unpack_from(f"<{length // 2 - 2}H", reader.data, vtable + 4)

    def has(self, number: int) -> bool:
        """Whether a field is there."""
        return number < len(self.offsets) and self.offsets[number] != 0

    def _field(self, number: int, width: int) -> int | None:
        if not self.has(number):
            return None
        offset: int = self.offsets[number]
        if not 4 <= offset <= self.size - width:
            raise ModelFileError("a field lies outside its table")
        return self.at + offset

    def scalar(self, number: int, code: str, default: Any = 0) -> Any:
        """A number, or its default where it is absent."""
        at = self._field(number, _LAYOUTS[code].size)
        return default if at is None else self.reader.unpack(code, at)

    def _follow(self, number: int) -> int | None:
        at = self._field(number, 4)
        if at is None:
            return None
        offset: int = self.reader.unpack("I", at)
        if not offset:
            raise ModelFileError("an offset points nowhere")
        return at + offset

    def child(self, number: int) -> "Table | None":
        """The table that a field points to."""
        at = self._follow(number)
        return None if at is None else self.reader.table(at)

    def span(self, number: int, width: int) -> tuple[int, int]:
        """Start and length (in elements of `width` bytes) of a vector; (0, 0) when absent."""
        at = self._follow(number)
        if at is None:
            return 0, 0
        length = self.reader.unpack("I", at)
        if at + 4 + length * width > len(self.reader.data):
            raise ModelFileError("a vector reaches beyond the end of the file")
        if length and (at + 4) % width:
            raise ModelFileError("a vector is not aligned")
        return at + 4, length

    def numbers(self, number: int, code: str) -> tuple[Any, ...]:
        """A vector of numbers; empty where it is absent."""
        start, length = self.span(number, _LAYOUTS[code].size)
        self.reader.count_numbers(length)
        return struct.unpack_from(f"<{length}{code}", self.reader.data, start)

    def text(self, number: int) -> str | None:
        """A string; None where it is absent."""
        start, length = self.span(number, 1)
        if not start:
            return None
        self.reader.count_text(length)
        if self.reader.data[start + length : start + length + 1] != b"\0":
            raise ModelFileError("a name does not end")
        try:
            return self.reader.data[start : start + length].decode()
        except UnicodeDecodeError as error:
            raise ModelFileError("a name is not UTF-8") from error

    def children(self, number: int) -> Iterator["Table"]:
        """The tables in a vector."""
        start, length = self.span(number, 4)
        for at in range(start, start + 4 * length, 4):
            offset = self.reader.unpack("I", at)
            if not offset:
                raise ModelFileError("an offset points nowhere")
            yield self.reader.table(at + offset)


class _Field(NamedTuple):
    name: str
    kind: str
    is_vector: bool
    absent: Any


@functools.cache
def _layout(text: str) -> tuple[_Field, ...]:
    """The fields of a table, from its line in a schema."""
    fields = []
    for word in text.split():
        name, _, rest = word.partition(":")
        kind, _, default = rest.partition("=")
        absent: Any = None
        if kind == "[B]":
            absent = (0, 0)
        elif kind[0] == "[":
            absent = ()
        elif kind in _LAYOUTS:
            absent = float(default or 0) if kind in "fd" else int(default or 0)
        fields.append(_Field(name, kind.strip("[]"), kind[0] == "[", absent))
    return tuple(fields)


class Schema(NamedTuple):
    """What tables a file may hold.

    Attributes:
        tables: their fields, as `edgekit.model.tables.TABLES` has them.
        unions: the tables that each union may hold, by number.
    """

    tables: Mapping[str, str]
    unions: Mapping[str, tuple[str, ...]]

    def decode(self, table: Table, kind: str) -> Fields:
        """All fields of a table, and of the tables in it, by name.

        Absent numbers have their default, absent vectors are empty, absent strings and tables None.
        A vector of bytes is its start and length. A union has its table's name under `kind`.

        Raises:
            ModelFileError: the structure is damaged; the message is a clause without the file's
                name.
        """
        values: Fields = {}
        chosen: Any = None
        for number, field in enumerate(_layout(self.tables.get(kind, ""))):
            value = field.absent
            if table.has(number):
                value = self._field(table, number, field, chosen)
            # A union's type is the field before it.
            values[field.name] = chosen = value
        return values

    def _field(self, table: Table, number: int, field: _Field, chosen: Any) -> Any:
        kind = field.kind
        if kind in _LAYOUTS:
            if not field.is_vector:
                return table.scalar(number, kind)
            return table.span(number, 1) if kind == "B" else table.numbers(number, kind)
        if kind == "s":
            return table.text(number)
        if kind == "-":
            return None
        if field.is_vector:
            return tuple(self.decode(child, kind) for child in table.children(number))
        child = table.child(number)
        if kind not in self.unions or child is None:
            return None if child is None else self.decode(child, kind)
        names = self.unions[kind]
        if chosen >= len(names):
            raise ModelFileError(f"it has {kind} of a kind that is not known here ({chosen})")
        return {**self.decode(child, names[chosen]), "kind": names[chosen]} if chosen else None
