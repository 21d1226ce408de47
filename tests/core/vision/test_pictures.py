"""Picture files of every format, good and bad."""

import io
import struct
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pillow_heif
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from edgekit.errors import ImageError
from edgekit.vision import optional
from edgekit.vision.notes import Notes
from edgekit.vision.pictures import decode_image, is_image, read_image
from tests.core.vision.png import chunk, png_of_size
from tests.device.sources.clips import jpeg

pillow_heif.register_heif_opener()
LOSSLESS: dict[str, dict[str, object]] = {
    "PNG": {}, "TIFF": {}, "WEBP": {"lossless": True}, "BMP": {}, "PPM": {}, "GIF": {},
}  # fmt: skip
LOSSY: dict[str, dict[str, object]] = {
    "JPEG": {"quality": 95, "subsampling": 0}, "HEIF": {"quality": 95}, "AVIF": {"quality": 95},
    "MPO": {"quality": 95},
}  # fmt: skip
OF_EXIF = ["JPEG", "PNG", "TIFF", "WEBP", "HEIF", "AVIF"]


def _picture() -> Image.Image:
    """Quarters of red, green, blue and grey, wider than high, so that it has an up and a left."""
    pixels = np.zeros((32, 48, 3), np.uint8)
    pixels[:16, :24], pixels[:16, 24:] = (250, 20, 20), (20, 250, 20)
    pixels[16:, :24], pixels[16:, 24:] = (20, 20, 250), (128, 128, 128)
    return Image.fromarray(pixels)


def _file(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **{**(LOSSLESS | LOSSY)[kind], **options})
    return buffer.getvalue()


def _noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 96, 3), dtype=np.uint8))


def _close(pixels: NDArray[np.uint8], image: Image.Image, within: int) -> bool:
    expected = np.asarray(image).astype(int)
    # Where colours meet, lossy compression may blur them.
    return pixels.shape == expected.shape and bool(
        np.percentile(np.abs(pixels - expected), 80) <= within
    )


def _notes(data: bytes) -> list[str]:
    notes = Notes()
    decode_image(data, "it", notes)
    return notes.lines


@pytest.mark.parametrize("kind", [*LOSSLESS, *LOSSY])
def test_every_format_gives_the_pixels_that_were_saved(kind: str) -> None:
    within = 0 if kind in LOSSLESS else 4
    assert _close(decode_image(_file(_picture(), kind), "it"), _picture(), within)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "BMP", "PPM"])
