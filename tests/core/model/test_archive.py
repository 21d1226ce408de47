"""The zip behind a flatbuffer: every tool reads the same in it, and no size is believed."""

import io
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from edgekit.errors import ModelFileError
from edgekit.model import limits
from edgekit.model.archive import take_apart
from edgekit.model.container import parse_model
from tests.tiny import LABELS, tiny_flatbuffer

HEAD = b"TFL3" + bytes(60)


def _zipped(*entries: tuple[str, bytes], head: bytes = HEAD, comment: bytes = b"") -> bytes:
    file = io.BytesIO(head)
    with zipfile.ZipFile(file, "a") as archive:
        for name, content in entries:
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
        archive.comment = comment
    return file.getvalue()


def test_a_flatbuffer_alone_is_all_of_the_file() -> None:
    assert take_apart(HEAD) == (HEAD, (), None)
    assert take_apart(b"") == (b"", (), None)


def test_flatbuffer_and_entries_come_apart() -> None:
    for comment in (b"", b"hello"):
        parts = take_apart(_zipped(("labels.txt", b"a\nb\n"), ("x/y.md", b"z"), comment=comment))
        assert parts.flatbuffer == HEAD
        assert parts.names == ("labels.txt", "x/y.md")
        assert parts.read("labels.txt", 4) == b"a\nb\n"


def test_unzip_finds_the_same(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(_zipped(("labels.txt", LABELS), comment=b"made by hand"))
    try:
        done = subprocess.run(["unzip", "-p", path, "labels.txt"], capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("unzip is not installed")
    assert done.stdout == take_apart(path.read_bytes()).read("labels.txt", 1 << 10)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([("edgekit.json", b"{}"), ("edgekit.json", b"{}")], "two entries of one name"),
        ([("labels.txt", b"a"), ("labels.txt", b"b")], "two entries of one name"),
        ([("/labels.txt", b"a")], "an entry outside of it, '/labels.txt'"),
        ([("../labels.txt", b"a")], "an entry outside of it"),
        ([("C:/labels.txt", b"a")], "an entry outside of it"),
        ([("a\\labels.txt", b"a")], "an entry with the name"),
        ([("a\x1b[2J.txt", b"a")], "an entry with the name 'a.x1b.2J.txt'"),
        ([(f"{n}.txt", b"a") for n in range(65)], "it has 65 entries in its zip; at most 64"),
    ],
)
def test_names_that_tools_read_in_different_ways_are_refused(
    entries: list[tuple[str, bytes]], message: str
) -> None:
    with pytest.raises(ModelFileError, match=message):
        take_apart(_zipped(*entries))


def test_a_name_with_something_behind_its_end_is_refused() -> None:
    raw = _zipped(("labels.txt_", b"a")).replace(b"labels.txt_", b"labels.txt\0")
    with pytest.raises(ModelFileError, match=r"an entry with the name 'labels.txt\\x00'"):
        take_apart(raw)


def _flagged(raw: bytes, at_local: int, at_central: int, value: int) -> bytes:
    """The same with a number changed in an entry's own header and in the directory."""
    changed = bytearray(raw)
    changed[raw.index(b"PK\x03\x04") + at_local] = value
    changed[raw.index(b"PK\x01\x02") + at_central] = value
    return bytes(changed)


def test_encryption_and_unusual_compression_are_refused() -> None:
    raw = _zipped(("labels.txt", b"a"))
    with pytest.raises(ModelFileError, match=r"'labels\.txt' in its zip is encrypted"):
        take_apart(_flagged(raw, 6, 8, 1))
    with pytest.raises(ModelFileError, match="is compressed in an unusual way"):
        take_apart(_flagged(raw, 8, 10, 14))


def test_nothing_is_unpacked_that_is_too_large() -> None:
    bomb = _zipped(("labels.txt", LABELS), ("other.txt", bytes(limits.ZIP_BYTES)))
    assert len(bomb) < 20_000
    with pytest.raises(ModelFileError, match="bytes in its zip; at most 16,777,216 are read"):
        take_apart(bomb)
    parts = take_apart(_zipped(("labels.txt", bytes(1000))))
    with pytest.raises(ModelFileError, match=r"it has 1,000 bytes in 'labels\.txt'; at most 999"):
        parts.read("labels.txt", 999)


def test_sizes_that_lie_are_noticed() -> None:
    raw = _zipped(("labels.txt", bytes(1000)))
    for size in (10, 2000):
        directory = raw.index(b"PK\x01\x02") + 24
        lying = raw[:directory] + size.to_bytes(4, "little") + raw[directory + 4 :]
        with pytest.raises(ModelFileError, match=r"'labels\.txt' in its zip is damaged"):
            take_apart(lying).read("labels.txt", 1 << 20)


def test_a_directory_that_is_too_large_is_not_read() -> None:
    raw = _zipped(("labels.txt", b"a"))
    end = raw.rindex(b"PK\x05\x06")
    size = (limits.ZIP_DIRECTORY_BYTES + 1).to_bytes(4, "little")
    with pytest.raises(ModelFileError, match="65,537 bytes in its zip's directory"):
        take_apart(raw[: end + 12] + size + raw[end + 16 :])
    with pytest.raises(ModelFileError, match="for more than 4 GB"):
        take_apart(raw[:end] + b"PK\x06\x07" + bytes(16) + raw[end:])


@pytest.mark.parametrize("lost", [1, 10, 21, 40, 60])
def test_a_zip_that_is_cut_off_is_missed(lost: int) -> None:
    """Else a model of ours, cut, would run as a stranger's without labels."""
    raw = _zipped(("labels.txt", LABELS), head=tiny_flatbuffer())
    assert parse_model(Path("m"), raw).labels is not None
    with pytest.raises(ModelFileError, match="m is not a usable model: the zip with its labels is"):
        parse_model(Path("m"), raw[:-lost])


def test_a_second_zip_does_not_hide_the_first() -> None:
    once = _zipped(("edgekit.json", b"{}"), ("labels.txt", LABELS))
    with pytest.raises(ModelFileError, match="it has two zips, one behind the other"):
        take_apart(once + _zipped(("labels.txt", b"other\n"), head=b"\0"))


DAMAGE: list[Callable[[bytes], bytes]] = [
    lambda raw: raw.replace(b"PK\x01\x02", b"PK\x01\x03"),
    lambda raw: raw.replace(b"PK\x03\x04", b"PK\x03\x05"),
    lambda raw: raw.replace(b"labels.txt", b"lambda.txt", 1),
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_one_line(damage: Callable[[bytes], bytes]) -> None:
    raw = damage(_zipped(("labels.txt", LABELS), head=tiny_flatbuffer()))
    with pytest.raises(ModelFileError, match="zip"):
        parse_model(Path("m"), raw)
