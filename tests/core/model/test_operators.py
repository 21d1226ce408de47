"""What kernels expect of operators: the table says of each what the runtimes compute."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from edgekit.errors import ModelFileError
from edgekit.inference import runtimes
from edgekit.model.operators import RULES
from tests.core.model.graphs import T, build, check, ints, options, weights

PICTURE = T([1, 8, 6, 4])
MATRIX = T([2, 6])
BYTES = T([1, 8, 6, 4], "uint8", None, (0.5,), (3,))
TRUTHS = T([2, 6], "bool")
CONV = {"strideW": 1, "strideH": 1, "dilationWFactor": 1, "dilationHFactor": 1}
POOL = {"strideW": 2, "strideH": 2, "filterWidth": 3, "filterHeight": 2}
SAME, VALID = 0, 1


def _binary(kind: str, name: str | None = None, gives: str = "float32") -> tuple[Any, ...]:
    made = options(name) if name else None
    return kind, [MATRIX, T([1, 6])], [T([2, 6], gives)], made


def _unary(kind: str, name: str | None = None) -> tuple[Any, ...]:
    return kind, [PICTURE], [T(PICTURE.shape)], options(name) if name else None


def _reduction(kind: str, dtype: str = "float32") -> tuple[Any, ...]:
    source = T(PICTURE.shape, dtype)
    return kind, [source, ints(1, -2)], [T([1, 4], dtype)], options("ReducerOptions")


# Every operator of the table as it may be, with the shapes that its outputs have.
GOOD: list[tuple[Any, ...]] = [
    ("CONV_2D", [PICTURE, weights(5, 3, 3, 4), weights(5)], [T([1, 8, 6, 5])],
     options("Conv2DOptions", **CONV)),
    ("CONV_2D", [PICTURE, weights(5, 3, 3, 4), weights(5)], [T([1, 2, 1, 5])],
     options("Conv2DOptions", padding=VALID,
             **CONV | {"strideW": 2, "strideH": 2, "dilationWFactor": 2, "dilationHFactor": 2})),
    ("DEPTHWISE_CONV_2D", [PICTURE, weights(1, 3, 3, 8), weights(8)], [T([1, 8, 6, 8])],
     options("DepthwiseConv2DOptions", depthMultiplier=2, **CONV)),
    ("TRANSPOSE_CONV", [ints(1, 16, 12, 3), weights(3, 2, 2, 4), PICTURE], [T([1, 16, 12, 3])],
     options("TransposeConvOptions", strideW=2, strideH=2)),
    ("FULLY_CONNECTED", [PICTURE, weights(5, 24), weights(5)], [T([8, 5])],
     options("FullyConnectedOptions")),
    ("FULLY_CONNECTED", [PICTURE, weights(5, 4), None], [T([1, 8, 6, 5])],
     options("FullyConnectedOptions", keepNumDims=True)),
    ("BATCH_MATMUL", [T([3, 2, 4]), T([1, 5, 4])], [T([3, 2, 5])],
     options("BatchMatMulOptions", adjY=True)),
    ("AVERAGE_POOL_2D", [PICTURE], [T([1, 4, 3, 4])], options("Pool2DOptions", **POOL)),
    ("MAX_POOL_2D", [PICTURE], [T([1, 4, 2, 4])],
     options("Pool2DOptions", padding=VALID, **POOL)),
    ("L2_POOL_2D", [PICTURE], [T([1, 4, 3, 4])], options("Pool2DOptions", **POOL)),
    _binary("ADD", "AddOptions"), _binary("SUB", "SubOptions"), _binary("MUL", "MulOptions"),
    _binary("DIV", "DivOptions"), _binary("MAXIMUM"), _binary("MINIMUM"),
    _binary("SQUARED_DIFFERENCE"), _binary("POW"), _binary("FLOOR_DIV"), _binary("FLOOR_MOD"),
    _binary("PRELU"),
    _binary("EQUAL", gives="bool"), _binary("NOT_EQUAL", gives="bool"),
    _binary("LESS", gives="bool"), _binary("LESS_EQUAL", gives="bool"),
    _binary("GREATER", gives="bool"), _binary("GREATER_EQUAL", gives="bool"),
    ("LOGICAL_AND", [TRUTHS, T([1, 6], "bool")], [T([2, 6], "bool")]),
    ("LOGICAL_OR", [TRUTHS, T([1, 6], "bool")], [T([2, 6], "bool")]),
    ("LOGICAL_NOT", [TRUTHS], [T([2, 6], "bool")]),
    ("SELECT_V2", [TRUTHS, MATRIX, T([1, 6])], [T([2, 6])]),
    *map(_unary, (
        "ABS", "CEIL", "COS", "ELU", "EXP", "FLOOR", "HARD_SWISH", "LOG", "LOGISTIC", "LOG_SOFTMAX",
        "NEG", "RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1", "ROUND", "RSQRT", "SIGN", "SIN",
        "SQRT", "SQUARE", "TANH", "ZEROS_LIKE",
    )),
    _unary("GELU", "GeluOptions"), _unary("LEAKY_RELU", "LeakyReluOptions"),
    _unary("LOCAL_RESPONSE_NORMALIZATION", "LocalResponseNormalizationOptions"),
    _unary("L2_NORMALIZATION", "L2NormOptions"), _unary("SOFTMAX", "SoftmaxOptions"),
    ("CAST", [PICTURE], [T(PICTURE.shape, "int32")],
     options("CastOptions", inDataType=0, outDataType=2)),
    ("QUANTIZE", [PICTURE], [T(PICTURE.shape, "int8", None, (0.1,))]),
    ("DEQUANTIZE", [BYTES], [T(BYTES.shape)]),
    *map(_reduction, ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD")),
    _reduction("REDUCE_ANY", "bool"), _reduction("REDUCE_ALL", "bool"),
    ("ARG_MAX", [PICTURE, ints(-1, shape=[])], [T([1, 8, 6], "int32")],
     options("ArgMaxOptions", outputType=2)),
    ("ARG_MIN", [PICTURE, ints(1)], [T([1, 6, 4], "int64")],
     options("ArgMinOptions", outputType=4)),
    ("RESHAPE", [PICTURE, ints(1, -1, 2)], [T([1, 96, 2])]),
    ("RESHAPE", [PICTURE], [T([8, 24])], options("ReshapeOptions", newShape=[8, 24])),
    ("SQUEEZE", [T([1, 8, 1, 4])], [T([1, 8, 4])], options("SqueezeOptions", squeezeDims=[2])),
    ("EXPAND_DIMS", [MATRIX, ints(-1)], [T([2, 6, 1])]),
    ("TRANSPOSE", [PICTURE, ints(0, 3, 1, 2)], [T([1, 4, 8, 6])]),
    ("PAD", [MATRIX, ints(1, 2, 0, 3, shape=[2, 2])], [T([5, 9])]),
    ("PADV2", [MATRIX, ints(1, 2, 0, 3, shape=[2, 2]), weights()], [T([5, 9])]),
    ("MIRROR_PAD", [MATRIX, ints(1, 1, 5, 0, shape=[2, 2])], [T([4, 11])],
     options("MirrorPadOptions", mode=0)),
    ("CONCATENATION", [MATRIX, T([2, 3])], [T([2, 9])], options("ConcatenationOptions", axis=-1)),
    ("PACK", [MATRIX, T([2, 6])], [T([2, 2, 6])],
     options("PackOptions", valuesCount=2, axis=1)),
    ("UNPACK", [MATRIX], [T([6]), T([6])], options("UnpackOptions", num=2, axis=0)),
    ("SPLIT", [ints(1), MATRIX], [T([2, 3]), T([2, 3])], options("SplitOptions", numSplits=2)),
    ("SPLIT_V", [MATRIX, ints(1, -1), ints(1)], [T([2, 1]), T([2, 5])],
     options("SplitVOptions", numSplits=2)),
    ("SLICE", [MATRIX, ints(0, 2), ints(1, -1)], [T([1, 4])]),
    ("STRIDED_SLICE", [PICTURE, ints(0, 1, 5, -2), ints(0, 7, 0, 9), ints(1, 2, -2, 1)],
     [T([1, 3, 3, 2])], options("StridedSliceOptions", endMask=1)),
    ("STRIDED_SLICE", [MATRIX, ints(-1, 0), ints(0, 0), ints(1, -1)], [T([6])],
     options("StridedSliceOptions", beginMask=2, endMask=2, shrinkAxisMask=1)),
    ("GATHER", [PICTURE, ints(3, 0)], [T([1, 8, 6, 2])], options("GatherOptions", axis=-1)),
    ("TOPK_V2", [MATRIX, ints(3, shape=[])], [T([2, 3]), T([2, 3], "int32")]),
    ("TILE", [MATRIX, ints(2, 3)], [T([4, 18])]),
    ("BROADCAST_TO", [T([1, 6]), ints(3, 2, 6)], [T([3, 2, 6])]),
    ("FILL", [ints(2, 3), weights()], [T([2, 3])]),
    ("SHAPE", [PICTURE], [T([4], "int32")], options("ShapeOptions", outType=2)),
    ("RESIZE_BILINEAR", [PICTURE, ints(5, 9)], [T([1, 5, 9, 4])],
     options("ResizeBilinearOptions")),
    ("RESIZE_NEAREST_NEIGHBOR", [PICTURE, ints(5, 9)], [T([1, 5, 9, 4])],
     options("ResizeNearestNeighborOptions")),
    ("SPACE_TO_DEPTH", [PICTURE], [T([1, 4, 3, 16])], options("SpaceToDepthOptions", blockSize=2)),
    ("DEPTH_TO_SPACE", [PICTURE], [T([1, 16, 12, 1])],
     options("DepthToSpaceOptions", blockSize=2)),
]  # fmt: skip
# Of those whose first version is another.
VERSIONS = {"BROADCAST_TO": 2}


def _name(case: Sequence[Any]) -> str:
    return str(case[0])


def test_every_rule_has_an_example() -> None:
    assert {case[0] for case in GOOD} == set(RULES)


@pytest.mark.parametrize("case", GOOD, ids=_name)
def test_shapes_are_those_that_the_runtimes_compute(case: tuple[Any, ...]) -> None:
    raw = build(*case, version=VERSIONS.get(case[0], 1))
    check(raw)
    for name in runtimes.installed_runtimes():
        _, module = runtimes.load(name)
        interpreter = module.Interpreter(model_content=raw)
        interpreter.allocate_tensors()
        for one in interpreter.get_input_details():
            interpreter.set_tensor(one["index"], np.ones(one["shape"], one["dtype"]))
        interpreter.invoke()
        shapes = [list(one["shape"]) for one in interpreter.get_output_details()]
        assert shapes == [list(one.shape) for one in case[2]], name


@pytest.mark.parametrize("case", GOOD, ids=_name)
def test_another_shape_than_that_is_refused(case: tuple[Any, ...]) -> None:
    kind, inputs, (first, *others), *made = case
    wrong = first._replace(shape=[*first.shape[:-1], first.shape[-1] + 1])
    with pytest.raises(ModelFileError, match=rf"{kind} gives \["):
        check(build(kind, inputs, [wrong, *others], *made))


@pytest.mark.parametrize("case", GOOD, ids=_name)
def test_an_input_that_is_missing_is_refused(case: tuple[Any, ...]) -> None:
    kind, inputs, outputs, *made = case
    with pytest.raises(ModelFileError, match=f"{kind} lacks an input"):
        check(build(kind, [None, *inputs[1:]], outputs, *made))
    if kind not in ("CONCATENATION", "PACK", "RESHAPE", "SOFTMAX"):
        with pytest.raises(ModelFileError, match=f"{kind} has 9 inputs"):
            check(build(kind, [inputs[0]] * 9, outputs, *made))


def test_an_operator_that_the_table_does_not_know_has_an_input() -> None:
    """Such as REAL: both runtimes take its first input for granted, and crash."""
    assert "REAL" not in RULES
    _, _, outputs, *_ = GOOD[0]
    for inputs in ([], [None]):
        with pytest.raises(ModelFileError, match="REAL lacks an input"):
            check(build("REAL", inputs, outputs))


WITH_OPTIONS = [
    case for case in GOOD if len(case) > 3 and RULES[case[0]].options and case[0] != "RESHAPE"
]


@pytest.mark.parametrize("case", WITH_OPTIONS, ids=_name)
def test_options_of_another_operator_are_refused(case: tuple[Any, ...]) -> None:
    other = options("SVDFOptions")
    with pytest.raises(ModelFileError, match=f"{case[0]} has options of another operator"):
        check(build(*case[:3], other))


def _conv(**fields: Any) -> tuple[Any, ...]:
    made = options("Conv2DOptions", **CONV | fields)
    return "CONV_2D", [PICTURE, weights(5, 3, 3, 4), weights(5)], [T([1, 8, 6, 5])], made


def _pool(**fields: Any) -> tuple[Any, ...]:
    return "MAX_POOL_2D", [PICTURE], [T([1, 4, 3, 4])], options("Pool2DOptions", **POOL | fields)


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (_conv(strideW=0), "has stride_w 0, not from 1 to 32767"),
        (_conv(strideH=-1), "has stride_h -1"),
        (_conv(strideH=1 << 16), "has stride_h 65536"),
        (_conv(dilationWFactor=0), "has dilation_w_factor 0"),
        (_conv(padding=2), "has padding 2, not from 0 to 1"),
        (_conv(fusedActivationFunction=6), "has fused_activation_function 6"),
        (_conv(padding=VALID, dilationHFactor=9), "has a window of 19 on a picture of 8"),
        # Absent options are zeros to an interpreter.
        (_conv()[:3], "has stride_w 0"),
        (_pool(filterWidth=0), "has filter_width 0"),
        (_pool()[:3], "has stride_w 0"),
        (("SOFTMAX", [MATRIX], [T([2, 6])], options("SoftmaxOptions", beta=float("nan"))),
         "beta nan"),
        (("LEAKY_RELU", [MATRIX], [T([2, 6])], options("LeakyReluOptions", alpha=float("inf"))),
         "has alpha inf"),
        (("DEPTH_TO_SPACE", [PICTURE], [T([1, 8, 6, 4])],
          options("DepthToSpaceOptions", blockSize=0)), "has block_size 0"),
        (("DEPTH_TO_SPACE", [PICTURE], [T([1, 24, 18, 1])],
          options("DepthToSpaceOptions", blockSize=3)), "has blocks of 3"),
        (("CONCATENATION", [MATRIX, T([2, 6])], [T([2, 12])],
          options("ConcatenationOptions", axis=2)), "has axis 2, where there are 2"),
        (("CONCATENATION", [MATRIX, T([3, 7])], [T([2, 13])],
          options("ConcatenationOptions", axis=1)), "do not fit each other"),
        (("UNPACK", [MATRIX], [T([2])], options("UnpackOptions", num=1, axis=1)), "makes 1 parts"),
        (("UNPACK", [MATRIX], [T([6])], options("UnpackOptions", num=2, axis=0)),
         "has 1 outputs for 2 parts"),
        (("SPLIT", [ints(1), MATRIX], [T([2, 2])] * 1, options("SplitOptions", numSplits=5)),
         "has 1 outputs for 5 parts"),
        (("SPLIT_V", [MATRIX, ints(1, 6), ints(1)], [T([2, 1]), T([2, 6])],
          options("SplitVOptions", numSplits=2)), "makes 2 parts"),
        (("PACK", [MATRIX, T([2, 6])], [T([2, 2, 6])], options("PackOptions", valuesCount=3)),
         "do not fit each other"),
        (("STRIDED_SLICE", [MATRIX, ints(0, 0), ints(1, 1), ints(1, 0)], [T([1, 1])],
          options("StridedSliceOptions")), "has no beginning, end and stride"),
        (("STRIDED_SLICE", [MATRIX, ints(0, 0), ints(1, 1), ints(1, 1)], [T([1, 1])],
          options("StridedSliceOptions", offset=True)), "has offset True"),
        (("STRIDED_SLICE", [MATRIX, ints(2, 0), ints(3, 1), ints(1, 1)], [T([1])],
          options("StridedSliceOptions", shrinkAxisMask=1)), "takes the index 2"),
    ],
)  # fmt: skip
def test_options_that_a_kernel_trusts_are_looked_at(case: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ModelFileError, match=f"{case[0]} .*{message}"):
        check(build(*case))


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (("RESHAPE", [PICTURE, ints(5, 7)], [T([5, 7])]), r"makes \[5, 7\] of \[1, 8, 6, 4\]"),
        (("RESHAPE", [PICTURE, ints(-1, -1)], [T([1, 192])]), "wants the shape"),
        (("RESHAPE", [PICTURE, ints(-2, -96)], [T([1, 192])]), "wants the shape"),
        (("TRANSPOSE", [MATRIX, ints(0, 0)], [T([2, 2])]), r"has the order \[0, 0\]"),
        (("TRANSPOSE", [MATRIX, ints(0, 2)], [T([2, 2])]), r"has the order \[0, 2\]"),
        (("PAD", [MATRIX, ints(0, -1, 0, 0, shape=[2, 2])], [T([1, 6])]), "adds"),
        (("PAD", [MATRIX, ints(0, 0, shape=[1, 2])], [T([2, 6])]), "adds"),
        (("MIRROR_PAD", [MATRIX, ints(0, 2, 0, 0, shape=[2, 2])], [T([4, 6])],
          options("MirrorPadOptions", mode=0)), "adds"),
        (("MEAN", [PICTURE, ints(4)], [T([1])], options("ReducerOptions")), "has axis 4"),
        (("MEAN", [PICTURE, T([2], "uint8", np.array([1, 2], np.uint8))], [T([1, 4])],
          options("ReducerOptions")), "takes uint8 for sizes or indices"),
        (("ARG_MAX", [PICTURE, ints(9)], [T([1])], options("ArgMaxOptions", outputType=2)),
         "has axis 9"),
        (("SLICE", [MATRIX, ints(1, 0), ints(2, 6)], [T([2, 6])]), "takes"),
        (("SLICE", [MATRIX, ints(0), ints(2)], [T([2, 6])]), "has no beginning and size"),
        (("GATHER", [PICTURE, ints(4)], [T([1, 8, 6, 1])], options("GatherOptions", axis=3)),
         "has indices that"),
        (("GATHER", [PICTURE, ints(-1)], [T([1, 8, 6, 1])], options("GatherOptions", axis=3)),
         "has indices that"),
        (("TOPK_V2", [MATRIX, ints(0, shape=[])], [T([2, 1]), T([2, 1], "int32")]),
         "wants 0 values"),
        (("TOPK_V2", [MATRIX, ints(7, shape=[])], [T([2, 7]), T([2, 7], "int32")]),
         "wants 7 values"),
        (("TILE", [MATRIX, ints(-1, 1)], [T([2, 6])]), "repeats"),
        (("BROADCAST_TO", [MATRIX, ints(4, 6)], [T([4, 6])]), "has inputs of"),
        (("FILL", [ints(2, -3), weights()], [T([2, 3])]), "wants the shape"),
        (("RESIZE_BILINEAR", [PICTURE, ints(0, 9)], [T([1, 1, 9, 4])],
          options("ResizeBilinearOptions")), "wants a picture"),
        (("RESIZE_BILINEAR", [PICTURE, ints(9)], [T([1, 9, 9, 4])],
          options("ResizeBilinearOptions")), "wants a picture"),
        (("ADD", [MATRIX, T([3, 6])], [T([3, 6])], options("AddOptions")), "has inputs of"),
        (("BATCH_MATMUL", [MATRIX, T([5, 2])], [T([2, 2])], options("BatchMatMulOptions")),
         "has inputs of"),
        (("CONV_2D", [PICTURE, weights(5, 3, 3, 3), weights(5)], [T([1, 8, 6, 5])],
          options("Conv2DOptions", **CONV)), "has weights"),
        (("CONV_2D", [PICTURE, weights(5, 0, 3, 4), weights(5)], [T([1, 8, 6, 5])],
          options("Conv2DOptions", **CONV)), "has a window of 0"),
        (("CONV_2D", [PICTURE, weights(5, 3, 3, 4), weights(4)], [T([1, 8, 6, 5])],
          options("Conv2DOptions", **CONV)), "has 4 biases for 5 channels"),
        (("CONV_2D", [T([8, 6, 4]), weights(5, 3, 3, 4), weights(5)], [T([1, 8, 6, 5])],
          options("Conv2DOptions", **CONV)), "cannot take an input of shape"),
        (("DEPTHWISE_CONV_2D", [PICTURE, weights(1, 3, 3, 8), weights(8)], [T([1, 8, 6, 8])],
          options("DepthwiseConv2DOptions", depthMultiplier=3, **CONV)), "has 3 channels for each"),
        (("TRANSPOSE_CONV", [ints(1, 90, 12, 3), weights(3, 2, 2, 4), PICTURE], [T([1, 90, 12, 3])],
          options("TransposeConvOptions", strideW=2, strideH=2)), "wants an output"),
        (("FULLY_CONNECTED", [PICTURE, weights(5, 25), weights(5)], [T([1, 5])],
          options("FullyConnectedOptions")), "has weights"),
    ],
)  # fmt: skip
def test_sizes_axes_and_weights_that_do_not_fit_are_refused(
    case: tuple[Any, ...], message: str
) -> None:
    with pytest.raises(ModelFileError, match=f"{case[0]} {message}"):
        check(build(*case))


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (("ADD", [MATRIX, T([1, 6], "int32")], [T([2, 6])], options("AddOptions")), "makes"),
        (("ADD", [MATRIX, T([1, 6])], [T([2, 6], "int32")], options("AddOptions")), "makes"),
        (("RELU", [T([2], "uint8")], [T([2], "uint8")]), "computes with uint8 that has no scale"),
        (("CONV_2D", [BYTES, weights(5, 3, 3, 4, dtype="int8"), ints(*[0] * 5)],
          [BYTES._replace(shape=[1, 8, 6, 5])], options("Conv2DOptions", **CONV)),
         "has weights of int8 int32 for uint8"),
        (("CONV_2D", [BYTES, weights(5, 3, 3, 4, dtype="uint8"), weights(5)],
          [BYTES._replace(shape=[1, 8, 6, 5])], options("Conv2DOptions", **CONV)),
         "has weights of uint8 float32 for uint8"),
    ],
)  # fmt: skip
def test_types_that_do_not_go_together_are_refused(case: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ModelFileError, match=f"{case[0]} {message}"):
        check(build(*case))


def test_bytes_that_are_only_moved_need_no_scale() -> None:
    raw_bytes = T([2, 6], "uint8")
    check(build("RESHAPE", [raw_bytes, ints(12)], [T([12], "uint8")]))
    cast = options("CastOptions", inDataType=3, outDataType=0)
    check(build("CAST", [raw_bytes], [T([2, 6])], cast))


def test_weights_of_hybrid_models_pass() -> None:
    made = options("FullyConnectedOptions")
    check(build("FULLY_CONNECTED", [MATRIX, weights(5, 6, dtype="int8")], [T([2, 5])], made))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("IF", "it has the operator IF, which runs other graphs"),
        ("WHILE", "runs other graphs"),
        ("CALL_ONCE", "runs other graphs"),
        ("STABLEHLO_COMPOSITE", "is StableHLO's"),
        ("Mfcc", "is for sound"),
    ],
)
def test_operators_that_no_classifier_needs_are_refused(kind: str, message: str) -> None:
    with pytest.raises(ModelFileError, match=message):
        check(build(kind, [MATRIX], [T([2, 6])]))


def test_operators_that_the_table_does_not_know_get_the_checks_by_name() -> None:
    made = options("ReverseSequenceOptions", seqDim=1, batchDim=0)
    check(build("REVERSE_SEQUENCE", [MATRIX, ints(6, 6)], [T([2, 6])], made))
    made.seqDim = 99
    with pytest.raises(ModelFileError, match="REVERSE_SEQUENCE has seq_dim 99"):
        check(build("REVERSE_SEQUENCE", [MATRIX, ints(6, 6)], [T([2, 6])], made))
    check(build("edgetpu-custom-op", [MATRIX], [T([1, 3])]))