def test_an_opencv_that_knows_blue_first_alone_gives_the_same(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(cv2, "IMREAD_COLOR_RGB")
    test_every_format_gives_the_pixels_that_were_saved(kind)


@pytest.mark.parametrize("kind", OF_EXIF)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_upright_in_every_format_that_has_exif(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = _picture()
    stored.info["exif"] = exif.tobytes()
    expected = ImageOps.exif_transpose(stored)
    assert expected is not None
    expected.info.pop("exif", None)
    data = _file(_picture(), kind, exif=exif.tobytes())
    assert _close(decode_image(data, "it"), expected, 0 if kind in LOSSLESS else 4)


def test_an_orientation_that_does_not_exist_is_none() -> None:
    exif = Image.Exif()
    exif[0x0112] = 9
    assert _close(decode_image(_file(_picture(), "WEBP", exif=exif), "it"), _picture(), 0)


@pytest.mark.parametrize("kind", [*LOSSLESS, *LOSSY])
def test_what_follows_a_picture_does_not_matter(kind: str) -> None:
    data = _file(_picture(), kind)
    behind = b"\0\0\0\x18ftypmp42" + bytes(range(250)) * 50
    assert np.array_equal(decode_image(data + behind, "it"), decode_image(data, "it"))


@pytest.mark.parametrize("kind", [*LOSSLESS, *LOSSY])
@pytest.mark.parametrize("part", [0.02, 0.3, 0.6, 0.9, 0.99])
def test_a_truncated_picture_is_refused(kind: str, part: float) -> None:
    # The second picture of an MPO file may well be cut.
    data = _file(_noise(), kind) if kind != "MPO" else _file(_noise(), "JPEG")
    told = "truncated" if kind in ("JPEG", "PNG", "WEBP") else None
    with pytest.raises(ImageError, match=told):
        decode_image(data[: int(len(data) * part)], "it")


def test_a_jpeg_cut_behind_its_thumbnail_is_truncated() -> None:
    exif = Image.Exif()
    exif[0x0112] = 1
    data = _file(_noise(), "JPEG", exif=exif.tobytes() + _file(_picture(), "JPEG"))
    cut = data[: data.rindex(b"\xff\xda") + 500]
    assert b"\xff\xd9" in cut
    with pytest.raises(ImageError, match="the image it is truncated; copy it again or remove it"):
        decode_image(cut, "it")


def _holed(data: bytes) -> bytes:
    third = len(data) // 3
    return data[:third] + bytes(third) + data[2 * third :]


def _middle_gone(data: bytes) -> bytes:
    return data[: len(data) // 2] + data[-100:]


@pytest.mark.parametrize("spoil", [_holed, _middle_gone])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_with_a_hole_in_it_is_refused(
    spoil: Callable[[bytes], bytes], progressive: bool
) -> None:
    data = _file(_noise(), "JPEG", progressive=progressive)
    with pytest.raises(ImageError, match=r"^the image it is damaged \(.*\); copy it again"):
        decode_image(spoil(data), "it")


@pytest.mark.parametrize("padding", [b"\0", b"\0" * 100, b"\xff" * 7])
def test_padding_before_a_jpegs_end_is_no_damage(padding: bytes) -> None:
    data = _file(_noise(), "JPEG")
    padded = data[:-2] + padding + data[-2:]
    assert np.array_equal(decode_image(padded, "it"), decode_image(data, "it"))


def test_other_bytes_before_a_jpegs_end_are_damage() -> None:
    data = _file(_noise(), "JPEG")
    with pytest.raises(ImageError, match="it is damaged"):
        decode_image(data[:-2] + bytes(range(1, 41)) + data[-2:], "it")


def test_a_png_whose_checksum_fails_is_refused() -> None:
    data = bytearray(_file(_noise(), "PNG"))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(ImageError, match="it is damaged; copy it again"):
        decode_image(bytes(data), "it")


def test_jpegs_read_the_same_with_and_without_a_library_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    files = [
        _file(image, "JPEG", subsampling=subsampling, progressive=progressive)
        for image in (_noise(), _noise().convert("L"), _noise().crop((0, 0, 33, 17)))
        for subsampling in (0, 1, 2)
        for progressive in (False, True)
    ]
    files.append(_file(_picture().convert("CMYK"), "JPEG"))
    strict = [decode_image(data, "it") for data in files]
    monkeypatch.setattr(optional, "load", lambda name: None)
    for data, expected in zip(files, strict, strict=True):
        assert np.array_equal(decode_image(data, "it"), expected)


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "1"])
def test_grey_palettes_and_cmyk_become_rgb(mode: str) -> None:
    image = _picture().convert(mode)
    kind = "JPEG" if mode in ("L", "CMYK") else "PNG"
    assert _close(decode_image(_file(image, kind), "it"), image.convert("RGB"), 4)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_transparent_pixels_keep_the_colour_that_lies_under_them(kind: str) -> None:
    image = _picture()
    image.putalpha(Image.fromarray(np.tile(np.arange(48, dtype=np.uint8), (32, 1))))
    assert _close(decode_image(_file(image, kind, exact=True), "it"), _picture(), 0)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_become_eight_and_are_told(suffix: str) -> None:
    values = np.arange(0, 65536, 1024, dtype=np.uint16).reshape(8, 8)
    data = cv2.imencode(suffix, values)[1].tobytes()
    assert np.abs(decode_image(data, "it")[..., 1] - values / 257).max() <= 1
    assert _notes(data) == ["1 picture with 16 bits a channel: the upper 8 are used"]


def test_floating_point_values_are_refused() -> None:
    image = Image.fromarray(np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8))
    with pytest.raises(ImageError, match="it holds signed or floating-point values; save it"):
        decode_image(_file(image, "TIFF"), "it")


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_several_frames_or_pages_the_first_is_used_and_told(kind: str) -> None:
    other = ImageOps.invert(_picture())
    data = _file(_picture(), kind, save_all=True, append_images=[other])
    assert _close(decode_image(data, "it"), _picture(), 0)
    assert _notes(data) == ["1 picture with several frames or pages: the first of each is used"]
    assert _notes(_file(_picture(), kind)) == []


