"""The zip behind a flatbuffer, read so that every tool agrees on what is in it.

Sizes are looked at before anything is unpacked. What tools read in different ways is refused: two
entries of one name, names that are not what they seem, encryption, unusual compression.
"""

import io
import re
import struct
import zipfile
from typing import NamedTuple

from edgekit.errors import ModelFileError
from edgekit.model import limits

# The record that a zip ends with: entries, bytes and offset of its directory (APPNOTE.TXT, 4.3.16).
_END = struct.Struct("<4s6xHII2x")
_SIGNATURE = b"PK\x05\x06"
_LOCATOR = b"PK\x06\x07"
# A comment may follow.
_LONGEST_COMMENT = (1 << 16) - 1
# How an entry of ours begins; behind a flatbuffer it says that there was a zip.
_REMAINS = re.compile(rb"PK\x03\x04.{26}(?:edgekit\.json|labels\.txt)", re.DOTALL)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class Parts(NamedTuple):
    """A model file, taken apart.

    Attributes:
        flatbuffer: what is before the zip; all of it where there is none.
        names: of the zip's entries, in its order.
        archive: the zip; None where there is none.
    """

    flatbuffer: bytes
    names: tuple[str, ...] = ()
    archive: zipfile.ZipFile | None = None

    def read(self, name: str, maximum: int) -> bytes:
        """The contents of an entry.

        Raises:
            ModelFileError: they are damaged, or longer; the message is a clause without the file's
                name.
        """
        assert self.archive is not None
        entry = self.archive.getinfo(name)
        limits.check(entry.file_size, maximum, f"bytes in {name!r}")
        try:
            with self.archive.open(entry) as stream:
                content = stream.read(maximum + 1)
        except Exception as error:  # whatever damage provokes: BadZipFile, zlib.error, EOFError, …
            raise ModelFileError(f"{name!r} in its zip is damaged ({error})") from error
        if len(content) != entry.file_size:
            raise ModelFileError(f"{name!r} in its zip is damaged (cut off)")
        return content


def take_apart(content: bytes) -> Parts:
    """Separate the flatbuffer from the zip behind it, if there is one.

    Raises:
        ModelFileError: the zip is damaged, too large, or says different things to different tools;
            the message is a clause without the file's name.
    """
    if not _has_end(content):
        if _REMAINS.search(content):
            raise ModelFileError("the zip with its labels is cut off, or damaged")
        return Parts(content)
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except Exception as error:  # BadZipFile, NotImplementedError, ValueError, struct.error, …
        raise ModelFileError(f"the zip with its labels is damaged ({error})") from error
    entries = archive.infolist()
    for entry in entries:
        _check_entry(entry)
    names = tuple(entry.filename for entry in entries)
    if len(set(names)) < len(names):
        raise ModelFileError("its zip has two entries of one name")
    limits.check(sum(entry.file_size for entry in entries), limits.ZIP_BYTES, "bytes in its zip")
    # Files written by other tools may keep offsets from the zip's own start; zipfile corrects
    # those, and header_offset is where the entry really lies.
    start = min((entry.header_offset for entry in entries), default=archive.start_dir)
    flatbuffer = content[:start]
    if _REMAINS.search(flatbuffer):
        # Its labels, and what else it says, would be silently replaced.
        raise ModelFileError("it has two zips, one behind the other")
    return Parts(flatbuffer, names, archive)


def _has_end(content: bytes) -> bool:
    """Whether there is a zip, whose directory is no larger than may be read.

    Raises:
        ModelFileError: it is larger.
    """
    # As zipfile finds it: at the very end, or else the last one that is there.
    at = len(content) - 22
    if at < 0 or content[at : at + 4] != _SIGNATURE or content[-2:] != b"\0\0":
        at = content.rfind(_SIGNATURE, max(0, at - _LONGEST_COMMENT))
    if at < 0 or at + 22 > len(content):
        return False
    _, entries, size, _ = _END.unpack_from(content, at)
    limits.check(entries, limits.ZIP_ENTRIES, "entries in its zip")
    # Names of 64 KiB, comments and the like; another number of entries would hide in them.
    limits.check(size, limits.ZIP_DIRECTORY_BYTES, "bytes in its zip's directory")
    if content[at - 20 : at - 16] == _LOCATOR:
        raise ModelFileError("its zip is of the form for more than 4 GB")
    return True


def _check_entry(entry: zipfile.ZipInfo) -> None:
    # What follows a NUL is no part of the name, for some.
    name = entry.orig_filename
    parts = name.split("/")
    if name != entry.filename or not name.isprintable() or "\\" in name:
        raise ModelFileError(f"its zip has an entry with the name {name[:80]!a}")
    if name.startswith("/") or ".." in parts or ":" in parts[0]:
        raise ModelFileError(f"its zip has an entry outside of it, {name[:80]!r}")
    if entry.flag_bits & 0x1:
        raise ModelFileError(f"{name[:80]!r} in its zip is encrypted")
    if entry.compress_type not in _METHODS:
        raise ModelFileError(f"{name[:80]!r} in its zip is compressed in an unusual way")
