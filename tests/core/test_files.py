"""Files are whole or not there, and nobody else reads what is not for all."""

import os
from pathlib import Path

import pytest

from edgekit.files import read_bounded, replace_file


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