def test_what_a_file_holds_decides_and_not_its_name(tmp_path: Path) -> None:
    for name, kind in (("a.jpg", "HEIF"), ("b.png", "GIF"), ("c.heic", "JPEG")):
        (tmp_path / name).write_bytes(_file(_picture(), kind))
        assert _close(read_image(tmp_path / name), _picture(), 4)
    (tmp_path / "d").write_bytes(_file(_picture(), "JPEG"))
    (tmp_path / "e.mjpeg").write_bytes(_file(_picture(), "JPEG"))
    assert is_image(tmp_path / "d")
    assert not is_image(tmp_path / "e.mjpeg")


def test_a_small_file_cannot_take_all_memory() -> None:
    with pytest.raises(ImageError, match="it is 100000x100000 pixels large; make it smaller"):
        decode_image(png_of_size(100_000, 100_000), "it")
    large = bytearray(jpeg().tobytes())
    at = large.index(b"\xff\xc0") + 5
    large[at : at + 4] = b"\xff\xff\xff\xff"
    with pytest.raises(ImageError, match="it is 65535x65535 pixels large"):
        decode_image(bytes(large), "it")
    # Nor one that is read otherwise than its decoder reads it.
    hidden = b"\xff\xc0\x00\x11\x08\x00\x01\x00\x01\x03" + bytes(9)
    for bare in (b"\xff\x01", b"\xff\xd0", b"\xff\x00"):
        behind = large[: at - 5] + bare + large[at - 5 :]
        length = int.from_bytes(behind[at - 3 : at - 1], "big")
        behind[at - 3 + length : at - 3 + length] = hidden
        with pytest.raises(ImageError, match="it is 65535x65535 pixels large"):
            decode_image(bytes(behind), "it")
    again = png_of_size(100_000, 100_000)[:-12] + png_of_size(1, 1)[8:]
    with pytest.raises(ImageError, match="it is 100000x100000 pixels large"):
        decode_image(again, "it")
    with pytest.raises(ImageError, match="it is damaged"):
        decode_image(again[:8] + chunk(b"gAMA", bytes(4)) + again[8:], "it")
    with pytest.raises(ImageError, match="it is 99999x99999 pixels large"):
        decode_image(b"P6 # wide\n99999\n#\r99999 255\n", "it")
    with pytest.raises(ImageError, match="it is truncated"):
        decode_image(b"P6 99999", "it")


def _tiff(*entries: tuple[int, int, int]) -> bytes:
    """One that says (tag, type, value) in its directory."""
    directory = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + directory + bytes(4)


def test_a_tiff_has_the_size_that_its_decoder_takes() -> None:
    large, small = [(256, 4, 1 << 17), (257, 4, 1 << 17)], [(256, 4, 1), (257, 4, 1)]
    with pytest.raises(ImageError, match="it is 131072x131072 pixels large"):
        decode_image(_tiff(*large, *small), "it")
    # libtiff takes signed numbers, too.
    for odd in ([(256, 9, 1 << 17), (257, 9, 1 << 17)], [(256, 4, 1 << 17)], [(257, 4, 1)]):
        with pytest.raises(ImageError, match=r"it is (damaged|truncated); copy it again"):
            decode_image(_tiff(*odd), "it")


@pytest.mark.parametrize(("kind", "name"), [("HEIF", "HEIC"), ("GIF", "GIF"), ("AVIF", "AVIF")])
def test_without_its_library_a_format_is_refused_with_the_remedy(
    kind: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = _file(_picture(), kind)
    monkeypatch.setattr(optional, "load", lambda name: None)
    remedy = rf'the image it is a {name}; to read it: pip install "edgekit-core\[media\]"'
    with pytest.raises(ImageError, match=f"^{remedy}$"):
        decode_image(data, "it")


@pytest.mark.parametrize(
    "content",
    [
        b"<!DOCTYPE html><html>404</html>",
        b"#?RADIANCE\n",
        b"\xff\xd8\xff",
        b"RIFF",
        b"II*\0",
        b"BM",
    ],
)
def test_what_is_no_picture_is_refused(content: bytes) -> None:
    with pytest.raises(ImageError, match=r"it is (not an image, or is damaged|truncated)"):
        decode_image(content, "it")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="cannot read the image"):
        read_image(tmp_path / "nowhere.png")
    (tmp_path / "empty.png").touch()
    with pytest.raises(ImageError, match=r"empty\.png is empty"):
        read_image(tmp_path / "empty.png")
