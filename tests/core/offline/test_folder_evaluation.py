"""How right models are on labelled pictures, from Python."""

import threading
from pathlib import Path

import numpy as np
import pytest

from edgekit.errors import DatasetError, LabelsError, ModelFileError
from edgekit.model.manifest import Confidence
from edgekit.offline.calibration import measure_calibration
from edgekit.offline.folder_evaluation import evaluate
from edgekit.offline.folder_figures import worst_classes
from edgekit.offline.folder_table import table
from edgekit.vision.pictures import decode_image
from tests.core.offline.stubs import Stub, numbered
from tests.recordings import write_pictures
from tests.tiny import tiny_model

LABELS = ("ant", "bee", "cat")
ANT, BEE, CAT = [0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.0, 0.1, 0.9]


def test_figures_by_hand() -> None:
    # ant: one of two right. bee: its only picture. cat: never shown, answered once.
    found = evaluate(Stub([ANT, CAT, BEE], LABELS), numbered([0, 0, 1]))
    assert (found.top1.hits, found.top1.count, found.mistake_count) == (2, 3, 1)
    ant, bee, cat = found.classes
    assert (ant.label, ant.recall.value, ant.precision.value) == ("ant", 0.5, 1.0)
    assert (bee.recall.value, bee.precision.value) == (1.0, 1.0)
    assert (cat.recall.value, cat.precision.value) == (None, 0.0)
    assert found.counts == {("ant", "ant"): 1, ("ant", "cat"): 1, ("bee", "bee"): 1}
    assert [one.label for one in worst_classes(found)] == ["ant", "bee", "cat"]


def test_the_five_best_count() -> None:
    labels = [f"c{n}" for n in range(8)]
    scores = [0.3, 0.2, 0.15, 0.12, 0.11, 0.06, 0.04, 0.02]
    found = evaluate(Stub([scores] * 3, labels), numbered([0, 4, 5]))
    assert (found.top1.hits, found.top5.hits) == (1, 2)
    assert found.top5_means_something


def test_the_surest_mistakes_are_kept_and_all_are_counted() -> None:
    scores = [[1 - p, p] for p in (0.6, 0.9, 0.7, 0.9, 0.2)]
    found = evaluate(Stub(scores, ("a", "b")), numbered([0] * 5, 600, 900), max_pictures=3)
    assert found.mistake_count == 4
    kept = [(one.picture, round(one.score, 3)) for one in found.mistakes]
    assert kept == [("picture 1", 0.9), ("picture 3", 0.9), ("picture 2", 0.7)]
    first = found.mistakes[0]
    assert (first.truth, first.answer, round(first.truth_score, 3)) == ("a", "b", 0.1)
    assert decode_image(first.jpeg, "").shape == (213, 320, 3)
    assert evaluate(Stub(scores, ("a", "b")), numbered([0] * 5), max_pictures=0).mistakes == []


def test_calibration_is_of_the_best_score_and_the_true_classs() -> None:
    scores = [ANT, CAT, BEE]
    found = evaluate(Stub(scores, LABELS, step=1 / 256), numbered([0, 0, 1])).calibration
    expected = measure_calibration(
        np.array([0.7, 0.9, 0.8], np.float32),
        np.array([True, False, True]),
        np.array([0.7, 0.0, 0.8], np.float32),
        1 / 256,
    )
    assert found == expected
    assert expected.floored == 1


def test_there_is_none_of_scores_that_are_no_probabilities() -> None:
    found = evaluate(Stub([ANT, [3.0, 0.5, -1.0]], LABELS), numbered([0, 1]))
    assert found.calibration is None
    assert "1 of 2 answers are no probabilities" in found.uncalibrated
    assert found.top1.hits == 1
    assert "1 of 2 answers are no probabilities" in found.html()
    assert found.summary()["calibration"] is None


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_an_answer_that_is_no_number_is_no_answer(bad: float) -> None:
    with pytest.raises(ModelFileError, match=r"stub.tflite answers picture 1 with values that are"):
        evaluate(Stub([ANT, [bad, 0.1, 0.1]], LABELS), numbered([0, 0]))


