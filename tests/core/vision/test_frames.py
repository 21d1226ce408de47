"""Pictures as people have them, to frames: what could be misread is refused with its remedy."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgekit.errors import ImageError
from edgekit.vision.frames import as_frame

FRAME = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)


def test_a_frame_is_taken_as_it_is() -> None:
    assert as_frame(FRAME) is FRAME


def test_channels_are_swapped_where_bgr_is_said() -> None:
    swapped = as_frame(FRAME, bgr=True)
    assert np.array_equal(swapped, FRAME[..., [2, 1, 0]])
    assert swapped.flags.c_contiguous


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "YCbCr", "HSV"])
def test_an_image_of_pillow_is_taken_as_its_file_would_be(mode: str) -> None:
    image = Image.fromarray(FRAME).convert(mode)
    assert np.array_equal(as_frame(image), np.asarray(image.convert("RGB")))


def test_an_image_is_turned_upright_as_its_file_is(tmp_path: Path) -> None:
    file = tmp_path / "p.png"
    image = Image.fromarray(FRAME)
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(file, exif=exif)
    with Image.open(file) as opened:
        turned = as_frame(opened)
    assert np.array_equal(turned, np.rot90(FRAME, -1))
    assert np.array_equal(as_frame(file), turned)


class Tensor:
    """As much of one of PyTorch as is asked for."""

    def permute(self) -> None: ...


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (FRAME / 255, "make pixels with (255 * frame).round().astype('uint8')"),
        (FRAME.astype(np.float32), "from 0 to 255, make pixels with .round().astype('uint8')"),
        (FRAME.astype(np.int64), "from 0 to 255, make pixels with .round().astype('uint8')"),
        (FRAME.astype(np.uint16) * 200, "before they were normalized or scaled"),
        (FRAME / 128 - 1, "before they were normalized or scaled"),
        (np.full((4, 4, 3), np.nan), "its values are from nan to nan"),
        (FRAME > 9, "its values are no pixels"),
        (FRAME[..., 0], "of grey, make three channels with numpy.dstack([grey] * 3)"),
        (FRAME[..., :1], "of grey, make three channels with numpy.dstack([grey] * 3)"),
        (FRAME.transpose(2, 0, 1), "turn it with .transpose(1, 2, 0)"),
        (np.dstack([FRAME, FRAME[..., 0]]), "leave out the fourth channel with [..., :3]"),
        (FRAME[np.newaxis], "give the pictures of a batch one at a time"),
        (FRAME.transpose(2, 0, 1) / 255, "turn it with .transpose(1, 2, 0); from 0 to 1, make"),
        (FRAME[:0], "not (0, 8, 3) uint8: give an array"),
        (FRAME[0, 0], "not (3,) uint8: give an array"),
        (Image.new("I;16", (4, 4)), "mode I;16, which has more than 8 bits"),
        (Image.new("F", (4, 4)), "mode F, which has more than 8 bits"),
        (
            Tensor(),
            "Tensor is not a picture: give an array (H, W, 3) uint8 RGB, a Pillow image, or",
        ),
        (Tensor(), "tensor.permute(1, 2, 0).cpu().numpy()"),
        (None, "NoneType is not a picture"),
        ([FRAME], "list is not a picture"),
        ("missing.jpg", "cannot read the image missing.jpg"),
        (".", "cannot read the image .: Is a directory"),
        (__file__, "is not an image, or is damaged"),
    ],
)
def test_what_is_no_frame_is_refused_in_a_sentence(picture: Any, message: str) -> None:
    with pytest.raises(ImageError) as caught:
        as_frame(picture)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_image_whose_file_is_cut_off_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "p.bmp"
    Image.fromarray(FRAME).save(file)
    file.write_bytes(file.read_bytes()[:80])
    with Image.open(file) as image, pytest.raises(ImageError, match="the image cannot be read: "):
        as_frame(image)


@pytest.mark.parametrize("picture", ["p.png", Image.fromarray(FRAME)])
def test_bgr_is_for_arrays(picture: Any) -> None:
    with pytest.raises(ImageError, match="bgr=True is for arrays"):
        as_frame(picture, bgr=True)


def test_the_remedies_work() -> None:
    for wrong, mended in (
        (FRAME / 255, lambda frame: (255 * frame).round().astype("uint8")),
        (FRAME.astype(np.float32), lambda frame: frame.round().astype("uint8")),
        (FRAME.transpose(2, 0, 1), lambda frame: frame.transpose(1, 2, 0)),
    ):
        with pytest.raises(ImageError):
            as_frame(wrong)
        assert np.array_equal(as_frame(mended(wrong)), FRAME)
