"""Picture files, good and bad."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from edgekit.errors import ImageError
from edgekit.vision.pictures import image_files, read_image
from tests.device.sources.clips import jpeg


def test_pictures_are_rgb(tmp_path: Path) -> None:
    blue_in_opencvs_order = np.zeros((8, 8, 3), np.uint8)
    blue_in_opencvs_order[..., 0] = 255
    cv2.imwrite(str(tmp_path / "blue.png"), blue_in_opencvs_order)
    assert read_image(tmp_path / "blue.png")[0, 0].tolist() == [0, 0, 255]


def test_those_of_a_folder_are_found_in_depth_and_sorted(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("c.png", "deep/a.JPG", "b.webp", "notes.txt"):
        (tmp_path / name).touch()
    found = [str(file.relative_to(tmp_path)) for file in image_files(tmp_path)]
    assert found == ["b.webp", "c.png", "deep/a.JPG"]


def test_what_is_no_picture_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no images in"):
        image_files(tmp_path)
    with pytest.raises(ImageError, match="is not a folder of images"):
        image_files(tmp_path / "nowhere")
    with pytest.raises(ImageError, match="cannot read the image"):
        read_image(tmp_path / "nowhere.png")
    (tmp_path / "empty.png").touch()
    with pytest.raises(ImageError, match=r"empty\.png is empty"):
        read_image(tmp_path / "empty.png")
    whole = jpeg().tobytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ImageError, match=r"cut\.jpg is truncated"):
        read_image(tmp_path / "cut.jpg")
