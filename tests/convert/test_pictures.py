"""How calibration pictures are shared out."""

import numpy as np
import pytest
from edgekit_convert.pictures import Pictures, hold_out
from edgekit_convert.quantize.distillation import DISTILLED


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
