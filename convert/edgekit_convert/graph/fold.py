"""The ONNX graph as it is deployed: raw pixels in, probabilities out.

The normalization and the border are folded into the first convolution (`border.py`). Where that
does not fit (the network does not begin with a convolution, or the Edge TPU, which takes no
constant border, is the target) a 1x1 convolution normalizes the pixels and the network stays as it
is.
"""

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, helper

from edgekit.errors import ConversionError
from edgekit.model.manifest import Normalization
from edgekit_convert.graph.border import can_fold_border, fold_border
from edgekit_convert.graph.layout import write_layouts
from edgekit_convert.graph.normalization import normalizing_convolution
from edgekit_convert.graph.onnx_editor import OnnxEditor, attributes, set_attribute
from edgekit_convert.graph.refusals import check_dimensions

IMAGE, LOGITS, PROBABILITIES = "image", "logits", "probabilities"


def with_logits(model: ModelProto) -> ModelProto:
    """A copy of a model that gives logits, with outputs `logits` and `probabilities`."""
    original, model = model, onnx.ModelProto()
    model.CopyFrom(original)
    editor = OnnxEditor(model)
    output = model.graph.output[0].name
    editor.rename(output, LOGITS)
    model.graph.node.append(helper.make_node("Softmax", [LOGITS], [PROBABILITIES], axis=-1))
    del model.graph.output[:]
    for name in (LOGITS, PROBABILITIES):
        model.graph.output.append(
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", "classes"])
        )
    return model


def fold(
    model: ModelProto, normalization: Normalization, height: int, width: int, *, centre: bool
) -> ModelProto:
    """A copy that takes raw pixels `image` (1, 3, height, width) and gives `probabilities`.

    Args:
        model: takes normalized pictures (N, 3, H, W), gives logits.
        normalization: what it was trained with: (p / 255 - mean) / std.
        height, width: of the picture, in pixels.
        centre: normalize by a 1x1 convolution, also where the border could be folded.

    Raises:
        ConversionError: it does not use its input, or has what onnx2tf does not lower.
    """
    picture = model.graph.input[0].name
    model = with_logits(model)
    del model.graph.output[0]
    del model.graph.value_info[:]
    write_layouts(model)
    check_dimensions(model)
    editor = OnnxEditor(model)
    _pool_globally(editor)
    _pad_before_max_pool(editor)
    readers = editor.readers(picture)
    if len(readers) == 1 and not centre and can_fold_border(editor, readers[0]):
        fold_border(editor, readers[0], normalization, height, width)
    else:
        _normalize_first(editor, readers, picture, normalization)
    editor.rename(picture, IMAGE)
    model.graph.input[0].CopyFrom(
        helper.make_tensor_value_info(IMAGE, onnx.TensorProto.FLOAT, [1, 3, height, width])
    )
    return model


def _normalize_first(
    editor: OnnxEditor, readers: list[NodeProto], tensor: str, normalization: Normalization
) -> None:
    """Put a 1x1 convolution between the input and its readers."""
    if not readers:
        raise ConversionError("the ONNX model does not use its input")
    weight, bias = normalizing_convolution(normalization)
    names = [editor.add_constant("centre_weight", weight), editor.add_constant("centre_bias", bias)]
    for node in readers:
        for index, name in enumerate(node.input):
            if name == tensor:
                node.input[index] = "normalized"
    first = next(node for node in editor.graph.node if node in readers)
    editor.insert_before(
        first, helper.make_node("Conv", [tensor, *names], ["normalized"], kernel_shape=[1, 1])
    )


def _pool_globally(editor: OnnxEditor) -> None:
    """Write means over height and width as GlobalAveragePool.

    onnx2tf lowers ReduceMean in PyTorch's axis order, at the price of a TRANSPOSE in the model;
    GlobalAveragePool becomes a single MEAN over the axes that TFLite has.
    """
    for node in list(editor.graph.node):
        if node.op_type != "ReduceMean":
            continue
        found = attributes(node)
        axes = editor.constant(node.input[1]) if len(node.input) > 1 else found.get("axes")
        if axes is None or sorted(int(axis) % 4 for axis in axes) != [2, 3]:
            continue
        output = node.output[0]
        if not found.get("keepdims", 1):
            pooled = f"{output}_pooled"
            editor.replace(
                node,
                helper.make_node("GlobalAveragePool", [node.input[0]], [pooled]),
                helper.make_node("Flatten", [pooled], [output], axis=1),
            )
            continue
        editor.replace(node, helper.make_node("GlobalAveragePool", [node.input[0]], [output]))
        for reader in editor.readers(output):
            shape = editor.constant(reader.input[1]) if reader.op_type == "Reshape" else None
            if shape is not None and len(shape) == 2:
                flatten = helper.make_node("Flatten", [output], [reader.output[0]], axis=1)
                editor.replace(reader, flatten)


def _pad_before_max_pool(editor: OnnxEditor) -> None:
    """Pad the input of a MaxPool with 0, where it comes from a ReLU.

    Its own padding is minus infinity, which onnx2tf writes as the lowest float: a value that no
    8 bits represent. After a ReLU 0 is as good.
    """
    for node in list(editor.graph.node):
        if node.op_type != "MaxPool":
            continue
        source = editor.writer(node.input[0])
        pads = attributes(node).get("pads", [0, 0, 0, 0])
        if source is None or source.op_type != "Relu" or len(pads) != 4 or not any(pads):
            continue
        top, left, bottom, right = pads
        name = f"{node.output[0]}_pads"
        editor.add_constant(name, np.array([0, 0, top, left, 0, 0, bottom, right], np.int64))
        padded = f"{node.output[0]}_padded"
        editor.insert_before(node, helper.make_node("Pad", [node.input[0], name], [padded]))
        node.input[0] = padded
        set_attribute(node, "pads", [0, 0, 0, 0])
