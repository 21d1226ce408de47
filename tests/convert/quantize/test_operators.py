"""Every operator of the table, in int8 and in every runtime installed, against float.

What an operator reads has ten times the range of what it is worth to most channels, so that the
ranges of its tensors differ: a scale that a kernel does not expect costs all but a few decibels.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from edgekit_convert.answers import signal_to_noise
from edgekit_convert.graph.rewrite import add_biases
from edgekit_convert.quantize import activations
from edgekit_convert.quantize.activations import observe
from edgekit_convert.quantize.operators import KERNELS
from edgekit_convert.quantize.quantizer import FloatModel, quantize
from edgekit_convert.quantize.recipes import PLAIN
from edgekit_convert.quantize.structure import check_operators
from numpy.typing import ArrayLike, NDArray

from edgekit.errors import ConversionError
from edgekit.inference.interpreter import Interpreter
from edgekit.inference.runtimes import installed_runtimes
from tests.convert.toys import NONE, RELU, RELU6, Toy, noise, normal

PICTURES = noise(8, 6, 6, 3)
MINIMUM_DB = 30

# Adds an operator to a network that takes pictures of 6 x 6 pixels.
Make = Callable[[Toy], int]


def _source(toy: Toy) -> int:
    """Eight channels of both signs (1, 6, 6, 8); the last has four times the others' range."""
    weight = normal(8, 1, 1, 3, seed=3) * np.array([1] * 7 + [4]).reshape(8, 1, 1, 1) / 255
    return toy.conv(toy.image, weight, normal(8, seed=1) / 5, NONE)


def _other(toy: Toy) -> int:
    """The same shape, other values, and another range."""
    return toy.conv(toy.image, normal(8, 1, 1, 3, seed=7) / 100, normal(8, seed=8), NONE)


def _integers(*values: ArrayLike) -> NDArray[np.int32]:
    return np.array(values, np.int32)


def _of_one(
    kind: str, shape: list[int] | None = None, *constants: ArrayLike, **fields: Any
) -> Make:
    """An operator on the source, with constants behind it, that gives a shape."""
    options = fields.pop("options", None)

    def make(toy: Toy) -> int:
        inputs = [_source(toy), *(toy.constant(values) for values in constants)]
        return toy.apply(kind, inputs, shape or [1, 6, 6, 8], options and options(), **fields)

    return make


def _of_two(kind: str, shape: list[int] | None = None, **fields: Any) -> Make:
    """An operator on the source and the other."""
    options = fields.pop("options")
    return lambda toy: toy.apply(
        kind, [_source(toy), _other(toy)], shape or [1, 6, 6, 8], options(), **fields
    )


def _positive(kind: str) -> Make:
    def make(toy: Toy) -> int:
        magnitude = toy.apply("ABS", [_source(toy)], [1, 6, 6, 8], schema.AbsOptionsT())
        above = toy.add(magnitude, toy.constant([0.2]), NONE)
        return toy.apply(kind, [above], [1, 6, 6, 8])

    return make


def _pool(kind: str) -> Make:
    return _of_one(
        kind, [1, 3, 3, 8], options=schema.Pool2DOptionsT, padding=schema.Padding.SAME,
        filterHeight=3, filterWidth=3, strideH=2, strideW=2,
    )  # fmt: skip


def _reduced(kind: str, shape: list[int], *axes: int, keep: bool = False) -> Make:
    return _of_one(kind, shape, _integers(*axes), options=schema.ReducerOptionsT, keepDims=keep)


def _split(toy: Toy) -> int:
    inputs = [toy.constant(np.array(3, np.int32)), _source(toy)]
    shapes = [[1, 6, 6, 4]] * 2
    return toy.apply_many("SPLIT", inputs, shapes, schema.SplitOptionsT(), numSplits=2)[0]


def _split_unevenly(toy: Toy) -> int:
    inputs = [_source(toy), toy.constant(_integers(3, 5)), toy.constant(np.array(3, np.int32))]
    shapes = [[1, 6, 6, 3], [1, 6, 6, 5]]
    return toy.apply_many("SPLIT_V", inputs, shapes, schema.SplitVOptionsT(), numSplits=2)[0]


def _unpacked(toy: Toy) -> int:
    options = schema.UnpackOptionsT()
    return toy.apply_many("UNPACK", [_source(toy)], [[1, 6, 8]] * 6, options, num=6, axis=1)[2]


