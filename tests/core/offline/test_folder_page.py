"""What the page about a folder shows, of few classes and of very many."""

import re

import numpy as np
import pytest

from edgekit.offline.folder_evaluation import evaluate
from edgekit.offline.folder_figures import FolderEvaluation
from edgekit.offline.folder_table import table
from tests.core.offline.stubs import Stub, numbered


def _of_many_classes(count: int = 1000) -> FolderEvaluation:
    """Of 200 pictures, each of which has a class of its own, every second one is wrong."""
    labels = [f"c{number:03}" for number in range(count)]
    scores = np.full((200, count), 0.1 / count)
    for number in range(200):
        scores[number, number + number % 2] = 0.9
    return evaluate(Stub(scores, labels), numbered(list(range(200))), max_pictures=5)


def _rows(page: str, section: str) -> int:
    found = re.search(f'<section id="{section}">.*?</section>', page, re.DOTALL)
    assert found
    return found[0].count('<tr><th scope="row"')


def test_of_very_many_classes_the_worst_are_shown() -> None:
    found = _of_many_classes()
    page = found.html()
    assert _rows(page, "classes") == 100
    assert "100 of the 201 classes with pictures or answers" in page
    assert "799 of 1,000 classes have neither" in page
    shown = table(found).splitlines()
    assert len(shown) < 40
    assert shown[-1].startswith("the 20 of 201 classes with the worst recall")
    assert len(found.summary()["classes"]) == 1000


def test_of_very_many_classes_those_that_are_confused_are_shown() -> None:
    page = _of_many_classes().html()
    assert "matrix" not in page.split("</style>")[1]
    assert _rows(page, "confusion") == 40
    assert '<th scope="row">c001</th><td class="name">c002</td>' in page


def test_the_pair_that_is_confused_most_often_comes_first() -> None:
    labels = [f"c{number:02}" for number in range(50)]
    scores, truths = [*np.eye(50), np.eye(50)[7]], [(n + 1) % 50 for n in range(50)] + [8]
    page = evaluate(Stub(scores, labels), numbered(truths)).html()
    first = re.search('<th scope="row">(c..)</th><td class="name">(c..)</td>', page)
    assert first
    assert first.groups() == ("c08", "c07")


def test_of_few_classes_there_is_a_matrix() -> None:
    page = _of_many_classes(201).html()
    assert _rows(page, "confusion") == 40
    found = evaluate(Stub([[0.9, 0.1], [0.8, 0.2]], ("a", "b")), numbered([0, 1]))
    assert "Confusion matrix" in found.html()
    assert "Among the best five" not in found.html()


@pytest.mark.parametrize("right", [True, False])
def test_all_may_be_right_or_wrong(right: bool) -> None:
    labels = [f"c{number}" for number in range(50)]
    scores = np.eye(50)
    truths = [number if right else (number + 1) % 50 for number in range(50)]
    page = evaluate(Stub(scores, labels), numbered(truths)).html()
    assert ("every picture was answered right" in page) is right
    assert page.count("data:image/jpeg") == (0 if right else 50)


def test_one_picture_is_enough() -> None:
    page = evaluate(Stub([[0.9, 0.1]], ("a", "b")), numbered([0])).html()
    assert "1 picture, 2 classes" in page
    assert page.count("<circle") == 1


@pytest.mark.parametrize(("width", "tiny"), [(32, True), (600, False)])
def test_a_tiny_picture_is_enlarged_and_not_smeared(width: int, tiny: bool) -> None:
    page = evaluate(Stub([[0.9, 0.1]], ("a", "b")), numbered([1], width=width)).html()
    assert ('class="tiny"' in page) is tiny


def test_pictures_that_are_not_shown_are_counted() -> None:
    a, b = Stub([[0.9, 0.1]], ("a", "b")), Stub([[0.2, 0.8]], ("a", "b"))
    page = evaluate(a, numbered([1]), compare=b, max_pictures=0).html()
    assert "1; none of them is shown" in page
    assert "1 pictures have two answers; none of them is shown" in page


def test_tables_of_two_models_have_both_recalls() -> None:
    a, b = Stub([[0.9, 0.1]] * 2, ("a", "b")), Stub([[0.2, 0.8]] * 2, ("a", "b"), "b.tflite")
    found = evaluate(a, numbered([0, 1]), compare=b)
    row = re.search('<th scope="row">a</th>(.*?)</tr>', found.html().split("Class by class")[1])
    assert row
    assert re.findall('number total">(.*?)<', row[1]) == ["100.0%", "0.0%"]
    shown = table(found)
    assert "agreement   0.00%" in shown
    assert "both 0, A alone 1, B alone 1, neither 0; p = 1 (McNemar's exact test)" in shown
    assert shown.splitlines()[-1].split() == ["1", "100.0%", "0.0%", "a"]


def test_letters_that_steer_a_terminal_do_not_reach_it() -> None:
    labels = ("a\x1b[2J\n", "猫 " * 80)
    shown = table(evaluate(Stub([[0.9, 0.1]] * 2, labels), numbered([0, 1])))
    assert "\x1b" not in shown
    assert max(len(line) for line in shown.splitlines()) < 130
