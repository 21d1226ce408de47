"""Where a model looks: the map has its drops where the model looks, and says when it cannot."""

import numpy as np
import pytest
from numpy.typing import NDArray

from edgekit.errors import InferenceError
from edgekit.inference.attention import Invoke, occlusion_map

SIDE = 64


def _looks_at(rows: slice, columns: slice) -> Invoke:
    """A model whose second class is how bright a part of the picture is, compared to the rest."""

    def invoke(tensor: NDArray[np.uint8]) -> NDArray[np.float32]:
        bright = float(tensor[0, rows, columns].mean()) / 255
        return np.array([1 - bright, bright], np.float32)

    return invoke


def _picture(rows: slice, columns: slice) -> NDArray[np.uint8]:
    tensor = np.zeros((1, SIDE, SIDE, 3), np.uint8)
    tensor[0, rows, columns] = 255
    return tensor


@pytest.mark.parametrize("at", [(0, 0), (1, 2), (3, 3)])
def test_the_largest_drop_is_where_the_model_looks(at: tuple[int, int]) -> None:
    rows, columns = (slice(16 * n, 16 * n + 16) for n in at)
    found = occlusion_map(_looks_at(rows, columns), _picture(rows, columns), 4, 4)
    assert found is not None
    assert (found.index, found.score) == (1, 1.0)
    assert np.unravel_index(found.drops.argmax(), (4, 4)) == at
    assert found.drops[at] > 0.5
    # Far from there nothing changes.
    assert found.drops[(at[0] + 2) % 4, (at[1] + 2) % 4] == 0


def test_what_two_parts_share_is_hidden_whole_with_either() -> None:
    rows, columns = slice(16, 32), slice(24, 40)  # across the border at 32
    found = occlusion_map(_looks_at(rows, columns), _picture(rows, columns), 4, 4)
    assert found is not None
    assert found.drops[1, 1] == pytest.approx(found.drops[1, 2], abs=0.01)
    assert found.drops[1, 1] > 0.5


def test_a_score_that_grows_is_a_drop_below_nothing() -> None:
    def invoke(tensor: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.array([0.6 if tensor[0, :16, :16].mean() > 250 else 0.9], np.float32)

    found = occlusion_map(invoke, _picture(slice(0, 16), slice(0, 16)), 4, 4)
    assert found is not None
    assert found.drops[0, 0] == pytest.approx(-0.3)


def test_parts_that_are_not_square_cover_all_of_the_picture() -> None:
    asked: list[NDArray[np.uint8]] = []

    def invoke(tensor: NDArray[np.uint8]) -> NDArray[np.float32]:
        asked.append(tensor.copy())
        return np.array([1.0], np.float32)

    tensor = np.zeros((1, 7, 10, 3), np.uint8)
    tensor[0, ::2] = 255
    given = tensor.copy()
    found = occlusion_map(invoke, tensor, 3, 4)
    assert found is not None and found.drops.shape == (3, 4) and len(asked) == 13
    assert (tensor == given).all()
    changed = np.any([(one != tensor)[0].any(axis=2) for one in asked], axis=0)
    assert changed.all()


def test_it_tells_how_far_it_is_and_stops_when_asked() -> None:
    told: list[float] = []

    def progress(done: float) -> bool:
        told.append(done)
        return len(told) < 3

    invoke = _looks_at(slice(0, 8), slice(0, 8))
    assert occlusion_map(invoke, _picture(slice(8), slice(8)), 2, 2, progress=progress) is None
    assert told == [0.2, 0.4, 0.6]


@pytest.mark.parametrize("after", [0, 3])
def test_an_answer_that_is_no_number_is_no_map(after: int) -> None:
    answers = [1.0] * after + [float("nan")]

    def invoke(tensor: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.array([answers.pop(0)], np.float32)

    with pytest.raises(InferenceError, match="not a number"):
        occlusion_map(invoke, _picture(slice(8), slice(8)), 4, 4)
