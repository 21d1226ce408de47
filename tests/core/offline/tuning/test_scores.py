"""What is kept of a recording's frames, and what is left out."""

import numpy as np
import pytest

from edgekit.inference.events import UNKNOWN
from edgekit.offline.tuning import scores as module
from edgekit.offline.tuning.scores import NEVER, UNDECIDED
from tests.core.offline.tuning.courses import STEP, scores_of, surely


def test_classes_that_no_setting_decides_are_left_out() -> None:
    course = [[0.9, 0.29, 0.31], [0.2, 0.29, 0.3]]
    found = scores_of(course, ["mug", "cup"], lowest=0.3, ignored=["nothing"])
    assert found.labels == ["mug"]
    assert found.scores.tolist() == [[pytest.approx(0.9)], [pytest.approx(0.2)]]
    assert [event.label for event in found.events] == [0, NEVER]
    assert found.truth().tolist() == [0, NEVER]


def test_a_score_that_just_reaches_the_threshold_counts() -> None:
    assert scores_of([[0.5, 0.0, 0.75]], ["mug"], lowest=0.5).labels == ["mug", "nothing"]


def test_events_are_runs_of_frames() -> None:
    shown = ["mug", "mug", None, UNKNOWN, "cup", "cup"]
    found = scores_of([surely("mug"), surely("cup")] * 3, shown)
    assert [event[1:] for event in found.events] == [(0, 0, 2), (UNDECIDED, 3, 4), (1, 4, 6)]
    assert (found.frames, found.judged, found.unseen) == (6, 5, 0)
    assert found.span == pytest.approx(6 * STEP)


def test_the_decision_begins_afresh_where_frames_were_left_out() -> None:
    found = scores_of([surely("mug")] * 5, [None] * 5, stretches=[2, 2, 3, 3, 5])
    assert found.fresh.tolist() == [True, False, True, False, True]


def test_agreement_is_beside_that_of_chance() -> None:
    # Of four judged frames three are right; the classes are answered 2:2 and shown 3:1.
    course = [surely(label) for label in ("mug", "mug", "cup", "cup", "cup")]
    found = scores_of(course, ["mug", "mug", "mug", "cup", UNKNOWN])
    assert found.right == pytest.approx(3 / 4)
    assert found.by_chance == pytest.approx((3 * 2 + 1 * 2) / 16)
    assert found.answers == {"mug", "cup"}


def test_a_copy_has_the_same_digest() -> None:
    course = [surely("mug"), surely("cup")]
    one, copy = scores_of(course, ["mug", "cup"]), scores_of(course, ["cup", "mug"])
    other = scores_of(course[::-1], ["mug", "cup"])
    assert one.digest == copy.digest != other.digest


@pytest.mark.parametrize("classes", [8, 100])
def test_of_many_classes_those_that_nothing_speaks_for_take_no_memory(
    classes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BLOCK", 4)
    labels = [f"class {number}" for number in range(classes)]
    course = np.full((10, classes), 0.0005, np.float32)
    course[:, 2] = 0.9
    course[9, 5] = 0.4  # in the last block only
    found = scores_of(course, [None] * 10, labels=labels)
    assert found.labels == ["class 2", "class 5"]
    few = classes <= 64
    assert found.rounded is not few
    assert (found.scores[:, 0] == np.float32(0.9)).all()
    before = [np.float32(0.0005 if few else 0)] * 8
    assert found.scores[:, 1].tolist() == [*before, np.float32(0.0005), np.float32(0.4)]
