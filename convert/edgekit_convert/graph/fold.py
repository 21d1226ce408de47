"""The ONNX graph as it is deployed: raw pixels in, probabilities out.

A network that is trained on normalized pictures pads them with zeros, which stand for the mean
pixel of each channel. Once the normalization is folded into the first convolution, padding has to
be that mean, another value in each channel, so the border is joined on as a constant and the
convolution does not pad. In float this is exact; in int8 the border is a whole pixel value.

Where that does not fit (the network does not begin with a convolution, or the Edge TPU, which
takes no constant border, is the target) a 1x1 convolution normalizes the pixels and the network
stays as it is.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper

from edgekit.errors import ConversionError
from edgekit.model.manifest import Normalization

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


class _Graph:
    """Edits of one ONNX graph."""

    def __init__(self, model: ModelProto) -> None:
        self.graph = model.graph
        self.constants = {constant.name: constant for constant in model.graph.initializer}
        for node in model.graph.node:
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                self.constants[node.output[0]] = node.attribute[0].t

    def constant(self, name: str) -> NDArray[Any] | None:
        """Value of a constant; None for anything computed."""
        tensor = self.constants.get(name)
        return None if tensor is None else numpy_helper.to_array(tensor)

    def add_constant(self, name: str, values: NDArray[Any]) -> str:
        tensor = numpy_helper.from_array(np.ascontiguousarray(values), name)
        self.graph.initializer.append(tensor)
        self.constants[name] = tensor
        return name

    def readers(self, name: str) -> list[NodeProto]:
        return [node for node in self.graph.node if name in node.input]

    def writer(self, name: str) -> NodeProto | None:
        return next((node for node in self.graph.node if name in node.output), None)

    def insert_before(self, node: NodeProto, *new: NodeProto) -> None:
        position = list(self.graph.node).index(node)
        for offset, other in enumerate(new):
            self.graph.node.insert(position + offset, other)

    def replace(self, node: NodeProto, *new: NodeProto) -> None:
        self.insert_before(node, *new)
        self.graph.node.remove(node)

    def rename(self, old: str, new: str) -> None:
        """Call a tensor otherwise, wherever it is written or read."""
        for node in self.graph.node:
            for names in (node.input, node.output):
                for index, name in enumerate(names):
                    if name == old:
                        names[index] = new


def _attributes(node: NodeProto) -> dict[str, Any]:
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def _set_attribute(node: NodeProto, name: str, value: Any) -> None:
    for attribute in [a for a in node.attribute if a.name == name]:
        node.attribute.remove(attribute)
    node.attribute.append(helper.make_attribute(name, value))


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
    graph = _Graph(model)
    output = model.graph.output[0].name
    last = graph.writer(output)
    if last is not None and last.op_type == "Softmax":
        logits = last.input[0]
        graph.rename(output, PROBABILITIES)
    elif last is not None and (kind := _ending(graph, last)):
        raise ConversionError(
            f"the ONNX model ends in {kind}; export it so that it ends in logits, or in Softmax"
        )
    else:
        logits = output
        model.graph.node.append(helper.make_node("Softmax", [output], [PROBABILITIES], axis=-1))
    if logits != LOGITS:
        graph.rename(logits, LOGITS)
    del model.graph.output[:]
    for name in (LOGITS, PROBABILITIES):
        model.graph.output.append(
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", "classes"])
        )
    return model


def _ending(graph: _Graph, node: NodeProto) -> str | None:
    """The activation that a model ends in, where a softmax behind it would be wrong."""
    if node.op_type in ("Sigmoid", "HardSigmoid", "Softmax"):
        return str(node.op_type)
    if node.op_type in ("Identity", "Reshape", "Flatten", "Squeeze", "Cast"):
        before = graph.writer(node.input[0])
        return _ending(graph, before) if before is not None else None
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
    graph = _Graph(model)
    _pool_globally(graph)
    _pad_before_max_pool(graph)
    readers = graph.readers(picture.tensor)
    if len(readers) == 1 and not centre and _can_border(graph, readers[0]):
        _fold_into(graph, readers[0], picture.tensor, normalization, height, width)
    else:
        _normalize_first(graph, readers, picture.tensor, normalization)
    graph.rename(picture.tensor, IMAGE)
    constants = {constant.name for constant in model.graph.initializer}
    for value in [v for v in model.graph.input if v.name not in constants]:
        model.graph.input.remove(value)
    model.graph.input.append(
        helper.make_tensor_value_info(IMAGE, onnx.TensorProto.FLOAT, [1, 3, height, width])
    )
    return model


def _can_border(graph: _Graph, node: NodeProto) -> bool:
    attributes = _attributes(node)
    return (
        node.op_type == "Conv"
        and graph.constant(node.input[1]) is not None
        and (len(node.input) < 3 or graph.constant(node.input[2]) is not None)
        and attributes.get("group", 1) == 1
        and attributes.get("auto_pad", b"NOTSET") in (b"NOTSET", b"VALID")
    )


def _fold_into(
    graph: _Graph,
    node: NodeProto,
    tensor: str,
    normalization: Normalization,
    height: int,
    width: int,
) -> None:
    """W (p / 255 - m) / s + b = (W / 255 s) p + (b - sum W m / s), with a border of 255 m."""
    weight = graph.constant(node.input[1])
    assert weight is not None
    mean = np.array(normalization.mean).reshape(1, 3, 1, 1)
    std = np.array(normalization.std).reshape(1, 3, 1, 1)
    scaled = weight.astype(np.float64) / std
    bias = graph.constant(node.input[2]) if len(node.input) > 2 else None
    shifted = (0 if bias is None else bias) - (scaled * mean).sum(axis=(1, 2, 3))
    weight_name = graph.add_constant("folded_weight", (scaled / 255).astype(np.float32))
    bias_name = graph.add_constant("folded_bias", shifted.astype(np.float32))
    top, left, bottom, right = _attributes(node).get("pads", [0, 0, 0, 0])
    border = (255 * mean).astype(np.float32)
    joined = tensor
    for axis, sizes, other in (
        (2, (top, bottom), width),
        (3, (left, right), height + top + bottom),
    ):
        if not any(sizes):
            continue
        parts = [joined]
        for side, size in enumerate(sizes):
            if size:
                repeats = (1, 1, size, other) if axis == 2 else (1, 1, other, size)
                # Equal borders share a constant, as the file then holds it once.
                name = f"border_{axis}_{size}"
                if graph.constant(name) is None:
                    graph.add_constant(name, np.tile(border, repeats))
                parts.insert(0 if side == 0 else len(parts), name)
        joined = f"{IMAGE}_{axis}"
        graph.insert_before(node, helper.make_node("Concat", parts, [joined], axis=axis))
    node.input[0], node.input[1] = joined, weight_name
    del node.input[2:]
    node.input.append(bias_name)
    _set_attribute(node, "pads", [0, 0, 0, 0])


def _normalize_first(
    graph: _Graph, readers: list[NodeProto], tensor: str, normalization: Normalization
) -> None:
    if not readers:
        raise ConversionError("the ONNX model does not use its input")
    mean, std = np.array(normalization.mean), np.array(normalization.std)
    weight = np.diag(1 / (255 * std)).reshape(3, 3, 1, 1).astype(np.float32)
    names = [
        graph.add_constant("centre_weight", weight),
        graph.add_constant("centre_bias", (-mean / std).astype(np.float32)),
    ]
    for node in readers:
        for index, name in enumerate(node.input):
            if name == tensor:
                node.input[index] = "normalized"
    first = next(node for node in graph.graph.node if node in readers)
    graph.insert_before(
        first, helper.make_node("Conv", [tensor, *names], ["normalized"], kernel_shape=[1, 1])
    )


def _pool_globally(graph: _Graph) -> None:
    """Write means over height and width as GlobalAveragePool.

    onnx2tf lowers ReduceMean in PyTorch's axis order, at the price of a TRANSPOSE in the model;
    GlobalAveragePool becomes a single MEAN over the axes that TFLite has.
    """
    for node in list(graph.graph.node):
        if node.op_type != "ReduceMean":
            continue
        attributes = _attributes(node)
        axes = graph.constant(node.input[1]) if len(node.input) > 1 else attributes.get("axes")
        if axes is None or sorted(int(axis) % 4 for axis in axes) != [2, 3]:
            continue
        output = node.output[0]
        if not attributes.get("keepdims", 1):
            pooled = f"{output}_pooled"
            graph.replace(
                node,
                helper.make_node("GlobalAveragePool", [node.input[0]], [pooled]),
                helper.make_node("Flatten", [pooled], [output], axis=1),
            )
            continue
        graph.replace(node, helper.make_node("GlobalAveragePool", [node.input[0]], [output]))
        for reader in graph.readers(output):
            if reader.op_type == "Reshape":
                flatten = helper.make_node("Flatten", [output], [reader.output[0]], axis=1)
                graph.replace(reader, flatten)


def _pad_before_max_pool(graph: _Graph) -> None:
    """Pad the input of a MaxPool with 0, where it comes from a ReLU.

    Its own padding is minus infinity, which onnx2tf writes as the lowest float: a value that no
    8 bits represent. After a ReLU 0 is as good.
    """
    for node in list(graph.graph.node):
        if node.op_type != "MaxPool":
            continue
        source = graph.writer(node.input[0])
        pads = _attributes(node).get("pads", [0, 0, 0, 0])
        if source is None or source.op_type != "Relu" or len(pads) != 4 or not any(pads):
            continue
        top, left, bottom, right = pads
        name = f"{node.output[0]}_pads"
        graph.add_constant(name, np.array([0, 0, top, left, 0, 0, bottom, right], np.int64))
        padded = f"{node.output[0]}_padded"
        graph.insert_before(node, helper.make_node("Pad", [node.input[0], name], [padded]))
        node.input[0] = padded
        _set_attribute(node, "pads", [0, 0, 0, 0])
