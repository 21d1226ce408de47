"""What a graph must be before an interpreter sees it, whatever its operators are."""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from edgekit.errors import ModelFileError
from edgekit.model import limits
from tests.core.model.graphs import T, build, check, ints, options, weights

MATRIX = T([2, 6])


def _relu(source: T, **changes: Any) -> bytes:
    return build("RELU", [source], [source._replace(data=None, is_variable=False)], **changes)


def _operators(model: Any) -> Any:
    return model.subgraphs[0].operators


def _twice(model: Any) -> None:
    _operators(model).append(_operators(model)[0])


def _swapped(model: Any) -> None:
    operator = _operators(model)[0]
    operator.inputs, operator.outputs = operator.outputs, operator.inputs


def _outputs(*tensors: int) -> Any:
    def change(model: Any) -> None:
        model.subgraphs[0].outputs = [*tensors]

    return change


def _inputs(*tensors: int) -> Any:
    def change(model: Any) -> None:
        model.subgraphs[0].inputs = [*tensors]

    return change


def _writes(*tensors: int) -> Any:
    def change(model: Any) -> None:
        _operators(model)[0].outputs = [*tensors]

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_inputs(), "RELU reads a tensor before it is written"),
        (_twice, "RELU writes a tensor that has a value"),
        (_swapped, "RELU reads a tensor before it is written"),
        (_writes(0), "RELU writes a tensor that has a value"),
        (_writes(-1), "RELU writes a tensor that has a value"),
        (_outputs(0), "an output is not computed"),
        (_inputs(0, 0), "an input is a constant, or there twice"),
        (_inputs(1), "RELU reads a tensor before it is written"),
    ],
)
def test_tensors_are_written_once_and_before_they_are_read(change: Any, message: str) -> None:
    check(_relu(MATRIX))
    with pytest.raises(ModelFileError, match=message):
        check(_relu(MATRIX, change=change))


def test_constants_stay_as_they_are() -> None:
    add = ["ADD", [MATRIX, weights(2, 6)], [T([2, 6])], options("AddOptions")]
    check(build(*add))
    for change, message in (
        (_writes(1), "ADD writes a tensor that has a value"),
        (_outputs(1), "an output is not computed"),
        (_inputs(0, 1), "an input is a constant"),
    ):
        with pytest.raises(ModelFileError, match=message):
            check(build(*add, change=change))


def test_an_output_may_be_one_that_is_read_again() -> None:
    def second(model: Any) -> None:
        graph = model.subgraphs[0]
        graph.tensors.append(copy.copy(graph.tensors[1]))
        graph.operators.append(copy.copy(graph.operators[0]))
        graph.operators[1].inputs, graph.operators[1].outputs = [1], [2]
        graph.outputs = [1, 2]

    check(_relu(MATRIX, change=second))


@pytest.mark.parametrize(
    ("scale", "zero", "axis", "message"),
    [
        ([float("nan")], None, 0, "has a scale that is not positive"),
        ([float("inf")], None, 0, "has a scale that is not positive"),
        ([0.0], None, 0, "has a scale that is not positive"),
        ([-0.5], None, 0, "has a scale that is not positive"),
        ([1e-45], None, 0, "has a scale that is not positive"),
        ([1e38], None, 0, "has a scale that is not positive"),
        ([0.5], [256], 0, "has a zero point that is no uint8"),
        ([0.5], [-1], 0, "has a zero point that is no uint8"),
        ([0.5], [0, 0], 0, "has 1 scales and 2 zero points"),
        ([0.5, 0.5], [0, 0], 1, "has 2 scales, 6 channels"),
        ([0.5, 0.5], [0, 0], 2, "has 2 scales, 0 channels"),
        ([0.5, 0.5], [0, 0], -2, "has 2 scales, 0 channels"),
    ],
)
def test_scales_and_zero_points_are_those_of_numbers(
    scale: Sequence[float], zero: Sequence[int] | None, axis: int, message: str
) -> None:
    check(_relu(T([2, 6], "uint8", None, (0.5,), (255,))))
    with pytest.raises(ModelFileError, match=f"tensor 't0' {message}"):
        check(_relu(T([2, 6], "uint8", None, scale, zero, axis)))


def test_each_channel_may_have_its_own_scale() -> None:
    many = T([2, 6], "int8", np.zeros((2, 6), np.int8), (0.1, 0.2), (0, 0), 0)
    check(build("RESHAPE", [many, ints(12)], [T([12], "int8")]))


