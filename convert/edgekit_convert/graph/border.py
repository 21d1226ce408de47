"""Fold the normalization and the border into a network's first convolution.

A network that is trained on normalized pictures pads them with zeros, which stand for the mean
pixel of each channel. Once the normalization is folded into the first convolution, padding has to
be that mean, another value in each channel, so the border is joined on as a constant and the
convolution does not pad. In float this is exact; in int8 the border is a whole pixel value.
"""

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, helper

from edgekit.model.manifest import Normalization
from edgekit_convert.graph.normalization import fold_normalization
from edgekit_convert.graph.onnx_editor import OnnxEditor, attributes, set_attribute


def border_pixel(normalization: Normalization) -> NDArray[np.float32]:
    """The pixel (1, 3, 1, 1), in 0…255, that the normalization makes 0 of."""
    return (255 * np.reshape(normalization.mean, (1, 3, 1, 1))).astype(np.float32)


def can_fold_border(editor: OnnxEditor, node: NodeProto) -> bool:
    """Whether a node is a convolution into which normalization and border can be folded."""
    found = attributes(node)
    return (
        node.op_type == "Conv"
        and editor.constant(node.input[1]) is not None
        and (len(node.input) < 3 or editor.constant(node.input[2]) is not None)
        and found.get("group", 1) == 1
        and found.get("auto_pad", b"NOTSET") in (b"NOTSET", b"VALID")
    )


def fold_border(
    editor: OnnxEditor, node: NodeProto, normalization: Normalization, height: int, width: int
) -> None:
    """Let the first convolution take raw pixels, and join the border on before it.

    Args:
        editor: of the graph.
        node: the convolution, for which `can_fold_border` holds.
        normalization: what the network was trained with.
        height, width: of the picture, in pixels.
    """
    tensor = node.input[0]
    weight = editor.constant(node.input[1])
    bias = editor.constant(node.input[2]) if len(node.input) > 2 else None
    assert weight is not None
    weight, bias = fold_normalization(weight, bias, normalization)
    weight_name = editor.add_constant("folded_weight", weight)
    bias_name = editor.add_constant("folded_bias", bias)
    top, left, bottom, right = attributes(node).get("pads", [0, 0, 0, 0])
    pixel = border_pixel(normalization)
    rows = (top, bottom), (1, 1, 1, width)
    columns = (left, right), (1, 1, top + height + bottom, 1)
    joined = tensor
    for axis, (sizes, line) in ((2, rows), (3, columns)):
        if not any(sizes):
            continue
        before, after = (
            [_border(editor, axis, size, np.tile(pixel, line))] if size else [] for size in sizes
        )
        parts = [*before, joined, *after]
        joined = f"image_{axis}"
        editor.insert_before(node, helper.make_node("Concat", parts, [joined], axis=axis))
    node.input[0], node.input[1] = joined, weight_name
    del node.input[2:]
    node.input.append(bias_name)
    set_attribute(node, "pads", [0, 0, 0, 0])


def _border(editor: OnnxEditor, axis: int, size: int, line: NDArray[np.float32]) -> str:
    """Name of a constant that holds a line `size` times; equal borders share one."""
    name = f"border_{axis}_{size}"
    if editor.constant(name) is None:
        editor.add_constant(name, np.repeat(line, size, axis=axis))
    return name
