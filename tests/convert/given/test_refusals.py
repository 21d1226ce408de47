"""What gives no pictures is refused in one line, before anything slow."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from edgekit_convert.given.pictures import GivenPictures
from PIL import Image
from torch.utils.data import DataLoader, TensorDataset

from edgekit.errors import EdgekitError
from tests.convert.given.helpers import (
    IMAGENET,
    LABELS,
    NORMALIZED,
    PIXELS,
    TENSORS,
    Numbers,
    png,
    refused,
)

REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "nothing": (lambda: [], "calibration holds no pictures"),
    "an empty array": (lambda: PIXELS[:0], "calibration holds no pictures"),
    "an empty generator": (lambda: iter(()), "calibration holds no pictures"),
    "an empty loader": (lambda: DataLoader(Numbers(int, 0), collate_fn=list), "holds no pictures"),
    "one picture": (lambda: PIXELS[0], r"one picture or grey ones, of the shape (32, 32, 3)"),
    "one picture in a list": (lambda: [PIXELS[0]], "is one picture, which is too few"),
    "one of Pillow": (lambda: Image.fromarray(PIXELS[0]), "is one picture; give a folder's path"),
    "a number": (lambda: 5, "calibration is int; give a folder's path"),
    "a function": (lambda: lambda: iter(PIXELS), "calibration is function; call it"),
    "labels": (lambda: LABELS, "item 0 is int64 of the shape (), neither a picture nor"),
    "text": (lambda: ["cat", "dog"], "item 0 is str, neither a picture nor"),
    "a missing file": (lambda: ["/nowhere.png", "/no.png"], "cannot read the image /nowhere.png"),
    "the same picture": (lambda: [PIXELS[0]] * 9, "all 9 pictures of calibration are the same"),
    "grey": (lambda: PIXELS[..., :1], "picture 0, (32, 32, 1), is grey"),
    "grey, channels first": (lambda: PIXELS.transpose(0, 3, 1, 2)[:, :1], "Grayscale(3)"),
    "grey without channels": (lambda: PIXELS[..., 0], "grey ones, of the shape (12, 32, 32)"),
    "grey in a list": (lambda: list(PIXELS[..., 0]), "picture 0, (32, 32), is grey"),
    "four channels": (lambda: PIXELS[..., [0, 1, 2, 2]], "has four channels; leave the fourth"),
    "five channels": (lambda: PIXELS.repeat(2, axis=3), "has the shape (32, 32, 6), not (H, W, 3)"),
    "a channel too many ways": (lambda: PIXELS[:, :3], "whose channels may be first or last"),
    "films": (lambda: PIXELS[np.newaxis].repeat(2, axis=0), "item 0 holds 12 pictures"),
    "16 bits": (lambda: PIXELS.astype(np.uint16) * 257, "take the upper 8, x >> 8"),
    "less than 0": (lambda: PIXELS.astype(np.int16) - 128, "is int16 from -128 to 127"),
    "bool": (lambda: PIXELS > 128, "picture 0 is bool"),
    "complex": (lambda: PIXELS * 1j, "ndarray of complex128, which are no numbers"),
    "not finite": (lambda: np.where(PIXELS == 7, np.nan, PIXELS / 255), "values that are not fin"),
    "32 bits of Pillow": (lambda: [Image.new("F", (8, 8))] * 2, "has the mode F"),
    "no content": (lambda: [torch.empty(3, 0, 32)] * 2, "picture 0 is empty, (3, 0, 32)"),
    "no memory": (lambda: [torch.empty(3, 8, 8, device="meta")] * 2, "cannot be read (NotImpl"),
    "splits": (lambda: {"train": TENSORS, "test": TENSORS}, "of train, test, none of which is"),
    "boxes": (lambda: [(PIXELS[0], {"boxes": [1]})] * 2, "is a tuple of ndarray, dict, neither"),
    "a mask": (lambda: Numbers(lambda n: (PIXELS[n], PIXELS[n])), "is a tuple of ndarray, ndarray"),
    "batches of masks": (lambda: DataLoader(TensorDataset(*[torch.from_numpy(NORMALIZED)] * 2),
                                            4, shuffle=True, collate_fn=lambda b: [
                                                torch.stack(one) for one in zip(*b, strict=True)]),
                         "element 0 is a list of Tensor, Tensor, neither"),
    "a loader of batches as a data set": (lambda: Numbers(lambda n: NORMALIZED),
                                          "item 0 holds 12 pictures, where each item is one"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_picture_is_refused_before_anything_slow(case: str) -> None:
    make, words = REFUSED[case]
    if case == "the same picture":
        assert words in refused(make())
        return
    with pytest.raises(EdgekitError) as error:
        GivenPictures(make(), "calibration").check(IMAGENET)
    assert words in str(error.value) and "\n" not in str(error.value)


class TestFailing:
    """A user's own code fails as it likes; the message says where."""

    @staticmethod
    def _fails(number: int) -> Any:
        if number == 7:
            raise ValueError("no such label\nlook at the table")
        return torch.from_numpy(NORMALIZED[number])

    def test_a_data_set_that_fails_is_named_with_the_item(self) -> None:
        assert "item 7 cannot be had (ValueError: no such label)" in refused(Numbers(self._fails))

    def test_so_is_a_loader_with_processes(self) -> None:
        loader = DataLoader(Numbers(self._fails), 4, num_workers=1, collate_fn=list)
        message = refused(loader)
        assert "element 1 cannot be had (ValueError: " in message
        assert "look at the table" in message

    def test_so_is_one_whose_processes_end(self) -> None:
        def end(number: int) -> Any:
            os._exit(1)

        loader = DataLoader(Numbers(end), 4, num_workers=1, collate_fn=list)
        assert "element 0 cannot be had (RuntimeError: DataLoader worker" in refused(loader)

    def test_a_damaged_file_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "x.png").write_bytes(png(PIXELS[0])[:500])
        assert str(tmp_path / "x.png") in refused([tmp_path / "x.png"] * 2)
        with Image.open(tmp_path / "x.png") as picture:
            message = refused([picture] * 2)
        assert "picture 0 cannot be read (OSError: " in message
