"""Folders of pictures: what is read, in which order, and what is told to be left out."""

import os
from pathlib import Path

import pytest

from edgekit.errors import ImageError
from edgekit.vision.folders import image_files, left_out, picture_folder


def _make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def _names(folder: Path) -> list[str]:
    return [str(file.relative_to(folder)) for file in image_files(folder)]


def test_pictures_are_found_in_depth_whatever_the_case_of_their_suffix(tmp_path: Path) -> None:
    _make(tmp_path, "c.png", "deep/a.JPG", "b.webp", "x.jpg/inside.HEIC", "d.jfif", "e.gif")
    expected = ["b.webp", "c.png", "d.jfif", "deep/a.JPG", "e.gif", "x.jpg/inside.HEIC"]
    assert _names(tmp_path) == expected


def test_digits_are_numbers(tmp_path: Path) -> None:
    ordered = ["f1.png", "f2.png", "f02.png", "f10.png", "f10b.png", "part9/a.png", "part10/a.png"]
    _make(tmp_path, *reversed(ordered))
    found = _names(tmp_path)
    assert found == ["f1.png", "f02.png", "f2.png", *ordered[3:]]


@pytest.mark.parametrize(
    "name",
    [
        "._a.jpg",
        ".hidden.png",
        "@eaDir/a.jpg",
        "@eaDir/a.jpg/SYNOPHOTO_THUMB.jpg",
        "__MACOSX/a.jpg",
        ".ipynb_checkpoints/a.png",
        "lost+found/a.png",
        "$RECYCLE.BIN/a.png",
        "Thumbs.db",
        ".DS_Store",
        "desktop.ini",
        "labels.tsv",
    ],
)
def test_what_a_system_puts_there_is_skipped_and_not_told(name: str, tmp_path: Path) -> None:
    _make(tmp_path, "a.png", name, f"deep/{name}")
    found = picture_folder(tmp_path)
    assert ([file.name for file in found.files], found.note) == (["a.png"], "")


def test_a_hidden_folder_that_is_asked_for_is_read(tmp_path: Path) -> None:
    _make(tmp_path, ".data/a.png")
    assert _names(tmp_path / ".data") == ["a.png"]


def test_all_else_that_is_left_out_is_counted_by_kind(tmp_path: Path) -> None:
    _make(tmp_path, "a.png", "notes.txt", "b.MP4", "deep/c.mp4", "README", "d.jpg~")
    assert picture_folder(tmp_path).note == (
        "left out 5 files: 1 .jpg~, 2 .mp4, 1 .txt, 1 without a suffix"
    )
    (tmp_path / "a.png").unlink()
    assert left_out(tmp_path).startswith("left out 5 files: ")
    with pytest.raises(ImageError, match=r"no images in .*; left out 5 files: 1 \.jpg~"):
        picture_folder(tmp_path)


def test_one_file_is_told_as_one(tmp_path: Path) -> None:
    _make(tmp_path, "a.png", "b.txt")
    assert picture_folder(tmp_path).note == "left out 1 file: 1 .txt"


def test_links_are_followed(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    _make(tmp_path, "elsewhere/a.png", "elsewhere/deep/b.png", "folder/c.png", "one.png")
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "d.png").symlink_to(tmp_path / "one.png")
    assert _names(folder) == ["c.png", "d.png", "linked/a.png", "linked/deep/b.png"]
    assert picture_folder(folder).note == ""


def test_every_folder_is_read_once_and_loops_end(tmp_path: Path) -> None:
    _make(tmp_path, "real/a.png", "z.png")
    (tmp_path / "real" / "loop").symlink_to(tmp_path)
    # Before and behind it by name; the folder is read in its own place all the same.
    (tmp_path / "again").symlink_to(tmp_path / "real")
    (tmp_path / "zero").symlink_to(tmp_path / "real")
    found = picture_folder(tmp_path)
    assert _names(tmp_path) == ["real/a.png", "z.png"]
    assert found.note == "left out 3 files: 3 link to a folder that is read already"


def test_what_would_not_end_or_is_not_there_is_left_out(tmp_path: Path) -> None:
    _make(tmp_path, "a.png")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere")
    found = picture_folder(tmp_path)
    assert [file.name for file in found.files] == ["a.png"]
    assert found.note == "left out 2 files: 1 broken link, 1 special file"


def test_what_is_no_folder_of_pictures_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=f"^no images in {tmp_path} "):
        image_files(tmp_path)
    with pytest.raises(ImageError, match="is not a folder of images"):
        image_files(tmp_path / "nowhere")
