"""Fold the normalization of pixels into a convolution, so that it takes raw pixels.

The network was trained on x = (p / 255 - mean) / std of each channel's pixels p.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper

from edgekit.errors import ConversionError
from edgekit.model.manifest import Normalization
from edgekit_convert.graph.onnx_editor import OnnxEditor, attributes
from edgekit_convert.graph.picture import Picture

# What --mean and --std are for a network that takes pixels from 0 to 255, or from 0 to 1.
_RAW = "--mean 0,0,0 --std 0.00392156862745098,0.00392156862745098,0.00392156862745098"
_UNIT = "--mean 0,0,0 --std 1,1,1"
# Trained networks see pixels that differ by 1 to 10 between black and white, or by 255.
_NARROW, _WIDE = 0.2, 300.0
_Line: TypeAlias = NDArray[np.float64]
# What becomes of scale and shift of a x + b, by a constant c behind it.
_ARITHMETIC: dict[str, Callable[[_Line, _Line, _Line], tuple[_Line, _Line]]] = {
    "Add": lambda a, b, c: (a, b + c),
    "Sub": lambda a, b, c: (a, b - c),
    "Mul": lambda a, b, c: (a * c, b * c),
    "Div": lambda a, b, c: (a / c, b / c),
}


def fold_normalization(
    weight: NDArray[Any], bias: NDArray[Any] | None, normalization: Normalization
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weight and bias of a convolution that takes pixels p where the given one takes x.

    W (p / 255 - mean) / std + b = (W / (255 std)) p + (b - sum W mean / std). Exact where the
    convolution does not pad; for the border see `edgekit_convert.graph.border`.

    Args:
        weight: W (outputs, 3, height, width).
        bias: b (outputs,), or none.
        normalization: mean and std.
    """
    mean, std = (
        np.reshape(values, (1, 3, 1, 1)) for values in (normalization.mean, normalization.std)
    )
    scaled = weight.astype(np.float64) / std
    shifted = (0 if bias is None else bias) - (scaled * mean).sum(axis=(1, 2, 3))
    return (scaled / 255).astype(np.float32), shifted.astype(np.float32)


