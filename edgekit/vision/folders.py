"""Folders of pictures: which files are read, in which order, and what is left out."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import NamedTuple

from edgekit.errors import ImageError

IMAGE_SUFFIXES = frozenset({
    ".apng", ".avif", ".bmp", ".dib", ".gif", ".heic", ".heif", ".jfif", ".jpe", ".jpeg", ".jpg",
    ".mpo", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp",
})  # fmt: skip
# What systems, NAS boxes and archivers put beside pictures; hidden files and folders are theirs,
# too. The labels of a data set are read by who needs them.
_SYSTEM = frozenset({
    "$recycle.bin", "#recycle", "@eadir", "__macosx", "__pycache__", "desktop.ini", "ehthumbs.db",
    "lost+found", "system volume information", "thumbs.db", "labels.tsv",
})  # fmt: skip
# Splits a name into texts and numbers by turns; it begins with a text, be it empty.
_DIGITS = re.compile("([0-9]+)")


class PictureFolder(NamedTuple):
    """What a folder of pictures holds.

    Attributes:
        files: the pictures, in it and below.
        left_out: how many other files are there, by kind; hidden and system files do not count.
    """

    files: list[Path]
    left_out: Counter[str]

    @property
    def note(self) -> str:
        """What was left out, as `counted` says it."""
        return counted(self.left_out)


def counted(kinds: Counter[str]) -> str:
    """Files that were left out, in words: `left out 3 files: 2 .mp4, 1 .txt`; empty for none."""
    count = kinds.total()
    listed = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
    return f"left out {count} {'file' if count == 1 else 'files'}: {listed}" if count else ""


def kind_by_name(path: Path) -> str:
    """What to call a file of no special kind: its suffix."""
    return path.suffix.lower() or "without a suffix"


def natural(path: Path) -> list[tuple[list[str | int], str]]:
    """A key to sort paths by, folder by folder, that takes digits for numbers: f2 before f10."""
    return [([int(s) if s.isdigit() else s for s in _DIGITS.split(n)], n) for n in path.parts]


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is a system's, and no person's."""
    return name.startswith(".") or name.lower() in _SYSTEM


def picture_folder(folder: Path) -> PictureFolder:
    """List the pictures in `folder` and below, in natural order.

    Links are followed, and every folder is read once.

    Raises:
        ImageError: `folder` is not a folder, it or one below cannot be read, or no picture is
            there.
    """
    found = _listed(folder)
    if not found.files:
        kinds = ", ".join(sorted(suffix[1:] for suffix in IMAGE_SUFFIXES))
        note = f"; {found.note}" if found.note else ""
        raise ImageError(f"no images in {folder} (looked for {kinds}{note})")
    return found


def left_out(folder: Path) -> str:
    """`PictureFolder.note` of a folder of which a table names the pictures.

    Raises:
        ImageError: it is no folder, or cannot be read.
    """
    return _listed(folder).note


def image_files(folder: Path) -> list[Path]:
    """The pictures of `picture_folder`.

    Raises:
        ImageError: as there.
    """
    return picture_folder(folder).files


def _listed(folder: Path) -> PictureFolder:
    if not folder.is_dir():
        raise ImageError(f"{folder} is not a folder of images")
    files, others = [], Counter[str]()
    for path, kind in _walk(folder):
        if kind is None and path.suffix.lower() in IMAGE_SUFFIXES:
            files.append(path)
        else:
            others[kind or kind_by_name(path)] += 1
    return PictureFolder(sorted(files, key=natural), others)


def _walk(folder: Path) -> Iterator[tuple[Path, str | None]]:
    """Every file below a folder, and what it is if it is no ordinary file."""
    read = set()
    # Links last, so that a folder which has a place of its own here is read in that place.
    waiting, links = [folder], list[Path]()
    while waiting or links:
        now = waiting.pop() if waiting else links.pop(0)
        try:
            status = now.stat()
            if (status.st_dev, status.st_ino) in read:
                yield now, "link to a folder that is read already"
                continue
            read.add((status.st_dev, status.st_ino))
            children = sorted(now.iterdir())
        except OSError as error:
            raise ImageError(f"cannot read the folder {now}: {error.strerror}") from error
        for child in children:
            if is_hidden(child.name):
                continue
            try:
                mode = child.stat().st_mode
            except OSError:
                yield child, "broken link" if child.is_symlink() else "unreadable"
                continue
            if S_ISDIR(mode):
                (links if child.is_symlink() else waiting).append(child)
            else:
                yield child, None if S_ISREG(mode) else "special file"