def _selected(kind: str, options: Callable[[], Any], condition: NDArray[np.bool_]) -> Make:
    return lambda toy: toy.apply(
        kind, [toy.constant(condition), _source(toy), _other(toy)], [1, 6, 6, 8], options()
    )


def _batches(toy: Toy) -> int:
    block, nothing = _integers(2, 2), np.zeros((2, 2), np.int32)
    there, back = ([toy.constant(block), toy.constant(nothing)] for _ in range(2))
    batched = toy.apply(
        "SPACE_TO_BATCH_ND", [_source(toy), *there], [4, 3, 3, 8], schema.SpaceToBatchNDOptionsT()
    )
    return toy.apply(
        "BATCH_TO_SPACE_ND", [batched, *back], [1, 6, 6, 8], schema.BatchToSpaceNDOptionsT()
    )


def _updated(toy: Toy) -> int:
    corner = [toy.constant(_integers(0, 0, 0, 0)), toy.constant(_integers(1, 2, 2, 8))]
    part = toy.apply("SLICE", [_other(toy), *corner], [1, 2, 2, 8], schema.SliceOptionsT())
    inputs = [_source(toy), part, toy.constant(_integers(0, 1, 1, 0))]
    options = schema.DynamicUpdateSliceOptionsT()
    return toy.apply("DYNAMIC_UPDATE_SLICE", inputs, [1, 6, 6, 8], options)


def _multiplied(toy: Toy) -> int:
    flat = [
        toy.apply("RESHAPE", [values, toy.constant(_integers(1, 36, 8))], [1, 36, 8],
                  schema.ReshapeOptionsT())
        for values in (_source(toy), _other(toy))
    ]  # fmt: skip
    options = schema.BatchMatMulOptionsT()
    return toy.apply("BATCH_MATMUL", flat, [1, 36, 36], options, adjY=True)


# What a kernel centres must also be right where it comes with a zero point that TFLite dictates.
def _multiplied_by_probabilities(toy: Toy) -> int:
    shape = [1, 6, 6, 8]
    squashed = toy.apply("LOGISTIC", [_other(toy)], shape)
    options = schema.BatchMatMulOptionsT()
    return toy.apply("BATCH_MATMUL", [_source(toy), squashed], [1, 6, 6, 6], options, adjY=True)


