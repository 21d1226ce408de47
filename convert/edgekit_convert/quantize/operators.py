"""What the int8 kernels of TFLite ask of each operator: the one table to extend.

From TFLite's quantization specification (`operator_property.cc`, "TensorFlow Lite 8-bit
quantization specification") and what the kernels check and assume; the versions are those of
`op_version.cc` that brought int8. Whatever is in the table is compared with float in every runtime
by `tests/convert/quantize/test_operators.py`.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kernel:
    """An int8 kernel.

    Attributes:
        version: of the operator that brought int8.
        shared: its inputs and outputs have one scale and zero point: it moves or compares integers
            as they are, and no kernel looks at their scales.
        fixed: low and high end of the output's range, where TFLite dictates its scale.
        centred: position of an input whose zero point has to be 0.
    """

    version: int = 1
    shared: bool = False
    fixed: tuple[float, float] | None = None
    centred: int | None = None


# An integer for each pixel value: quantizing the input loses nothing.
PIXELS = (0.0, 255.0)
_PROBABILITY = (0.0, 255 / 256)
KERNELS: dict[str, Kernel] = {
    # Each tensor has a scale of its own.
    "ABS": Kernel(2),
    "ADD": Kernel(2),
    # LiteRT takes its second zero point for 0, whatever it is.
    "BATCH_MATMUL": Kernel(2, centred=1),
    "CONV_2D": Kernel(3),
    "DEPTHWISE_CONV_2D": Kernel(3),
    "ELU": Kernel(),
    "EXP": Kernel(2),
    "FULLY_CONNECTED": Kernel(4),
    "GELU": Kernel(2),
    "HARD_SWISH": Kernel(),
    "LEAKY_RELU": Kernel(),
    "MEAN": Kernel(2),
    "MUL": Kernel(2),
    "PRELU": Kernel(),
    "RELU": Kernel(2),
    "RELU6": Kernel(2),
    "RELU_0_TO_1": Kernel(),
    "RELU_N1_TO_1": Kernel(),
    "RSQRT": Kernel(2),
    "SQUARED_DIFFERENCE": Kernel(2),
    "SUB": Kernel(2),
    "SUM": Kernel(2),
    # All tensors share one.
    "AVERAGE_POOL_2D": Kernel(2, shared=True),
    "BATCH_TO_SPACE_ND": Kernel(2, shared=True),
    "BROADCAST_TO": Kernel(3, shared=True),
    "CONCATENATION": Kernel(2, shared=True),
    "DEPTH_TO_SPACE": Kernel(2, shared=True),
    "DYNAMIC_UPDATE_SLICE": Kernel(shared=True),
    "EXPAND_DIMS": Kernel(shared=True),
    "GATHER": Kernel(2, shared=True),
    "GATHER_ND": Kernel(shared=True),
    "MAXIMUM": Kernel(2, shared=True),
    "MAX_POOL_2D": Kernel(2, shared=True),
    "MINIMUM": Kernel(2, shared=True),
    "MIRROR_PAD": Kernel(2, shared=True),
    "PACK": Kernel(2, shared=True),
    "PAD": Kernel(2, shared=True),
    "PADV2": Kernel(2, shared=True),
    "REDUCE_MAX": Kernel(2, shared=True),
    "REDUCE_MIN": Kernel(2, shared=True),
    "RESHAPE": Kernel(shared=True),
    "RESIZE_BILINEAR": Kernel(2, shared=True),
    "RESIZE_NEAREST_NEIGHBOR": Kernel(2, shared=True),
    "REVERSE_V2": Kernel(3, shared=True),
    "SELECT": Kernel(2, shared=True),
    "SELECT_V2": Kernel(shared=True),
    "SLICE": Kernel(2, shared=True),
    "SPACE_TO_BATCH_ND": Kernel(2, shared=True),
    "SPACE_TO_DEPTH": Kernel(2, shared=True),
    "SPLIT": Kernel(2, shared=True),
    "SPLIT_V": Kernel(2, shared=True),
    "SQUEEZE": Kernel(shared=True),
    "STRIDED_SLICE": Kernel(2, shared=True),
    "TILE": Kernel(3, shared=True),
    "TRANSPOSE": Kernel(2, shared=True),
    "UNPACK": Kernel(2, shared=True),
    # TFLite dictates the output's.
    "L2_NORMALIZATION": Kernel(2, fixed=(-1.0, 127 / 128)),
    "LOGISTIC": Kernel(2, fixed=_PROBABILITY),
    "LOG_SOFTMAX": Kernel(2, fixed=(-255 / 16, 0.0)),
    "SOFTMAX": Kernel(2, fixed=_PROBABILITY),
    "TANH": Kernel(2, fixed=(-1.0, 127 / 128)),
}
