import numpy as np
import pytest
from edgekit_device.bench.operators import ROUNDS, Cut, cut_off, cuts, times

from edgekit.errors import ModelFileError
from edgekit.inference.interpreter import Interpreter
from edgekit.model.flatbuffer import Graph, Operator, parse
from tests.tiny import SIZE, tiny_flatbuffer


def _graph(*operators: tuple[str, tuple[int, ...], int]) -> Graph:
    made = tuple(Operator(name, 1, inputs, (output,)) for name, inputs, output in operators)
    return Graph((), (0,), (made[-1].outputs[0],), made)


def test_a_graph_is_cut_where_the_kind_changes() -> None:
    graph = _graph(("CONV_2D", (0,), 1), ("CONV_2D", (1,), 2), ("ADD", (1, 2), 3))
    assert cuts(graph) == [Cut("CONV_2D", 2, (1, 2)), Cut("ADD", 3, (3,))]


def test_what_is_cut_off_answers_as_the_whole_graph_does_there() -> None:
    flatbuffer = tiny_flatbuffer()
    first, last = cuts(parse(flatbuffer))
    assert (first.kind, last.kind) == ("MEAN", "SOFTMAX")
    picture = np.full((1, SIZE, SIZE, 3), (10, 200, 30), np.uint8)
    part = cut_off(flatbuffer, first)
    assert [operator.name for operator in parse(part).operators] == ["MEAN"]
    answer = Interpreter(part, runtime="litert").answer(picture) * 255
    assert answer.round().tolist() == [10, 200, 30]
    whole = Interpreter(cut_off(flatbuffer, last), runtime="litert").answer(picture)
    assert np.array_equal(whole, Interpreter(flatbuffer, runtime="litert").answer(picture))


@pytest.mark.parametrize("behind", [b"", b"x"])
def test_several_outputs_fit_where_there_was_one(behind: bytes) -> None:
    part = parse(cut_off(tiny_flatbuffer() + behind, Cut("MEAN", 1, (2, 0))))
    assert (part.outputs, len(part.operators)) == ((2, 0), 1)


def test_a_damaged_model_is_refused() -> None:
    with pytest.raises(ModelFileError):
        cut_off(tiny_flatbuffer()[:40], Cut("MEAN", 1, (2,)))


def test_a_kind_takes_what_its_graph_takes_longer_than_the_one_before() -> None:
    places = [Cut("CONV_2D", 2, ()), Cut("ADD", 3, ()), Cut("CONV_2D", 4, ())]
    taken = {2: 5.0, 3: 6.0, 4: 9.0}
    found = times(places, lambda cut: taken[cut.end], {"CONV_2D": 3, "ADD": 1})
    assert [(one.kind, one.count, one.ms, one.doubt_ms) for one in found] == [
        ("CONV_2D", 3, 8, 0),
        ("ADD", 1, 1, 0),
    ]


def test_the_best_round_counts_and_the_next_says_how_sure_it_is() -> None:
    rounds = iter([4.0, 9.0, 3.0, 7.0, 8.0, 8.0, 3.5, 9.0, 6.0, 6.0])
    places = [Cut("PAD", 1, ()), Cut("ADD", 2, ())]
    found = times(places, lambda _: next(rounds), {"PAD": 1, "ADD": 1})
    assert ROUNDS == 5
    assert [(one.kind, one.ms, one.doubt_ms) for one in found] == [
        ("PAD", 3, 0.5),
        ("ADD", 3, 1.5),
    ]