BORDER = np.array([[0, 0], [1, 0], [1, 1], [0, 0]], np.int32)
BORDERED = [1, 7, 8, 8]
EVEN = np.arange(8) % 2 == 0
CASES: dict[str, Make | list[Make]] = {
    "ABS": _of_one("ABS", options=schema.AbsOptionsT),
    "ADD": [
        _of_two("ADD", options=schema.AddOptionsT),
        _of_one("ADD", None, normal(8) * 3, options=schema.AddOptionsT),
        lambda toy: toy.add(_source(toy), _other(toy), RELU6),
    ],
    "AVERAGE_POOL_2D": _pool("AVERAGE_POOL_2D"),
    "BATCH_MATMUL": [
        _of_one("BATCH_MATMUL", [1, 6, 6, 5], normal(1, 1, 8, 5),
                options=schema.BatchMatMulOptionsT),
        _multiplied,
        _multiplied_by_probabilities,
    ],
    "BATCH_TO_SPACE_ND": _batches,
    "BROADCAST_TO": _of_one(
        "BROADCAST_TO", [2, 6, 6, 8], _integers(2, 6, 6, 8), options=schema.BroadcastToOptionsT
    ),
    "CONCATENATION": [
        _of_two("CONCATENATION", [1, 6, 6, 16], options=schema.ConcatenationOptionsT, axis=3),
        _of_one("CONCATENATION", [1, 7, 6, 8], normal(1, 1, 6, 8) * 5,
                options=schema.ConcatenationOptionsT, axis=1),
    ],
    "CONV_2D": [
        lambda toy: toy.conv(_source(toy), normal(4, 3, 3, 8), normal(4, seed=1), RELU),
        # Without a bias, and in two groups.
        lambda toy: toy.conv(_source(toy), normal(4, 3, 3, 8), None, NONE),
        lambda toy: toy.conv(_source(toy), normal(4, 3, 3, 4), normal(4, seed=1), NONE),
    ],
    "DEPTHWISE_CONV_2D": [
        lambda toy: toy.depthwise(_source(toy), normal(1, 3, 3, 8), normal(8, seed=1), NONE),
        lambda toy: toy.depthwise(_source(toy), normal(1, 3, 3, 16), None, RELU6),
    ],
    "DEPTH_TO_SPACE": _of_one(
        "DEPTH_TO_SPACE", [1, 12, 12, 2], options=schema.DepthToSpaceOptionsT, blockSize=2
    ),
    "DYNAMIC_UPDATE_SLICE": _updated,
    "ELU": _of_one("ELU"),
    "EXP": _of_one("EXP", options=schema.ExpOptionsT),
    "EXPAND_DIMS": _of_one(
        "EXPAND_DIMS", [1, 6, 1, 6, 8], _integers(2), options=schema.ExpandDimsOptionsT
    ),
    "FULLY_CONNECTED": [
        lambda toy: toy.dense(toy.mean(_source(toy)), normal(5, 8), normal(5, seed=1)),
        # It flattens the whole picture.
        lambda toy: toy.dense(_source(toy), normal(5, 288), normal(5, seed=1), RELU),
    ],
    "GATHER": _of_one(
        "GATHER", [1, 6, 6, 3], _integers(0, 2, 4), options=schema.GatherOptionsT, axis=3
    ),
    "GATHER_ND": _of_one(
        "GATHER_ND", [2, 6, 8], _integers([0, 1], [0, 4]), options=schema.GatherNdOptionsT
    ),
    "GELU": _of_one("GELU", options=schema.GeluOptionsT),
    "HARD_SWISH": _of_one("HARD_SWISH", options=schema.HardSwishOptionsT),
    "L2_NORMALIZATION": _of_one("L2_NORMALIZATION", options=schema.L2NormOptionsT),
    "LEAKY_RELU": _of_one("LEAKY_RELU", options=schema.LeakyReluOptionsT, alpha=0.1),
    "LOGISTIC": _of_one("LOGISTIC"),
    "LOG_SOFTMAX": _of_one("LOG_SOFTMAX", options=schema.LogSoftmaxOptionsT),
    "MAXIMUM": [
        _of_two("MAXIMUM", options=schema.MaximumMinimumOptionsT),
        _of_one("MAXIMUM", None, [0.3], options=schema.MaximumMinimumOptionsT),
    ],
    "MAX_POOL_2D": _pool("MAX_POOL_2D"),
    "MEAN": [
        _reduced("MEAN", [1, 1, 1, 8], 1, 2, keep=True),
        _reduced("MEAN", [1, 6, 6, 1], 3, keep=True),
        _reduced("MEAN", [1, 6, 8], 2),
    ],
    "MINIMUM": _of_two("MINIMUM", options=schema.MaximumMinimumOptionsT),
    "MIRROR_PAD": _of_one("MIRROR_PAD", BORDERED, BORDER, options=schema.MirrorPadOptionsT),
    "MUL": [
        _of_two("MUL", options=schema.MulOptionsT),
        _of_one("MUL", None, normal(8) * 3, options=schema.MulOptionsT),
    ],
    "PACK": _of_two("PACK", [1, 2, 6, 6, 8], options=schema.PackOptionsT, axis=1, valuesCount=2),
    "PAD": _of_one("PAD", BORDERED, BORDER, options=schema.PadOptionsT),
    "PADV2": [
        _of_one("PADV2", BORDERED, BORDER, [3.0], options=schema.PadV2OptionsT),
        _of_one("PADV2", BORDERED, BORDER, [-30.0], options=schema.PadV2OptionsT),
    ],
    "PRELU": _of_one("PRELU", None, np.abs(normal(1, 1, 8))),
    "REDUCE_MAX": _reduced("REDUCE_MAX", [1, 8], 1, 2),
    "REDUCE_MIN": _reduced("REDUCE_MIN", [1, 8], 1, 2),
    "RELU": _of_one("RELU"),
    "RELU6": _of_one("RELU6"),
    "RELU_0_TO_1": _of_one("RELU_0_TO_1"),
    "RELU_N1_TO_1": _of_one("RELU_N1_TO_1"),
    "RESHAPE": _of_one(
        "RESHAPE", [1, 36, 8], _integers(1, 36, 8), options=schema.ReshapeOptionsT
    ),
    "RESIZE_BILINEAR": [
        _of_one("RESIZE_BILINEAR", [1, 12, 12, 8], _integers(12, 12),
                options=schema.ResizeBilinearOptionsT, halfPixelCenters=True),
        _of_one("RESIZE_BILINEAR", [1, 4, 4, 8], _integers(4, 4),
                options=schema.ResizeBilinearOptionsT),
    ],
    "RESIZE_NEAREST_NEIGHBOR": _of_one(
        "RESIZE_NEAREST_NEIGHBOR", [1, 12, 12, 8], _integers(12, 12),
        options=schema.ResizeNearestNeighborOptionsT, halfPixelCenters=True,
    ),
    "REVERSE_V2": _of_one("REVERSE_V2", None, _integers(2), options=schema.ReverseV2OptionsT),
    "RSQRT": _positive("RSQRT"),
    "SELECT": _selected("SELECT", schema.SelectOptionsT, np.tile(EVEN, (1, 6, 6, 1))),
    "SELECT_V2": _selected("SELECT_V2", schema.SelectV2OptionsT, EVEN),
    "SLICE": _of_one(
        "SLICE", [1, 3, 4, 5], _integers(0, 1, 2, 3), _integers(1, 3, 4, 5),
        options=schema.SliceOptionsT,
    ),
    "SOFTMAX": _of_one("SOFTMAX", options=schema.SoftmaxOptionsT, beta=1.0),
    "SPACE_TO_BATCH_ND": _batches,
    "SPACE_TO_DEPTH": _of_one(
        "SPACE_TO_DEPTH", [1, 3, 3, 32], options=schema.SpaceToDepthOptionsT, blockSize=2
    ),
    "SPLIT": _split,
    "SPLIT_V": _split_unevenly,
    "SQUARED_DIFFERENCE": _of_two(
        "SQUARED_DIFFERENCE", options=schema.SquaredDifferenceOptionsT
    ),
    "SQUEEZE": _of_one("SQUEEZE", [6, 6, 8], options=schema.SqueezeOptionsT, squeezeDims=[0]),
    "STRIDED_SLICE": _of_one(
        "STRIDED_SLICE", [1, 3, 3, 7], _integers(0, 0, 1, 0), _integers(1, 6, 6, 7),
        _integers(1, 2, 2, 1), options=schema.StridedSliceOptionsT,
    ),
    "SUB": [
        _of_two("SUB", options=schema.SubOptionsT),
        _of_one("SUB", None, normal(8), options=schema.SubOptionsT),
    ],
    "SUM": _reduced("SUM", [1, 1, 1, 8], 1, 2, keep=True),
    "TANH": _of_one("TANH"),
    "TILE": _of_one("TILE", [1, 12, 6, 8], _integers(1, 2, 1, 1), options=schema.TileOptionsT),
    "TRANSPOSE": _of_one(
        "TRANSPOSE", [1, 8, 6, 6], _integers(0, 3, 1, 2), options=schema.TransposeOptionsT
    ),
    "UNPACK": _unpacked,
}  # fmt: skip
EACH = [
    pytest.param(make, id=f"{kind}-{number}")
    for kind, makes in CASES.items()
    for number, make in enumerate(makes if isinstance(makes, list) else [makes])
]


