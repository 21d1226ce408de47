"""Files that are whole or not there, and never take the place of what is read."""

import os
from pathlib import Path

import pytest

from edgekit import files
from edgekit.errors import OutputError
from edgekit.files import check_outputs, check_writable, write_atomically


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
