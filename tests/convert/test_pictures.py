"""How calibration pictures are shared out, and read again."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from edgekit_convert.pictures import Pictures, hold_out, load_calibration, untouched
from edgekit_convert.quantize.distillation import DISTILLED

from edgekit.model.geometry import Geometry


def made_up(count: int) -> Pictures:
    """So many pictures of one black pixel."""
    tensors = np.zeros((count, 1, 1, 3), np.uint8)
    return Pictures(tensors, [f"picture {number}" for number in range(count)], "")


@pytest.mark.parametrize(
    ("count", "held"), [(2, 1), (12, 3), (DISTILLED, 10), (100, 20), (200, 40), (2000, 100)]
)
def test_a_fifth_is_held_out_and_of_few_pictures_up_to_a_quarter(count: int, held: int) -> None:
    fitted, held_out = hold_out(made_up(count), seed=0)
    assert len(held_out.names) == held
    assert sorted(fitted.names + held_out.names) == sorted(made_up(count).names)


def test_the_seed_decides_which() -> None:
    first, again, other = (hold_out(made_up(100), seed)[1].names for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize("kind", ["folder", "video"])
def test_pictures_can_be_read_again_at_their_own_size(tmp_path: Path, kind: str) -> None:
    source = tmp_path / "pictures"
    frames = [np.full((48, 64, 3), 40 * number, np.uint8) for number in range(6)]
    if kind == "folder":
        (source / "below").mkdir(parents=True)
        for number, frame in enumerate(frames):
            cv2.imwrite(str(source / "below" / f"{number}.png"), frame)
    else:
        source = tmp_path / "clip.avi"
        codec = cv2.VideoWriter.fourcc(*"MJPG")
        writer = cv2.VideoWriter(str(source), codec, 10, (64, 48))
        for frame in frames:
            writer.write(frame)
        writer.release()
    pictures = load_calibration(source, Geometry(8, 8), lambda done: None)
    chosen = pictures.of(np.array([1, 4]))
    again = list(untouched(source, chosen.names))
    assert [picture.shape for picture in again] == [(48, 64, 3)] * 2
    for picture, tensor in zip(again, chosen.tensors, strict=True):
        assert abs(int(picture.mean()) - int(tensor.mean())) <= 1