def answers(graph: bytes, runtime: str) -> NDArray[np.float32]:
    """What a model gives for all pictures."""
    interpreter = Interpreter(graph, runtime=runtime)
    found = []
    for picture in PICTURES:
        interpreter.set_input(picture[None])
        interpreter.invoke()
        found.append(interpreter.output().copy())
    return np.stack(found)


def test_every_operator_of_the_table_has_a_case() -> None:
    assert CASES.keys() == KERNELS.keys()


@pytest.mark.parametrize("make", EACH)
def test_int8_gives_in_every_runtime_what_float_gives(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As one block, so that ranges end at what these pictures have: this is about kernels.
    monkeypatch.setattr(activations, "_BLOCKS", 1)
    toy = Toy(6, 6)
    graph = add_biases(toy.build(make(toy)))
    model = FloatModel.prepare(graph, observe(graph, PICTURES, 1, 0, lambda done: None))
    int8, exact = quantize(model, PLAIN), answers(graph, "litert")
    for runtime in installed_runtimes():
        ratio = signal_to_noise(exact, answers(int8, runtime))
        assert ratio is not None and ratio > MINIMUM_DB, runtime


@pytest.mark.parametrize("kind", ["SQRT", "LOG", "NEG", "FLOOR", "SIN"])
def test_an_operator_that_a_runtime_lacks_in_int8_is_refused_by_name(kind: str) -> None:
    toy = Toy(6, 6)
    graph = toy.build(toy.apply(kind, [_source(toy)], [1, 6, 6, 8]))
    with pytest.raises(ConversionError, match=rf"{kind} \({kind.lower()}1\)"):
        check_operators(graph)
