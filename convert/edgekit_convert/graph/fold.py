"""The ONNX graph as it is deployed: raw pixels in, probabilities out.

The normalization and the border are folded into the first convolution (`border.py`). Where that
does not fit (the network does not begin with a convolution, or the Edge TPU, which takes no
constant border, is the target) a 1x1 convolution normalizes the pixels and the network stays as it
is.
"""

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, helper

from edgekit.errors import ConversionError
from edgekit.model.manifest import Normalization
from edgekit_convert.graph.border import can_fold_border, fold_border
from edgekit_convert.graph.normalization import normalizing_convolution
from edgekit_convert.graph.onnx_editor import OnnxEditor, attributes, set_attribute

IMAGE, LOGITS, PROBABILITIES = "image", "logits", "probabilities"


@dataclass(frozen=True)
class Picture:
    """Input of an ONNX classifier: its tensor's name, and the size where the model fixes one."""

    tensor: str
    height: int | None
    width: int | None


def picture_input(model: ModelProto) -> Picture:
    """The model's input.

    Raises:
        ConversionError: it is not one RGB picture in PyTorch's order (N, 3, H, W).
    """
    constants = {constant.name for constant in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    if len(inputs) != 1:
        raise ConversionError(f"the ONNX model has {len(inputs)} inputs; a classifier has one")
    kind = inputs[0].type.tensor_type
    shape = [d.dim_value if d.HasField("dim_value") else None for d in kind.shape.dim]
    if len(shape) != 4 or shape[1] != 3 or kind.elem_type != onnx.TensorProto.FLOAT:
        raise ConversionError(
            f"the ONNX model's input {inputs[0].name} is not a float32 picture (N, 3, H, W)"
        )
    if shape[0] not in (None, 1):
        raise ConversionError(
            f"the ONNX model takes {shape[0]} pictures at once; export it with a batch of 1"
        )
    return Picture(inputs[0].name, shape[2], shape[3])


def with_logits(model: ModelProto) -> ModelProto:
    """A copy whose outputs are `logits` and `probabilities`; a missing softmax is added.

    Raises:
        ConversionError: the model does not have exactly one output.
    """
    if len(model.graph.output) != 1:
        raise ConversionError(
            f"the ONNX model has {len(model.graph.output)} outputs; a classifier has one"
        )
    original, model = model, onnx.ModelProto()
    model.CopyFrom(original)
    editor = OnnxEditor(model)
    output = model.graph.output[0].name
    last = editor.writer(output)
    if last is not None and last.op_type == "Softmax":
        logits = last.input[0]
        editor.rename(output, PROBABILITIES)
    elif last is not None and (kind := _ending(editor, last)):
        raise ConversionError(
            f"the ONNX model ends in {kind}; export it so that it ends in logits, or in Softmax"
        )
    else:
        logits = output
        model.graph.node.append(helper.make_node("Softmax", [output], [PROBABILITIES], axis=-1))
    if logits != LOGITS:
        editor.rename(logits, LOGITS)
    del model.graph.output[:]
    for name in (LOGITS, PROBABILITIES):
        model.graph.output.append(
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", "classes"])
        )
    return model


def _ending(editor: OnnxEditor, node: NodeProto) -> str | None:
    """The activation that a model ends in, where a softmax behind it would be wrong."""
    if node.op_type in ("Sigmoid", "HardSigmoid", "Softmax"):
        return str(node.op_type)
    if node.op_type in ("Identity", "Reshape", "Flatten", "Squeeze", "Cast"):
        before = editor.writer(node.input[0])
        return _ending(editor, before) if before is not None else None
    return None


def fold(
    model: ModelProto, normalization: Normalization, height: int, width: int, *, centre: bool
) -> ModelProto:
    """A copy that takes raw pixels `image` (1, 3, height, width) and gives `probabilities`.

    Args:
        model: takes normalized pictures (N, 3, H, W), gives logits or probabilities.
        normalization: what it was trained with: (p / 255 - mean) / std.
        height, width: of the picture, in pixels.
        centre: normalize by a 1x1 convolution, also where the border could be folded.

    Raises:
        ConversionError: it is no classifier of RGB pictures.
    """
    picture = picture_input(model)
    model = with_logits(model)
    del model.graph.output[0]
    del model.graph.value_info[:]
    editor = OnnxEditor(model)
    _pool_globally(editor)
    _pad_before_max_pool(editor)
    readers = editor.readers(picture.tensor)
    if len(readers) == 1 and not centre and can_fold_border(editor, readers[0]):
        fold_border(editor, readers[0], normalization, height, width)
    else:
        _normalize_first(editor, readers, picture.tensor, normalization)
    editor.rename(picture.tensor, IMAGE)
    constants = {constant.name for constant in model.graph.initializer}
    for value in [v for v in model.graph.input if v.name not in constants]:
        model.graph.input.remove(value)
    model.graph.input.append(
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
            if reader.op_type == "Reshape":
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
