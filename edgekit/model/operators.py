"""What TFLite's kernels expect of an operator: its inputs, options, types and shapes, in one table.

Kernels check some of it and trust the rest: they divide by strides, index by axes, and read as many
weights as they suppose to be there. An operator that the table does not know gets the checks by
name of its options alone.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from edgekit.errors import ModelFileError
from edgekit.model import limits, moves, shapes
from edgekit.model.flatbuffer import Operator, Tensor
from edgekit.model.schema import TENSOR_TYPES
from edgekit.model.shapes import Node, Shapes
from edgekit.model.tables import TABLES

_EVERY = range(limits.CONNECTIONS)
_INTEGERS = ("int32", "int64")
_EIGHT_BITS = ("int8", "uint8")


class Rule(NamedTuple):
    """What an operator's kernel expects.

    Attributes:
        shapes: the shapes of its outputs.
        inputs: how many must be there.
        optional: how many more may be.
        options: table of its options; empty where its kernel reads none.
        alike: inputs of one type, which is the output's too unless `gives` says another.
        gives: type of the outputs; `any` where kernels check it themselves.
        integers: inputs that are sizes, axes or indices.
        weights: the input with weights, whose type goes with that of input `alike[0]`; the bias
            is the last one. 0 for none.
        arithmetic: whether it computes with values, so that 8-bit ones need a scale.
        outputs: how many it has; 0 for any number.
    """

    shapes: Callable[[Node], Shapes]
    inputs: int = 1
    optional: int = 0
    options: str = ""
    alike: Sequence[int] = (0,)
    gives: str = ""
    integers: Sequence[int] = ()
    weights: int = 0
    arithmetic: bool = False
    outputs: int = 1


# Types of weights and of biases for each type of input; 8-bit weights of float ones are hybrid.
_WEIGHTS = {
    "float32": ("float32", "int8", "uint8", "int4"),
    "uint8": ("uint8",),
    "int8": ("int8", "int4"),
    "int16": ("int8",),
}
_BIASES = {
    "float32": ("float32",), "uint8": ("int32",), "int8": ("int32",), "int16": ("int32", "int64"),
}  # fmt: skip


def _binary(options: str = "", gives: str = "") -> Rule:
    return Rule(shapes.broadcast, 2, options=options, alike=(0, 1), gives=gives, arithmetic=True)


def _unary(options: str = "", gives: str = "", arithmetic: bool = True) -> Rule:
    return Rule(shapes.same, options=options, gives=gives, arithmetic=arithmetic)


def _reduction() -> Rule:
    return Rule(shapes.reduction, 2, options="ReducerOptions", integers=(1,), arithmetic=True)


def _pooling() -> Rule:
    return Rule(shapes.pooling, options="Pool2DOptions", arithmetic=True)


RULES: dict[str, Rule] = {
    "CONV_2D": Rule(shapes.convolution, 2, 1, "Conv2DOptions", weights=1, arithmetic=True),
    "DEPTHWISE_CONV_2D": Rule(
        shapes.depthwise, 2, 1, "DepthwiseConv2DOptions", weights=1, arithmetic=True
    ),
    "TRANSPOSE_CONV": Rule(
        shapes.transposed_convolution, 3, 1, "TransposeConvOptions", alike=(2,), integers=(0,),
        weights=1, arithmetic=True,
    ),
    "FULLY_CONNECTED": Rule(
        shapes.dense, 2, 1, "FullyConnectedOptions", weights=1, arithmetic=True
    ),
    "BATCH_MATMUL": Rule(
        shapes.batch_matmul, 2, options="BatchMatMulOptions", gives="any", arithmetic=True
    ),
    "AVERAGE_POOL_2D": _pooling(),
    "MAX_POOL_2D": _pooling(),
    "L2_POOL_2D": _pooling(),
    "ADD": _binary("AddOptions"),
    "SUB": _binary("SubOptions"),
    "MUL": _binary("MulOptions"),
    "DIV": _binary("DivOptions"),
    "MAXIMUM": _binary(),
    "MINIMUM": _binary(),
    "SQUARED_DIFFERENCE": _binary(),
    "POW": _binary(),
    "FLOOR_DIV": _binary(),
    "FLOOR_MOD": _binary(),
    "PRELU": _binary(),
    "EQUAL": _binary(gives="bool"),
    "NOT_EQUAL": _binary(gives="bool"),
    "LESS": _binary(gives="bool"),
    "LESS_EQUAL": _binary(gives="bool"),
    "GREATER": _binary(gives="bool"),
    "GREATER_EQUAL": _binary(gives="bool"),
    "LOGICAL_AND": _binary(gives="bool"),
    "LOGICAL_OR": _binary(gives="bool"),
    "SELECT_V2": Rule(shapes.broadcast, 3, alike=(1, 2)),
    **{
        name: _unary()
        for name in (
            "ABS", "CEIL", "COS", "ELU", "EXP", "FLOOR", "HARD_SWISH", "LOG", "LOGISTIC",
            "LOG_SOFTMAX", "NEG", "RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1", "ROUND", "RSQRT",
            "SIGN", "SIN", "SQRT", "SQUARE", "TANH",
        )
    },
    "GELU": _unary("GeluOptions"),
    "LEAKY_RELU": _unary("LeakyReluOptions"),
    "LOCAL_RESPONSE_NORMALIZATION": _unary("LocalResponseNormalizationOptions"),
    "L2_NORMALIZATION": _unary("L2NormOptions"),
    "SOFTMAX": _unary("SoftmaxOptions", gives="any"),
    "CAST": _unary("CastOptions", gives="any", arithmetic=False),
    "QUANTIZE": _unary(gives="any"),
    "DEQUANTIZE": _unary(gives="any"),
    "LOGICAL_NOT": _unary(gives="bool"),
    "ZEROS_LIKE": _unary(arithmetic=False),
    "MEAN": _reduction(),
    "SUM": _reduction(),
    "REDUCE_ALL": _reduction(),
    "REDUCE_ANY": _reduction(),
    "REDUCE_MAX": _reduction(),
    "REDUCE_MIN": _reduction(),
    "REDUCE_PROD": _reduction(),
    "ARG_MAX": Rule(shapes.arg_extreme, 2, options="ArgMaxOptions", gives="any", integers=(1,)),
    "ARG_MIN": Rule(shapes.arg_extreme, 2, options="ArgMinOptions", gives="any", integers=(1,)),
    "RESHAPE": Rule(moves.reshape, 1, 1, "ReshapeOptions", integers=(1,)),
    "SQUEEZE": Rule(moves.squeeze, options="SqueezeOptions"),
    "EXPAND_DIMS": Rule(moves.expand, 2, integers=(1,)),
    "TRANSPOSE": Rule(moves.transpose, 2, integers=(1,)),
    "PAD": Rule(moves.pad, 2, integers=(1,)),
    "PADV2": Rule(moves.pad, 3, alike=(0, 2), integers=(1,)),
    "MIRROR_PAD": Rule(moves.mirror_pad, 2, options="MirrorPadOptions", integers=(1,)),
    "CONCATENATION": Rule(
        moves.concatenation, 1, limits.CONNECTIONS, "ConcatenationOptions", alike=_EVERY
    ),
    "PACK": Rule(moves.pack, 1, limits.CONNECTIONS, "PackOptions", alike=_EVERY),
    "UNPACK": Rule(moves.unpack, options="UnpackOptions", outputs=0),
    "SPLIT": Rule(moves.split, 2, options="SplitOptions", alike=(1,), integers=(0,), outputs=0),
    "SPLIT_V": Rule(
        moves.split_by_sizes, 3, options="SplitVOptions", integers=(1, 2), outputs=0
    ),
    "SLICE": Rule(moves.part, 3, integers=(1, 2)),
    "STRIDED_SLICE": Rule(
        moves.strided_part, 4, options="StridedSliceOptions", integers=(1, 2, 3)
    ),
    "TOPK_V2": Rule(moves.largest, 2, gives="any", integers=(1,), outputs=2),
    "GATHER": Rule(moves.gather, 2, options="GatherOptions", integers=(1,)),
    "TILE": Rule(moves.tile, 2, integers=(1,)),
    "BROADCAST_TO": Rule(moves.broadcast_to, 2, integers=(1,)),
    "FILL": Rule(moves.fill, 2, alike=(1,), integers=(0,)),
    "SHAPE": Rule(moves.rank_of, options="ShapeOptions", gives="any"),
    "RESIZE_BILINEAR": Rule(moves.resize, 2, options="ResizeBilinearOptions", integers=(1,)),
    "RESIZE_NEAREST_NEIGHBOR": Rule(
        moves.resize, 2, options="ResizeNearestNeighborOptions", integers=(1,)
    ),
    "SPACE_TO_DEPTH": Rule(moves.space_to_depth, options="SpaceToDepthOptions"),
    "DEPTH_TO_SPACE": Rule(moves.depth_to_space, options="DepthToSpaceOptions"),
}  # fmt: skip

# What a classifier does not need, and what could not be checked: other graphs, tables of strings,
# state behind the graph, and kernels that read options of their own format.
_REFUSED = {
    "IF": "runs other graphs", "WHILE": "runs other graphs", "CALL": "runs other graphs",
    "CALL_ONCE": "runs other graphs", "HASHTABLE": "keeps a table", "VAR_HANDLE": "keeps state",
    "DELEGATE": "belongs to a runtime", "PLACEHOLDER_FOR_GREATER_OP_CODES": "is none",
}  # fmt: skip
_REFUSED_CUSTOM = ("AudioSpectrogram", "Mfcc", "NumericVerify")

# Options by name, whatever the operator: least and greatest value. A kernel divides by the first
# ones, and the others number what it knows.
_BOUNDS = {
    **dict.fromkeys(
        (
            "stride_d", "stride_h", "stride_w", "dilation_d_factor", "dilation_h_factor",
            "dilation_w_factor", "filter_height", "filter_width", "block_size",
        ),
        (1, limits.STEP),
    ),
    **dict.fromkeys(("radius", "depth_multiplier"), (0, limits.STEP)),
    **dict.fromkeys(("num_splits", "values_count", "num"), (1, limits.CONNECTIONS)),
    **dict.fromkeys(
        ("in_data_type", "out_data_type", "output_type", "out_type", "quantized_bias_type",
         "idx_out_type"),
        (0, len(TENSOR_TYPES) - 1),
    ),
    **dict.fromkeys(("axis", "batch_dims", "seq_dim", "batch_dim"),
                    (-limits.DIMENSIONS, limits.DIMENSIONS)),
    "padding": (0, 1),
    "mode": (0, 1),
    "fused_activation_function": (0, 5),
    # Ends that count from the beginning, which not all kernels know.
    "offset": (0, 0),
    # The other one is for weights that were shuffled beforehand.
    "weights_format": (0, 0),
}  # fmt: skip


def check_operator(node: Node) -> Shapes:
    """Check an operator; the shapes of its outputs, None for those that are not known.

    Raises:
        ModelFileError: a kernel could not obey it; the message is a clause without the file's name.
    """
    operator = node.operator
    _check_kind(operator)
    rule = None if operator.is_custom else RULES.get(operator.name)
    _check_options(node, rule)
    if rule is None:
        # Nothing in a classifier comes from nowhere, and kernels take a first input for granted.
        if not node.inputs or node.inputs[0] is None:
            raise node.fail("lacks an input")
        return [None] * len(node.outputs)
    _check_number(node, rule)
    _check_types(node, rule)
    return rule.shapes(node)


def _check_kind(operator: Operator) -> None:
    reason = _REFUSED.get(operator.name)
    if operator.name.startswith("STABLEHLO_"):
        reason = "is StableHLO's; export the model with TFLite's own operators"
    if operator.is_custom:
        reason = "is for sound" if operator.name in _REFUSED_CUSTOM else None
    if reason:
        raise ModelFileError(f"it has the operator {operator.name}, which {reason}")


def _check_options(node: Node, rule: Rule | None) -> None:
    options = node.operator.options
    if rule is not None and rule.options:
        if options and options["kind"] != rule.options:
            raise node.fail(f"has options of another operator ({options['kind']})")
        if not options:
            # Interpreters take zeros then, not the schema's defaults.
            options = {word.partition(":")[0]: 0 for word in TABLES[rule.options].split()}
    for name, value in options.items():
        low, high = _BOUNDS.get(name, (-math.inf, math.inf))
        if isinstance(value, float) and not math.isfinite(value):
            raise node.fail(f"has {name} {value}")
        if isinstance(value, (int, float)) and not low <= value <= high:
            raise node.fail(f"has {name} {value}, not from {low} to {high}")


def _check_number(node: Node, rule: Rule) -> None:
    number = len(node.inputs)
    if not rule.inputs <= number <= rule.inputs + rule.optional:
        raise node.fail(f"has {number} inputs")
    required = node.inputs if rule.alike is _EVERY else node.inputs[: rule.inputs]
    if any(tensor is None for tensor in required):
        raise node.fail("lacks an input")
    if rule.outputs and len(node.outputs) != rule.outputs:
        raise node.fail(f"has {len(node.outputs)} outputs")


def _check_types(node: Node, rule: Rule) -> None:
    inputs = [tensor.dtype if tensor else "" for tensor in node.inputs]
    outputs = {tensor.dtype for tensor in node.outputs}
    alike = {inputs[number] for number in rule.alike if number < len(inputs)}
    if rule.gives != "any":
        alike |= outputs if not rule.gives else set()
        if len(alike) > 1 or (rule.gives and outputs != {rule.gives}):
            raise node.fail(f"makes {' and '.join(sorted(outputs))} of {' and '.join(inputs)}")
    for number in rule.integers:
        if number < len(inputs) and inputs[number] not in ("", *_INTEGERS):
            raise node.fail(f"takes {inputs[number]} for sizes or indices")
    if rule.weights:
        first = inputs[rule.alike[0]]
        bias = inputs[rule.inputs] if len(inputs) > rule.inputs else ""
        if inputs[rule.weights] not in _WEIGHTS.get(first, ()) or (
            bias and bias not in _BIASES[first]
        ):
            raise node.fail(f"has weights of {inputs[rule.weights]} {bias} for {first}".rstrip())
    if rule.arithmetic:
        for tensor in (*node.inputs, *node.outputs):
            if tensor is not None and tensor.dtype in _EIGHT_BITS and not tensor.scale:
                raise node.fail(f"computes with {tensor.dtype} that has no scale")


def is_constant(tensor: Tensor) -> bool:
    """Whether a tensor's values are in the file."""
    return tensor.buffer > 0 or (0 in tensor.allocated and not tensor.is_variable)
