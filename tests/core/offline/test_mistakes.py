"""Which mistakes are kept, and with which picture."""

import cv2
import numpy as np

from edgekit.offline.mistakes import Mistakes
from tests.core.offline.answers import played


def test_the_longest_are_kept_in_their_order() -> None:
    mistakes = Mistakes(2)
    mistakes.enter(0.0)
    for number, answer in enumerate("abbbbcdd"):
        mistakes.wrong(played(answer, number / 10), "truth")
    mistakes.end(0.8)
    kept = [(one.answer, one.first, one.frames) for one in mistakes.longest()]
    assert kept == [("b", 1, 4), ("d", 6, 2)]
    assert mistakes.count == 4


def test_the_picture_is_where_the_wrong_answer_was_surest() -> None:
    mistakes = Mistakes(1)
    mistakes.enter(0.0)
    for number, score in enumerate((0.4, 0.8, 0.6)):
        mistakes.wrong(played("a", number / 10, score=score), "truth")
    mistakes.end(0.3)
    (kept,) = mistakes.longest()
    assert (kept.score, kept.scores) == (0.8, [("a", 0.8)])
    picture = cv2.imdecode(np.frombuffer(kept.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (24, 32, 3)
    assert abs(int(picture.mean()) - 80) <= 1


def test_late_is_what_stood_from_the_start_until_the_right_answer() -> None:
    mistakes = Mistakes(9)
    mistakes.enter(0.0)
    mistakes.wrong(played("a", 0.0), "truth")
    mistakes.wrong(played("b", 0.1), "truth")
    mistakes.right(0.2)
    mistakes.wrong(played("c", 0.3), "truth")
    mistakes.enter(0.4)
    mistakes.wrong(played("d", 0.4), "other")
    mistakes.end(0.5)
    kept = {one.answer: (one.late, round(one.end, 6)) for one in mistakes.longest()}
    assert kept == {"a": (True, 0.1), "b": (True, 0.2), "c": (False, 0.4), "d": (False, 0.5)}


def test_none_need_be_kept() -> None:
    mistakes = Mistakes(0)
    mistakes.enter(0.0)
    mistakes.wrong(played("a", 0.0), "truth")
    mistakes.end(0.1)
    assert mistakes.longest() == []
    assert mistakes.count == 1
