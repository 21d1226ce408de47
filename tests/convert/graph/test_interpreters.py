"""Several interpreters that share the pictures."""

from collections.abc import Iterator

import numpy as np
import pytest
from edgekit_convert.graph.interpreters import Interpreters

from edgekit.inference.interpreter import Interpreter
from tests.convert.toys import Toy, noise, normal

PICTURES = noise(9, 2, 2, 3)


def _classifier() -> bytes:
    toy = Toy(2, 2)
    return toy.build(toy.softmax(toy.dense(toy.mean(toy.image), normal(4, 3), None)))


@pytest.mark.parametrize("threads", [1, 2, 9])
def test_answers_are_those_of_one_interpreter_in_the_order_of_the_pictures(threads: int) -> None:
    one = Interpreter(_classifier())
    expected = [one.answer(picture[None]) for picture in PICTURES]
    shared = Interpreters(_classifier(), threads)
    found = shared.map(PICTURES, lambda interpreter, index: (index, interpreter.output()))
    numbers, answers = zip(*found, strict=True)
    assert numbers == tuple(range(9))
    assert np.array_equal(answers, expected)


def test_after_an_error_all_interpreters_are_free_again() -> None:
    shared = Interpreters(_classifier(), 2)

    def fail(interpreter: Interpreter, index: int) -> Iterator[None]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(shared.map(PICTURES, fail))
    assert len(list(shared.map(PICTURES, lambda interpreter, index: index))) == 9
