"""Files that are whole or not there, and never take the place of what is read."""

import os
from pathlib import Path

import pytest

from edgekit import files
from edgekit.errors import GoldenError, OutputError
from edgekit.files import (
    Layout,
    check_outputs,
    check_writable,
    decode_json,
    read_bounded,
    read_file,
    read_text,
    replace_file,
    write_atomically,
)


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for content in (b"one", b"two"):
        write_atomically(path, content)
        assert path.read_bytes() == content
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_one_that_cannot_be_written_is_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"before")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OutputError, match=f"cannot write {path}: No space left on device"):
        write_atomically(path, b"after")
    assert path.read_bytes() == b"before"
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_a_device_or_a_pipe_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "link").symlink_to(pipe)
    for path in (Path("/dev/null"), pipe, tmp_path / "link"):
        with pytest.raises(OutputError, match=f"{path} is a device or a pipe; name a file"):
            check_writable(path)


def test_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="is a folder; name a file"):
        check_writable(tmp_path)
    with pytest.raises(OutputError, match="no does not exist; create it"):
        check_writable(tmp_path / "no" / "a")


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.pth"
    path.write_bytes(b"weeks of training")
    return path


def test_an_output_that_is_an_input_is_refused_under_whatever_name(
    tmp_path: Path, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(mine)
    os.link(mine, tmp_path / "hard")
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    for name in (mine, Path("mine.pth"), Path("folder/../mine.pth"), Path("link"), Path("hard")):
        with pytest.raises(OutputError, match=f"{name} is read here, and would be lost"):
            check_outputs([None, tmp_path / "new", name], [None, tmp_path / "none", mine])


def test_outputs_are_different_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match="is to be written twice"):
        check_outputs([Path("a"), tmp_path / "a"], [])


def test_others_are_written_or_replaced(tmp_path: Path, mine: Path) -> None:
    older = tmp_path / "older"
    older.touch()
    check_outputs([older, tmp_path / "new", None], [mine, tmp_path, None])


def test_a_private_file_is_so_before_anything_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []
    real = os.fchmod

    def fchmod(descriptor: int, mode: int) -> None:
        status = os.fstat(descriptor)
        seen.append((status.st_mode & 0o777, status.st_size))
        real(descriptor, mode)

    monkeypatch.setattr(os, "fchmod", fchmod)
    path, temporary = tmp_path / "file", tmp_path / "file.new"
    replace_file(path, b"secret", temporary, mode=0o640)
    assert seen == [(0o600, 0)]
    assert path.stat().st_mode & 0o777 == 0o640


def test_what_lies_at_the_temporary_name_is_replaced_and_not_written_into(tmp_path: Path) -> None:
    """A link there would lead the content, or its permissions, elsewhere."""
    path, temporary, other = tmp_path / "file", tmp_path / "file.new", tmp_path / "other"
    other.write_bytes(b"other")
    for place in (temporary.symlink_to, temporary.hardlink_to):
        place(other)
        replace_file(path, b"content", temporary)
        assert (path.read_bytes(), other.read_bytes()) == (b"content", b"other")
        assert not path.is_symlink()
        assert not temporary.exists()


def test_a_file_of_others_is_read_up_to_a_size(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"four")
    assert read_bounded(path, 4) == b"four"
    with pytest.raises(OSError, match="too large"):
        read_bounded(path, 3)
    for strange in (tmp_path, Path("/dev/zero"), tmp_path / "none"):
        with pytest.raises(OSError, match=str(strange)):
            read_bounded(strange, 4)


def test_json_that_says_nothing_is_one_kind_of_error_with_a_reason() -> None:
    assert decode_json(b'{"schema": 3, "more": []}', Layout).schema == 3
    for content, reason in (
        (b"", "truncated"),
        (b"{", "truncated"),
        (b'{"more": ' + b"[" * 100_000, "its values are nested too deeply"),
        (b'{"schema": ' + b"9" * 5000 + b"}", "Integer value out of range"),
        (b'{"schema": 0}', "Expected `int` >= 1"),
        (b"[]", "Expected `object`, got `array`"),
    ):
        with pytest.raises(ValueError, match=reason) as caught:
            decode_json(content, Layout)
        assert str(caught.value).isprintable()
    with pytest.raises(ValueError, match="it is not UTF-8 from byte 2 of a text on"):
        decode_json(b'"ab\xff"', str)


def test_a_file_that_a_user_names_is_read_up_to_a_size(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"four")
    assert read_file(path, GoldenError, "golden file", 4) == b"four"
    with pytest.raises(GoldenError, match=r"the golden file .*file has more than 3 bytes; is it"):
        read_file(path, GoldenError, "golden file", 3)
    with pytest.raises(GoldenError, match=f"cannot read the text {tmp_path}: Is a .*; try another"):
        read_file(tmp_path, GoldenError, "text", remedy="try another")
    os.mkfifo(tmp_path / "pipe")
    for strange in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(GoldenError, match=f"the text {strange} is a device or a pipe; name a"):
            read_text(strange, GoldenError, "text")


def test_a_link_is_followed_where_that_is_asked_for(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "file")
    (tmp_path / "file").write_bytes(b"four")
    with pytest.raises(OSError, match="link"):
        read_bounded(link, 4)
    assert read_bounded(link, 4, follow=True) == b"four"


def test_no_more_memory_is_asked_for_than_a_file_has(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"four")
    assert read_bounded(path, 1 << 60) == b"four"
    # One that says of itself that it is empty.
    assert read_bounded(Path("/proc/self/stat"), 1 << 60).startswith(b"%d" % os.getpid())


def test_a_file_that_grows_meanwhile_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"a" * 100_000)
    whole = os.fstat

    def before(descriptor: int) -> os.stat_result:
        status = whole(descriptor)
        with path.open("ab") as stream:
            stream.write(b"more")
        return status

    monkeypatch.setattr(files.os, "fstat", before)
    with pytest.raises(OSError, match="changes while it is read"):
        read_bounded(path, 1 << 20)