def normalizing_convolution(
    normalization: Normalization,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weight (3, 3, 1, 1) and bias (3,) of a convolution that makes x of pixels p."""
    mean, std = np.array(normalization.mean), np.array(normalization.std)
    weight = np.diag(1 / (255 * std)).reshape(3, 3, 1, 1)
    return weight.astype(np.float32), (-mean / std).astype(np.float32)


def check_own_normalization(
    model: ModelProto, picture: Picture, normalization: Normalization
) -> None:
    """Refuse to normalize pixels twice, or too little, where a graph begins with arithmetic.

    Args:
        model: the graph.
        picture: its input.
        normalization: what is asked for.

    Raises:
        ConversionError: the two do not go together.
    """
    std, mean = np.array(normalization.std), np.array(normalization.mean)
    if picture.dtype is np.uint8 and not (np.allclose(std * 255, 1) and not mean.any()):
        raise ConversionError(
            f"the ONNX model takes raw pixels (uint8) and normalizes them itself; pass {_RAW}"
        )
    own = own_normalization(OnnxEditor(model), picture.tensor)
    if own is None:
        return
    scale, shift = own.scale, own.shift
    itself = "the ONNX model normalizes its input itself"
    # What the network sees between a black and a white picture.
    width = float((np.abs(scale) / std).max())
    if width < _NARROW:
        raise ConversionError(f"{itself}, from pixels of 0 to 255; pass {_RAW}")
    twice = np.allclose(1 / scale, std, rtol=0.02) and np.allclose(-shift / scale, mean, rtol=0.02)
    is_unit = np.allclose(std, 1) and not mean.any()
    if width > _WIDE or (twice and not is_unit):
        raise ConversionError(f"{itself}, from pixels of 0 to 1; pass {_UNIT}")


@dataclass(frozen=True)
class OwnNormalization:
    """Arithmetic that a graph begins with: scale * x + shift for each channel.

    Attributes:
        scale, shift: (3,) each.
        output: name of the tensor it ends in.
        axes: order of its axes beside the input's.
    """

    scale: _Line
    shift: _Line
    output: str
    axes: tuple[int, ...]


def own_normalization(editor: OnnxEditor, tensor: str) -> OwnNormalization | None:
    """How a graph normalizes its input itself; None where it does not, or in another way."""
    scale: _Line = np.ones(3)
    shift: _Line = np.zeros(3)
    axes: tuple[int, ...] = (0, 1, 2, 3)
    if (apart := _channels_apart(editor, tensor)) is not None:
        scale, shift, tensor = apart
    while len(readers := editor.readers(tensor)) == 1:
        node = readers[0]
        if node.op_type in _ARITHMETIC:
            values = _channel_values(editor, node, tensor)
            if values is None:
                break
            scale, shift = _ARITHMETIC[node.op_type](scale, shift, values)
        elif node.op_type == "Transpose":
            axes = tuple(axes[axis] for axis in attributes(node).get("perm", (3, 2, 1, 0)))
        elif node.op_type not in ("Cast", "Identity"):
            break
        tensor = node.output[0]
    if not scale.all() or ((scale == 1).all() and not shift.any()):
        return None
    return OwnNormalization(scale, shift, tensor, axes)


def _channels_apart(editor: OnnxEditor, tensor: str) -> tuple[_Line, _Line, str] | None:
    """Scale and shift of channels that are taken apart and joined again, and what they become.

    torchvision's GoogLeNet and Inception with published weights begin so (`transform_input`).
    """
    scale, shift, ends = np.ones(3), np.zeros(3), {}
    for node in editor.readers(tensor):
        taken = node.op_type == "Gather" and attributes(node).get("axis") == 1
        index = editor.constant(node.input[1]) if taken else None
        if index is None or index.size != 1:
            return None
        channel, name = int(index.item()) % 3, node.output[0]
        one = slice(channel, channel + 1)
        while len(readers := editor.readers(name)) == 1 and readers[0].op_type != "Concat":
            step = readers[0]
            values = _channel_values(editor, step, name) if step.op_type in _ARITHMETIC else None
            if values is not None and values.size == 1:
                scale[one], shift[one] = _ARITHMETIC[step.op_type](scale[one], shift[one], values)
            elif step.op_type != "Unsqueeze" or editor.constant(step.input[1]) != 1:
                return None
            name = step.output[0]
        ends[channel] = name
    joins = editor.readers(ends.get(0, ""))
    if len(joins) != 1 or list(joins[0].input) != [ends.get(channel) for channel in range(3)]:
        return None
    if joins[0].op_type != "Concat" or attributes(joins[0])["axis"] != 1:
        return None
    return scale, shift, joins[0].output[0]


def convolve_normalization(editor: OnnxEditor, tensor: str) -> None:
    """Write a graph's own normalization of (1, 3, H, W) as a 1x1 convolution, as int8 has it."""
    own = own_normalization(editor, tensor)
    if own is None or own.axes != (0, 1, 2, 3):
        return
    weight = editor.add_constant(
        "own_scale", np.diag(own.scale).reshape(3, 3, 1, 1).astype(np.float32)
    )
    bias = editor.add_constant("own_shift", own.shift.astype(np.float32))
    writer = editor.writer(own.output)
    assert writer is not None
    new = helper.make_node("Conv", [tensor, weight, bias], [own.output], kernel_shape=[1, 1])
    editor.replace(writer, new)


def _channel_values(editor: OnnxEditor, node: NodeProto, tensor: str) -> _Line | None:
    """The constant (3,) or (1,) of an operator on the picture; None where it is not of channels."""
    if node.op_type in ("Sub", "Div") and node.input[0] != tensor:
        return None
    names = [name for name in node.input if name != tensor]
    values = editor.constant(names[0]) if len(names) == 1 else None
    if values is None or values.size not in (1, 3):
        return None
    return values.astype(np.float64).reshape(-1)
