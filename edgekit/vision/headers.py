"""What picture files say about themselves, and whether they are all there, before decoding."""

import re
import struct
from typing import NamedTuple


class Header(NamedTuple):
    """What a picture file says about itself.

    Attributes:
        width, height: in pixels, as stored; 0 where it was not looked for.
        orientation: how the stored picture is turned, 1 to 8 (EXIF 2.32, tag 0x0112); 1 is upright.
        channels: stored per pixel; 0 where it was not looked for.
        note: what of it is not used, as `Notes.count` takes it; empty for nothing.
    """

    width: int = 0
    height: int = 0
    orientation: int = 1
    channels: int = 0
    note: str = ""


class TruncatedError(Exception):
    """A file ends before the picture does."""


class UnsupportedError(Exception):
    """A file holds what would be read wrongly; says what."""


_DAMAGED = "is damaged; copy it again or remove it"
FIRST_OF_SEVERAL = "with several frames or pages: the first of each is used"
SIXTEEN_BITS = "with 16 bits a channel: the upper 8 are used"


def kind_of(data: bytes) -> str | None:
    """The format of a picture file by its first bytes, whatever its name; None for no picture."""
    for start, kind in _MAGIC:
        if data.startswith(start):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    if data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS:
        return "AVIF" if data[8:12] in (b"avif", b"avis") else "HEIC"
    # Netpbm: a digit, then white space.
    return "PNM" if data[:1] == b"P" and data[1:2] in b"123456" and data[2:3].isspace() else None


_MAGIC = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"BM", "BMP"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
)
_HEIF_BRANDS = frozenset(
    {b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
)


def jpeg_header(data: bytes) -> Header:
    """Of a JPEG file (ITU-T T.81, annex B); what lies behind its end does not matter.

    Raises:
        TruncatedError: it has no end, or not even a picture.
    """
    at, width, height, channels, orientation = 2, 0, 0, 0, 1
    while True:
        if data[at : at + 1] != b"\xff" or at + 4 > len(data):
            raise TruncatedError
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        if marker in _BARE:
            at += 2
            continue
        if marker == 0xDA:  # the picture itself
            break
        if marker == 0xE1 and data[at + 4 : at + 10] == b"Exif\0\0":
            orientation = _exif_orientation(data[at + 10 : at + 10 + 65536])
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            if at + 10 > len(data):
                raise TruncatedError
            height, width, channels = struct.unpack_from(">HHB", data, at + 5)
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    if data.rfind(b"\xff\xd9", at) < 0:
        raise TruncatedError
    return Header(width, height, orientation, channels)


# Markers without a length; a stuffed zero is skipped as they are.
_BARE = frozenset({0x00, 0x01, *range(0xD0, 0xD8)})


def png_header(data: bytes) -> Header:
    """Of a PNG file.

    Raises:
        TruncatedError: it has no end.
        UnsupportedError: it does not begin with its size.
    """
    header, note, at = Header(), "", 8
    if len(data) >= 16 and data[12:16] != b"IHDR":
        raise UnsupportedError(_DAMAGED)
    while True:
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        body = at + 8
        at = body + length + 4
        if at > len(data):
            raise TruncatedError
        if body == 16 and length >= 13:
            width, height, depth = struct.unpack_from(">IIB", data, body)
            header = Header(width, height)
            note = SIXTEEN_BITS if depth == 16 else ""
        elif kind == b"acTL":
            note = FIRST_OF_SEVERAL
        elif kind == b"eXIf":
            header = header._replace(orientation=_exif_orientation(data[body : body + length]))
        elif kind == b"IEND":
            return header._replace(note=note)


def webp_header(data: bytes) -> Header:
    """Of a WebP file.

    Raises:
        TruncatedError: it is shorter than it states.
    """
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise TruncatedError
    orientation, note, at = 1, "", 12
    while at + 8 <= end:
        kind, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if kind == b"EXIF":
            # Some writers keep the mark that EXIF has in JPEG files.
            body = data[at + 8 : at + 8 + length].removeprefix(b"Exif\0\0")
            orientation = _exif_orientation(body)
        elif kind == b"ANIM":
            note = FIRST_OF_SEVERAL
        at += 8 + length + length % 2
    return Header(orientation=orientation, note=note)


def tiff_header(data: bytes) -> Header:
    """Of a TIFF file's first page.

    Raises:
        TruncatedError: it ends before its directory.
        UnsupportedError: its values are no whole numbers without a sign, or it has no size.
    """
    tags, following = _directory(data)
    if not tags:
        raise TruncatedError
    if tags.get(339, 1) != 1:
        raise UnsupportedError("holds signed or floating-point values; save it with 8 or 16 bits")
    note = FIRST_OF_SEVERAL if following else SIXTEEN_BITS if tags.get(258) == 16 else ""
    if not tags.get(256) or not tags.get(257):
        raise UnsupportedError(_DAMAGED)
    # OpenCV turns it upright, asked or not.
    return Header(tags[256], tags[257], note=note)


def bmp_header(data: bytes) -> Header:
    """Of a BMP file.

    Raises:
        TruncatedError: it ends before its header.
    """
    if len(data) < 26:
        raise TruncatedError
    if int.from_bytes(data[14:18], "little") == 12:
        return Header(*struct.unpack_from("<HH", data, 18))
    width, height = struct.unpack_from("<ii", data, 18)
    return Header(width, abs(height))


def pnm_header(data: bytes) -> Header:
    """Of a Netpbm file, in which a comment counts as white space.

    Raises:
        TruncatedError: it ends before its size.
    """
    found = _PNM.match(data)
    if found is None:
        raise TruncatedError
    return Header(int(found[1]), int(found[2]))


_PNM = re.compile(rb"P\d(?:\s|#[^\r\n]*[\r\n])+(\d{1,9})(?:\s|#[^\r\n]*[\r\n])+(\d{1,9})")


def no_header(_data: bytes) -> Header:
    """Of a file that its decoder checks by itself."""
    return Header()


def _exif_orientation(data: bytes) -> int:
    orientation = _directory(data)[0].get(0x0112, 1)
    return orientation if 1 <= orientation <= 8 else 1


def _directory(data: bytes) -> tuple[dict[int, int], int]:
    """First value of the whole-number tags of a TIFF's first directory, and where the next is.

    What is damaged has no tags.
    """
    order = "<" if data[:2] == b"II" else ">"
    tags: dict[int, int] = {}
    try:
        (at,) = struct.unpack_from(order + "I", data, 4)
        (count,) = struct.unpack_from(order + "H", data, at)
        for entry in range(at + 2, at + 2 + 12 * count, 12):
            tag, kind, number = struct.unpack_from(order + "HHI", data, entry)
            if kind not in _SIZES:
                continue
            code, size = _SIZES[kind]
            place = entry + 8
            if number * size > 4:
                (place,) = struct.unpack_from(order + "I", data, place)
            # Of several the first counts, as for libtiff.
            tags.setdefault(tag, struct.unpack_from(order + code, data, place)[0])
        (following,) = struct.unpack_from(order + "I", data, at + 2 + 12 * count)
    except struct.error:
        return {}, 0
    return tags, following


# Of TIFF's types: struct's code and bytes.
_SIZES = {1: ("B", 1), 3: ("H", 2), 4: ("I", 4)}