class TestCompared:
    def test_both_answer_each_picture_once(self) -> None:
        a, b = Stub([ANT, CAT, BEE, ANT], LABELS), Stub([ANT, BEE, CAT, ANT], LABELS, "b.tflite")
        found = evaluate(a, numbered([0, 1, 1, 2]), compare=b).comparison
        assert found is not None
        assert (a.invoked, b.invoked) == (4, 4)
        assert found.same.value == 0.5
        assert (found.both_right, found.only_a_right, found.only_b_right, found.none_right) == (
            *(1, 1, 1, 1),
        )
        assert found.p_value == 1.0
        assert [(one.picture, one.a[0], one.b[0]) for one in found.differences] == [
            ("picture 1", "cat", "bee"),
            ("picture 2", "bee", "cat"),
        ]

    def test_those_come_first_of_which_both_are_surest(self) -> None:
        a, b = Stub([ANT, CAT, ANT], LABELS), Stub([BEE, BEE, [0.3, 0.4, 0.3]], LABELS)
        found = evaluate(a, numbered([0, 1, 2]), compare=b, max_pictures=2).comparison
        assert found is not None
        assert [one.picture for one in found.differences] == ["picture 1", "picture 0"]

    def test_classes_in_another_order_are_the_same_classes(self) -> None:
        b = Stub([[0.1, 0.2, 0.7]], ("cat", "bee", "ant"), "b.tflite")
        found = evaluate(Stub([ANT], LABELS), numbered(["ant"]), compare=b).comparison
        assert found is not None
        assert found.b.calibration is not None
        assert found.b.calibration.nll == pytest.approx(-np.log(0.7))
        assert (found.b.labels, found.b.top1.hits) == (list(LABELS), 1)
        assert found.b.counts == {("ant", "ant"): 1}

    def test_equal_scores_are_answered_as_the_model_itself_does(self) -> None:
        # Of B's classes the first is bee, which A has second.
        b = Stub([[0.4, 0.4, 0.2]], ("bee", "ant", "cat"), "b.tflite")
        found = evaluate(Stub([ANT], LABELS), numbered(["bee"]), compare=b).comparison
        assert found is not None
        assert found.b.counts == {("bee", "bee"): 1}

    @pytest.mark.parametrize("labels", [("ant", "bee"), ("ant", "bee", "dog"), (*LABELS, "dog")])
    def test_other_classes_are_refused(self, labels: tuple[str, ...]) -> None:
        b = Stub([[0.0] * len(labels)], labels, "b.tflite")
        with pytest.raises(LabelsError, match=r"different classes, 3 and .: only .* has (cat|dog)"):
            evaluate(Stub([ANT], LABELS), numbered([0]), compare=b)
        assert b.invoked == 0

    def test_models_of_other_input_sizes(self, model: Path, tmp_path: Path) -> None:
        folder = tmp_path / "pictures"
        folder.mkdir()
        write_pictures(folder / "red", ["red", "green"])
        b = Stub([ANT] * 256, ("red", "green", "blue"))
        found = evaluate(model, folder, compare=b).comparison
        assert found is not None
        assert (found.only_a_right, found.only_b_right, found.both_right) == (0, 1, 1)