@pytest.mark.parametrize("dtype", ["string", "resource", "variant"])
def test_types_that_no_classifier_has_are_refused(dtype: str) -> None:
    with pytest.raises(ModelFileError, match=f"is of the type {dtype}"):
        check(_relu(T([2], dtype)))


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (T([2, -6]), r"has the shape \[2, -6\]"),
        (T([2, 6], signature=[2]), r"has the shape \[2, 6\], and \[2\] too"),
        (T([2, 6], signature=[-1, 7]), r"has the shape \[2, 6\], and \[-1, 7\] too"),
        (T([1] * 9), "has 9 dimensions; at most 8 are read"),
        (T([1 << 14, (1 << 12) + 1]), "it has 67,125,248 values in a tensor"),
        (T([1 << 30, 1 << 30, 1 << 30]), "values in a tensor; at most 67,108,864 are read"),
        (T([2, 0]), "an input is a constant"),
        (T([2, 6], data=np.zeros(11, np.float32)), "holds 44 bytes instead of 48"),
        (T([2, 6], data=np.zeros(12, np.float32), is_variable=True), "is a constant, and a var"),
    ],
)
def test_shapes_and_sizes_are_bounded(tensor: T, message: str) -> None:
    with pytest.raises(ModelFileError, match=message):
        check(_relu(tensor))


def test_unknown_dimensions_are_known_at_run_time() -> None:
    source = T([1, 6], signature=[-1, 6])
    check(_relu(source))
    # Where the new shape is computed, so is the output's.
    shape = T([2], "int32", signature=[2])
    check(build("RESHAPE", [source, shape], [T([1, 1], signature=[-1, -1])]))


def test_the_memory_for_all_that_is_alive_is_bounded() -> None:
    large = T([1 << 13, 1 << 13])  # 256 MiB
    check(_relu(large))

    assert limits.ACTIVATION_BYTES < 3 * (256 << 20)
    with pytest.raises(ModelFileError, match="it has 805,306,368 bytes of activations"):
        check(build("ADD", [large, T(large.shape)], [T(large.shape)], options("AddOptions")))


def test_shapes_that_only_the_operators_know_are_bounded() -> None:
    # The file says that it does not know the output's.
    hidden = T([1, 1], signature=[-1, -1])
    check(build("TILE", [MATRIX, ints(3, 3)], [hidden]))
    with pytest.raises(ModelFileError, match="values in a tensor"):
        check(build("TILE", [MATRIX, ints(1 << 14, 1 << 14)], [hidden]))
    with pytest.raises(ModelFileError, match="has no values"):
        check(build("SLICE", [MATRIX, ints(0, 0), ints(0, 6)], [hidden]))


def test_half_bytes_are_counted() -> None:
    four_bits = T([3], "int4", np.zeros(2, np.uint8), (1.0,))
    cast = options("CastOptions", inDataType=17, outDataType=0)
    check(build("CAST", [four_bits], [T([3])], cast))


def test_integers_in_constants_are_read_up_to_a_number() -> None:
    many = T([limits.NUMBERS + 1], "int32", np.zeros(limits.NUMBERS + 1, np.int32))
    made = options("GatherOptions")
    with pytest.raises(ModelFileError, match="numbers in lists; at most 2,097,152 are read"):
        check(build("GATHER", [MATRIX, many], [T([limits.NUMBERS + 1, 6])], made))
    # Other constants may be of any size.
    check(build("ADD", [many._replace(data=None), many], [many._replace(data=None)],
                options("AddOptions")))  # fmt: skip


def test_every_graph_of_a_file_is_looked_at() -> None:
    def second(model: Any) -> None:
        model.subgraphs.append(copy.deepcopy(model.subgraphs[0]))
        model.subgraphs[1].operators[0].inputs = [1]

    with pytest.raises(ModelFileError, match="RELU reads a tensor before it is written"):
        check(_relu(MATRIX, change=second))


def test_constants_are_aligned_as_far_as_writers_do() -> None:
    def at(offset: int) -> Any:
        def change(model: Any) -> None:
            model.buffers[1].data = None
            model.buffers[1].offset, model.buffers[1].size = offset, 48

        return change

    add = ["ADD", [MATRIX, weights(2, 6)], [T([2, 6])], options("AddOptions")]
    check(build(*add, change=at(100)))
    for offset in (101, 102):
        with pytest.raises(ModelFileError, match="holds data that is not aligned"):
            check(build(*add, change=at(offset)))
    long = T([2], "int64", np.zeros(2, np.int64))
    check(build("RESHAPE", [T([4]), ints(2, 2, dtype="int64")], [T([2, 2])]))
    check(build("ADD", [T([2], "int64"), long], [T([2], "int64")], options("AddOptions")))


def test_sparse_tensors_are_refused() -> None:
    from ai_edge_litert import schema_py_generated as schema

    def change(model: Any) -> None:
        model.subgraphs[0].tensors[0].sparsity = schema.SparsityParametersT()

    with pytest.raises(ModelFileError, match="leaves zeros out"):
        check(_relu(MATRIX, change=change))
