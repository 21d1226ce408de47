"""What two models' answers to the same frames come to."""

import pytest

from edgekit.offline.comparison import ClassCounts, Comparer
from edgekit.offline.drift_course import DriftCourse
from edgekit.offline.statistics import BLOCK, FrameFraction
from edgekit.offline.timeline import Run
from tests.core.offline.answers import played

NO_DRIFT = (DriftCourse(None), DriftCourse(None))


def _pairs(a: str, b: str) -> list[tuple[object, object]]:
    """Frames, a letter each, answered by both."""
    answers = enumerate(zip(a, b, strict=True))
    return [(played(in_a, n / 10), played(in_b, n / 10)) for n, (in_a, in_b) in answers]


def test_best_classes_and_decided_labels_are_counted_each_by_itself() -> None:
    comparer = Comparer(0)
    pairs = [
        (played("x", 0.0, label="x"), played("x", 0.0, label="y")),
        (played("x", 0.1, label="y"), played("y", 0.1, label="y")),
        (played("y", 0.2, label="x"), played("x", 0.2, label="y")),
        (played("y", 0.3, label="y"), played("y", 0.3, label="x")),
    ]
    comparer.compare("a", pairs, NO_DRIFT)
    result = comparer.finish()
    assert (result.frames, result.model.value, result.decided.value) == (4, 0.5, 0.25)
    assert result.answers == {("x", "x"): 1, ("x", "y"): 1, ("y", "x"): 1, ("y", "y"): 1}


def test_changes_are_those_of_the_label_and_each_ones_own() -> None:
    comparer = Comparer(0)
    pairs = [
        (played("x", 0.0, change=True), played("x", 0.0)),
        (played("y", 0.1, change=True), played("y", 0.1, change=True)),
        (played("y", 0.2), played("y", 0.2)),
    ]
    comparer.compare("a", pairs, NO_DRIFT)
    assert comparer.finish().changes == [2, 1]


def test_classes_are_counted_for_a_and_b_and_both() -> None:
    comparer = Comparer(0)
    comparer.compare("a", _pairs("xxxxy", "xxyzz"), NO_DRIFT)
    classes = comparer.finish().per_class()
    assert classes == [
        ClassCounts("x", 4, 2, 2),
        ClassCounts("y", 1, 1, 0),
        ClassCounts("z", 0, 2, 0),
    ]
    assert [one.of_either for one in classes] == [0.5, 0.0, 0.0]


def test_a_disagreement_is_the_same_two_classes_one_frame_after_the_other() -> None:
    comparer = Comparer(9)
    comparer.compare("a", _pairs("xxxxxy", "xyyzxx"), NO_DRIFT)
    result = comparer.finish()
    found = [(one.a[0], one.b[0], one.frames, one.time) for one in result.disagreements]
    assert found == [("x", "y", 2, 0.1), ("x", "z", 1, 0.3), ("y", "x", 1, 0.5)]
    assert result.disagreement_count == 3


def test_its_picture_is_where_both_were_surest() -> None:
    comparer = Comparer(9)
    scores = [(0.5, 0.5), (0.4, 0.9), (0.8, 0.4)]
    pairs = [
        (played("x", n / 10, score=a), played("y", n / 10, score=b))
        for n, (a, b) in enumerate(scores)
    ]
    comparer.compare("a", pairs, NO_DRIFT)
    (found,) = comparer.finish().disagreements
    assert (found.a, found.b, found.time, found.frames) == (("x", 0.4), ("y", 0.9), 0.1, 3)
    assert found.picture[0, 0, 0] == 40


def test_the_longest_are_kept_in_their_order() -> None:
    comparer = Comparer(2)
    comparer.compare("a", _pairs("xxxxxxxxx", "aabxcccxd"), NO_DRIFT)
    result = comparer.finish()
    kept = [(one.b[0], one.frames) for one in result.disagreements]
    assert kept == [("a", 2), ("c", 3)]
    assert result.disagreement_count == 4


def test_no_disagreement_goes_on_into_the_next_recording() -> None:
    comparer = Comparer(9)
    comparer.compare("a", _pairs("x", "y"), NO_DRIFT)
    comparer.compare("b", _pairs("x", "y"), NO_DRIFT)
    assert [one.recording for one in comparer.finish().disagreements] == ["a", "b"]


def test_recordings_share_no_cluster_of_frames() -> None:
    comparer = Comparer(0)
    expected = FrameFraction()
    for number, answers in enumerate(("xxxx", "xxxy", "yyyy")):
        comparer.compare(str(number), _pairs("xxxx", answers), NO_DRIFT)
        for answer in answers:
            expected.add(answer == "x", number * BLOCK)
    assert comparer.finish().model.interval() == pytest.approx(expected.interval())


def test_what_was_decided_when() -> None:
    comparer = Comparer(0)
    comparer.compare("a", _pairs("xxy", "xyy"), NO_DRIFT)
    (recording,) = comparer.finish().recordings
    assert recording.name == "a"
    assert recording.span == pytest.approx(0.3)
    end = pytest.approx(0.3)
    assert recording.a == [Run("x", 0.0, 0.2, 2), Run("y", 0.2, end, 1)]
    assert recording.b == [Run("x", 0.0, 0.1, 1), Run("y", 0.1, end, 2)]


def test_scores_are_averaged_and_those_of_the_same_class_held_against_each_other() -> None:
    comparer = Comparer(0)
    pairs = [
        (played("x", 0.0, score=0.9), played("x", 0.0, score=0.6)),
        (played("x", 0.1, score=0.5), played("x", 0.1, score=0.6)),
        (played("y", 0.2, score=0.4), played("x", 0.2, score=0.9)),
    ]
    comparer.compare("a", pairs, NO_DRIFT)
    result = comparer.finish()
    assert result.mean_scores == pytest.approx((0.6, 0.7))
    assert result.mean_apart == pytest.approx((0.3 + 0.1) / 2)


def test_where_no_class_is_the_same_no_scores_are_held_against_each_other() -> None:
    comparer = Comparer(0)
    comparer.compare("a", _pairs("x", "y"), NO_DRIFT)
    assert comparer.finish().mean_apart is None