class TestPicturesOfAProgram:
    def test_classes_are_indices_or_names(self) -> None:
        truths = [np.int64(0), "cat", 1]
        found = evaluate(Stub([ANT, CAT, BEE], LABELS), numbered(truths))  # type: ignore[arg-type]
        assert found.top1.hits == 3
        assert found.pictures == "pictures"

    def test_a_generator_has_no_length(self) -> None:
        seen: list[tuple[str, int, int | None]] = []
        pairs = numbered([0, 0])
        evaluate(Stub([ANT, ANT], LABELS), iter(pairs), progress=lambda *now: seen.append(now))
        evaluate(Stub([ANT, ANT], LABELS), pairs, progress=lambda *now: seen.append(now))
        assert [one[1:] for one in seen] == [(1, None), (2, None), (1, 2), (2, 2)]

    def test_a_dataset_ends_where_its_length_says(self) -> None:
        class Dataset:
            def __len__(self) -> int:
                return 2

            def __getitem__(self, index: int) -> tuple[object, int]:
                return numbered([0, 0])[index % 2]

        found = evaluate(Stub([ANT, ANT], LABELS), Dataset())  # type: ignore[arg-type]
        assert found.top1.count == 2

    def test_a_program_may_use_the_same_memory_again(self) -> None:
        def pictures():  # type: ignore[no-untyped-def]
            memory = np.zeros((6, 8, 3), np.uint8)
            for number in range(3):
                memory[:] = number
                yield memory, number

        assert evaluate(Stub([ANT, BEE, CAT], LABELS), pictures()).top1.hits == 3

    def test_an_offset_is_added_to_indices(self) -> None:
        found = evaluate(Stub([CAT, CAT], LABELS), numbered([1, "cat"]), class_offset=1)
        assert found.top1.hits == 2

    def test_a_datasets_own_class_names_say_what_an_index_means(self) -> None:
        class Pairs(list):  # type: ignore[type-arg]
            classes = ("cat", "ant")

        a = Stub([CAT, ANT], LABELS)
        assert evaluate(a, Pairs(numbered([0, 1]))).top1.hits == 2
        assert evaluate(a, numbered([0, 1])).top1.hits == 0
        Pairs.classes = ("Katze", "Ameise")
        found = evaluate(a, Pairs(numbered([0, 1])))
        assert "called otherwise than the model's (Katze, not ant)" in found.notes[0]
        assert found.top1.hits == 0

    @pytest.mark.parametrize(
        ("pair", "said"),
        [
            (
                (np.zeros((3, 8, 8), np.float32), 0),
                r"picture 0 is float32 \(3, 8, 8\); give pixels",
            ),
            ((np.zeros((8, 8), np.uint8), 0), r"picture 0 is uint8 \(8, 8\); give pixels"),
            ((np.zeros((0, 8, 3), np.uint8), 0), "picture 0 is uint8"),
            ((np.zeros((8, 8, 3), np.uint8), 3), "of class 3, and there are 3, counted from 0"),
            ((np.zeros((8, 8, 3), np.uint8), -1), "of class -1, and there are 3"),
            ((np.zeros((8, 8, 3), np.uint8), 0.5), "the class of picture 0 is 0.5; give an index"),
            ((np.zeros((8, 8, 3), np.uint8), "dog"), "of the class dog, which the model does not"),
            (np.zeros((8, 8, 3), np.uint8), "picture 0 is no pair of a picture and its class"),
            (([[1, 2], [3]], 0), "picture 0 is nothing that numpy makes an array of"),
        ],
    )
    def test_what_is_none_is_refused(self, pair: object, said: str) -> None:
        with pytest.raises(DatasetError, match=said):
            evaluate(Stub([ANT], LABELS), [pair])  # type: ignore[list-item]

    def test_there_must_be_one(self) -> None:
        with pytest.raises(DatasetError, match="nothing to evaluate"):
            evaluate(Stub([ANT], LABELS), [])


def test_the_next_picture_is_read_while_one_is_answered() -> None:
    second, waited = threading.Event(), []

    class Slow(Stub):
        def classify(self, frame):  # type: ignore[no-untyped-def]
            waited.append(second.wait(10))
            return super().classify(frame)

    def pictures():  # type: ignore[no-untyped-def]
        one, other = numbered([0, 0])
        yield one
        second.set()
        yield other

    evaluate(Slow([ANT, ANT], LABELS), pictures())
    assert waited == [True, True]


def test_what_was_noticed_is_told_and_kept(tmp_path: Path) -> None:
    folder, told = tmp_path / "pictures", []
    folder.mkdir()
    write_pictures(folder / "Red", ["red"])
    (folder / "Red" / "notes.txt").touch()
    model = tiny_model(tmp_path / "m.tflite")
    found = evaluate(str(model), str(folder), notify=told.append)
    assert any("m.tflite has no manifest" in line for line in told)
    for words in ("Red is red", "2 of 3 classes have no pictures", "left out 1 file: 1 .txt"):
        assert sum(words in line for line in told) == 1
        assert sum(words in line for line in found.notes) == 1


def test_it_shows_itself_in_a_notebook_and_is_short_in_a_terminal(tmp_path: Path) -> None:
    found = evaluate(Stub([CAT], LABELS), numbered([0]))
    shown = found._repr_html_()
    assert shown.startswith("<iframe sandbox srcdoc=")
    assert "<h1" not in shown  # nothing of the page lies outside of the frame
    assert len(repr(found)) < 600
    found.save_report(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == found.html()


def test_what_the_file_says_of_its_confidence_is_told_and_nothing_where_it_says_nothing() -> None:
    stub = Stub([[0.9, 0.1], [0.8, 0.2]], ("a", "b"))
    silent = evaluate(stub, numbered([0, 1]))
    assert silent.summary()["file_confidence"] is None
    assert "the file" not in table(silent) and "Calibration in the file" not in silent.html()
    stub.confidence = Confidence(temperature=0.86, images=500)
    found = evaluate(stub, numbered([0, 1]), compare=Stub([[0.9, 0.1]] * 2, ("a", "b")))
    assert found.summary()["file_confidence"] == {"temperature": 0.86, "images": 500}
    assert found.summary()["comparison"]["b"]["file_confidence"] is None
    assert f"the file    says of its calibration: {stub.confidence}" in table(found)
    assert found.html().count("Calibration in the file") == 1
    assert "Calibration in the file" in evaluate(stub, numbered([0, 1])).html()
