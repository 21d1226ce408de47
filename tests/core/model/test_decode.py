"""The checks of FlatBuffers' own verifier, on tables made byte by byte."""

import struct

import pytest

from edgekit.errors import ModelFileError
from edgekit.model import limits
from edgekit.model.decode import Reader, Schema, Table


def _table(offset: int = 4, size: int = 8, value: int = 4, behind: bytes = b"") -> Table:
    """One with a single field of four bytes, which holds `value`; `behind` follows it."""
    raw = struct.pack("<HHHHiI", 6, size, offset, 0, 8, value) + behind
    return Reader(raw).table(8)


def test_a_field_is_read() -> None:
    assert _table().scalar(0, "I") == 4
    assert _table().scalar(1, "I", 7) == 7


@pytest.mark.parametrize("offset", [1, 3, 5, 8, 60_000])
def test_a_field_outside_its_table_is_refused(offset: int) -> None:
    with pytest.raises(ModelFileError, match="a field lies outside its table"):
        _table(offset).scalar(0, "I")


def test_a_table_within_the_file_alone_is_read() -> None:
    with pytest.raises(ModelFileError, match="a table reaches beyond the end of the file"):
        _table(size=9)
    with pytest.raises(ModelFileError, match="a table's description is damaged"):
        _table(size=2)


def test_numbers_are_aligned() -> None:
    assert Reader(bytes(12)).unpack("q", 0) == 0
    for code, at in (("q", 4), ("i", 2), ("H", 1)):
        with pytest.raises(ModelFileError, match="a number is not aligned"):
            Reader(bytes(16)).unpack(code, at)


def test_lists_of_long_numbers_are_aligned() -> None:
    # Its length at 16, its numbers at 20, or at 24 with the length at 20.
    behind = struct.pack("<Iq", 1, 5)
    with pytest.raises(ModelFileError, match="a vector is not aligned"):
        _table(value=4, behind=behind).numbers(0, "q")
    assert _table(value=8, behind=bytes(4) + behind).numbers(0, "q") == (5,)


def test_an_offset_points_somewhere() -> None:
    for read in (Table.child, Table.text, lambda table, field: table.span(field, 1)):
        with pytest.raises(ModelFileError, match="an offset points nowhere"):
            read(_table(value=0), 0)
    empty = struct.pack("<II", 1, 0)
    with pytest.raises(ModelFileError, match="an offset points nowhere"):
        list(_table(behind=empty).children(0))


def test_a_name_ends_and_is_utf_8() -> None:
    assert _table(behind=struct.pack("<I4s", 3, b"abc")).text(0) == "abc"
    with pytest.raises(ModelFileError, match="a name does not end"):
        _table(behind=struct.pack("<I4s", 3, b"abcd")).text(0)
    with pytest.raises(ModelFileError, match="a name does not end"):
        _table(behind=struct.pack("<I4s", 4, b"abcd")).text(0)
    with pytest.raises(ModelFileError, match="a name is not UTF-8"):
        _table(behind=struct.pack("<I4s", 3, b"a\xffc")).text(0)


def test_what_is_shared_counts_each_time() -> None:
    table = _table(behind=struct.pack("<I4s", 3, b"abc"))
    for _ in range(limits.TEXT_BYTES // 3):
        table.reader.count_text(3)
    with pytest.raises(ModelFileError, match="bytes of names; at most 8,388,608 are read"):
        table.text(0)
    for _ in range(limits.TABLES - 1):
        table.reader.table(8)
    with pytest.raises(ModelFileError, match="it has 32,769 tables; at most 32,768 are read"):
        table.reader.table(8)


def test_a_union_of_a_kind_that_is_not_known_is_refused() -> None:
    schema = Schema({"A": "kind:B value:U", "B": "number:I"}, {"U": ("NONE", "B")})

    def decoded(kind: int) -> object:
        # A table at 8 with a byte and an offset to the table at 32, whose field is a 9.
        raw = struct.pack("<HHHHiBxxxI", 8, 12, 4, 8, 8, kind, 16)
        raw += bytes(4) + struct.pack("<HHHHiI", 6, 8, 4, 0, 8, 9)
        return schema.decode(Reader(raw).table(8), "A")

    assert decoded(1) == {"kind": 1, "value": {"number": 9, "kind": "B"}}
    assert decoded(0) == {"kind": 0, "value": None}
    with pytest.raises(ModelFileError, match=r"it has U of a kind that is not known here \(2\)"):
        decoded(2)
