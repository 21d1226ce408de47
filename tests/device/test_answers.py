"""Answers are counted by label, and models of many labels cost no more than those of fifty."""

from collections.abc import Sequence

import numpy as np
import pytest
from edgekit_device.answers import OTHER, OWN_LABELS, AnswerCounts, LabelCount
from hypothesis import given
from hypothesis import strategies as st

from edgekit.inference.decision import Verdict
from edgekit.inference.events import UNKNOWN, Kind
from edgekit.inference.frame import Frame
from edgekit.inference.pipeline import Result
from edgekit.model.decision import DecisionSettings
from tests.device.fakes import FakeClassifier

FRAME = Frame(0, np.zeros((2, 2, 3), np.uint8), 0.0, 0.0)
MANY = [f"class {index}" for index in range(1000)]


def answer(model: FakeClassifier, label: str, event: Kind | None = None) -> Result:
    scores = np.zeros(len(model.labels), np.float32)
    verdict = Verdict(None, 0.75, event, None, False)
    return Result(
        FRAME, FRAME.pixels[None], scores, verdict, label, 20.0, model, DecisionSettings()
    )


def counted(model: FakeClassifier, labels: Sequence[str]) -> AnswerCounts:
    counts = AnswerCounts()
    for label in labels:
        counts.count(answer(model, label))
    return counts


def test_nothing_before_the_first_answer() -> None:
    answers = AnswerCounts().snapshot()
    assert (answers.frames, answers.latency_s, answers.label) == (0, 0.0, "")


def test_frames_and_changes_by_label() -> None:
    counts, model = AnswerCounts(), FakeClassifier()
    for label, event in (("cat", "change"), ("cat", None), ("cat", "heartbeat"),
                         (UNKNOWN, "change"), ("cat", "change")):  # fmt: skip
        counts.count(answer(model, label, event))  # type: ignore[arg-type]
    answers = counts.snapshot()
    # All from the beginning: what was never counted cannot be told from what is not known.
    assert answers.labels == {
        UNKNOWN: LabelCount(1, 1), "cat": LabelCount(4, 2), "dog": LabelCount(0, 0),
        "eel": LabelCount(0, 0),
    }  # fmt: skip
    assert (answers.frames, answers.latency_s) == (5, pytest.approx(0.1))
    assert (answers.label, answers.score, answers.folded) == ("cat", 0.75, 0)


def test_a_snapshot_stays_as_it_was() -> None:
    counts, model = AnswerCounts(), FakeClassifier()
    counts.count(answer(model, "cat"))
    before = counts.snapshot()
    counts.count(answer(model, "cat"))
    assert before.labels["cat"].frames == 1


def test_a_model_of_as_many_labels_as_there_is_room_for_folds_none() -> None:
    labels = MANY[:OWN_LABELS]
    answers = counted(FakeClassifier(labels), [UNKNOWN, *labels]).snapshot()
    assert set(answers.labels) == {UNKNOWN, *labels}
    assert answers.folded == 0


def test_of_many_labels_those_that_come_first_are_counted_by_themselves() -> None:
    model = FakeClassifier(MANY)
    answers = counted(model, [*MANY, "class 0", "class 999", "class 999", UNKNOWN]).snapshot()
    assert list(answers.labels) == [UNKNOWN, *MANY[:OWN_LABELS], OTHER]
    assert answers.labels["class 0"].frames == 2
    assert answers.labels[OTHER].frames == 1000 - OWN_LABELS + 2
    assert answers.labels[UNKNOWN].frames == 1
    assert answers.folded == 1000 - OWN_LABELS


def test_the_newest_answer_has_the_name_it_is_counted_as() -> None:
    counts = counted(FakeClassifier(MANY), MANY)
    assert counts.snapshot().label == OTHER


@pytest.mark.parametrize("first", [0, OWN_LABELS])
def test_a_class_called_other_is_not_mistaken_for_all_others(first: int) -> None:
    """Whether it comes early enough to be counted by itself, or does not."""
    model = FakeClassifier([*MANY, OTHER, f"{OTHER} (class)"])
    order = [*MANY[:first], OTHER, *MANY[first:]]
    answers = counted(model, order).snapshot()
    folded = 1001 - OWN_LABELS
    assert answers.labels[OTHER].frames == answers.folded == folded
    assert answers.labels.get(f"{OTHER} (class) (class)") == (None if first else LabelCount(1, 0))


def test_of_few_labels_one_may_be_called_other() -> None:
    answers = counted(FakeClassifier(["mug", OTHER]), [OTHER, "mug", OTHER]).snapshot()
    assert answers.labels[OTHER].frames == 2
    assert answers.folded == 0


def test_another_model_of_the_same_labels_goes_on_counting() -> None:
    counts = counted(FakeClassifier(), ["cat"])
    counts.count(answer(FakeClassifier(accelerator="edgetpu"), "cat"))
    assert counts.snapshot().labels["cat"].frames == 2


def test_labels_of_a_model_before_are_gone() -> None:
    counts = counted(FakeClassifier(MANY), MANY)
    counts.count(answer(FakeClassifier(), "dog"))
    answers = counts.snapshot()
    assert set(answers.labels) == {UNKNOWN, "cat", "dog", "eel"}
    assert (answers.folded, answers.labels["dog"].frames, answers.frames) == (0, 1, 1001)


@given(st.lists(st.sampled_from([UNKNOWN, OTHER, *MANY[:80]]), max_size=300))
def test_each_frame_is_counted_once_and_no_count_falls(labels: list[str]) -> None:
    counts, model = AnswerCounts(), FakeClassifier([OTHER, *MANY])
    before: dict[str, LabelCount] = {}
    for number, label in enumerate(labels, 1):
        counts.count(answer(model, label))
        now = counts.snapshot().labels
        assert sum(count.frames for count in now.values()) == number
        assert len(now) <= OWN_LABELS + 2
        assert all(now[name].frames >= count.frames for name, count in before.items())
        before = now
