"""The clips that somebody has asked for: how many are kept, and which go."""

from pathlib import Path

import pytest
from edgekit_device.sinks.clip import folder as folder_module
from edgekit_device.sinks.clip.folder import CLIPS, ClipFolder

from edgekit.errors import OutputError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "clips"


def fill(path: Path, count: int, size: int = 1) -> list[str]:
    path.mkdir()
    names = [f"20261127T0131{number:05}Z.clip" for number in range(count)]
    for name in names:
        (path / name).write_bytes(bytes(size))
    return names


def test_the_oldest_makes_room(path: Path) -> None:
    names = fill(path, CLIPS)
    (path / names[0]).rename(path / f"{names[0]}.part")
    assert ClipFolder(path).make_room()[1] == [f"{names[0]}.part"]
    assert [clip.name for clip in ClipFolder(path).clips()] == names[:0:-1]


def test_bytes_are_bounded_too(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_module, "TOTAL", 100)
    monkeypatch.setattr(folder_module, "LONGEST", 40)
    names = fill(path, 5, size=20)
    assert ClipFolder(path).make_room()[1] == names[:2]


def test_what_is_no_clip_stays(path: Path) -> None:
    fill(path, CLIPS)
    (path / "0-notes.txt").touch()
    ClipFolder(path).make_room()
    assert (path / "0-notes.txt").exists()


def test_a_disk_that_is_nearly_full_is_left_alone(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_module, "_LEFT_FREE", 1 << 60)
    with pytest.raises(OutputError, match="is nearly full"):
        ClipFolder(path).make_room()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "clips").touch()
    with pytest.raises(OutputError, match="cannot keep a clip"):
        ClipFolder(tmp_path / "clips").make_room()


def test_without_a_folder_there_are_none(path: Path) -> None:
    assert ClipFolder(path).clips() == []
    assert ClipFolder(path).find("20261127T013107123Z.clip") is None
