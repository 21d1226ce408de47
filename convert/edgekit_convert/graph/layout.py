"""Write what a network does to the layout of a picture as TFLite has it, where onnx2tf loses track.

TFLite's pictures are (1, H, W, C), ONNX's (1, C, H, W). onnx2tf turns one into the other, but not
through reshapes to five dimensions, nor where a network turns its pictures itself.
"""

import numpy as np
from onnx import ModelProto, NodeProto, helper, shape_inference

from edgekit_convert.graph.onnx_editor import OnnxEditor, attributes

# Orders of axes that make channels the last of a picture, and the second again.
_LAST, _SECOND = [0, 2, 3, 1], [0, 3, 1, 2]
# What computes each value from itself alone, and from two.
_UNARY = (
    "Abs", "Cast", "Clip", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish", "Identity",
    "LeakyRelu", "Neg", "Relu", "Sigmoid", "Softplus", "Sqrt", "Tanh",
)  # fmt: skip
_BINARY = ("Add", "Div", "Max", "Min", "Mul", "Pow", "Sub")


def write_layouts(model: ModelProto) -> None:
    """Write channel shuffles as Gather, and channels-last parts of a network channels-first.

    Args:
        model: takes one picture (1, 3, H, W); changed in place, without changing what it computes.
    """
    shapes = _shapes(model)
    editor = OnnxEditor(model)
    for node in list(editor.graph.node):
        if node.op_type == "Reshape":
            _gather_shuffled(editor, node, shapes)
        elif node.op_type == "Gather":
            _drop_whole_gather(editor, node, shapes)
    _Sinking(editor, shapes).sink_all()
    _widen_constants(editor, shapes)
    editor.prune()


def _shapes(model: ModelProto) -> dict[str, list[int]]:
    """Shapes of the tensors for which all of it is known."""
    inferred = shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {
        value.name: [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
        for value in [*inferred.input, *inferred.value_info, *inferred.output]
        if value.type.tensor_type.HasField("shape")
    }
    return {name: shape for name, shape in shapes.items() if all(shape)}


def _gather_shuffled(editor: OnnxEditor, first: NodeProto, shapes: dict[str, list[int]]) -> None:
    """Write Reshape, Transpose, Reshape as a Gather, where together they reorder channels alone.

    ShuffleNet has them (Zhang et al. 2018, arXiv:1707.01083, section 3.1).
    """
    middle = editor.readers(first.output[0])
    if len(middle) != 1 or middle[0].op_type != "Transpose":
        return
    final = editor.readers(middle[0].output[0])
    if len(final) != 1 or final[0].op_type != "Reshape":
        return
    source, target = first.input[0], final[0].output[0]
    shape, between = shapes.get(source, []), shapes.get(first.output[0])
    if len(shape) != 4 or shape != shapes.get(target) or between is None or len(between) < 5:
        return
    places = np.arange(np.prod(shape)).reshape(shape)
    order = attributes(middle[0])["perm"]
    moved = places.reshape(between).transpose(order).reshape(shape)
    channels = moved[0, :, 0, 0] // (shape[2] * shape[3])
    if not np.array_equal(places[:, channels], moved):
        return
    indices = editor.add_constant(f"{target}_channels", channels.astype(np.int64))
    gather = helper.make_node("Gather", [source, indices], [target], axis=1)
    editor.replace(final[0], gather)


def _drop_whole_gather(editor: OnnxEditor, node: NodeProto, shapes: dict[str, list[int]]) -> None:
    """Take the tensor itself, where it was flattened and each value is gathered to its old place.

    So PyTorch's exporter writes a global pool: by the strides of its output.
    """
    indices, flatten = editor.constant(node.input[1]), editor.writer(node.input[0])
    if indices is None or flatten is None or flatten.op_type != "Reshape":
        return
    source, shape = flatten.input[0], list(indices.shape)
    places = np.arange(indices.size).reshape(shape)
    whole = shapes.get(node.input[0]) == [indices.size] and shapes.get(source) == shape
    if whole and np.array_equal(indices, places):
        editor.replace(node, helper.make_node("Identity", [source], [node.output[0]]))


def _widen_constants(editor: OnnxEditor, shapes: dict[str, list[int]]) -> None:
    """Give constants that pictures are computed with all four dimensions.

    onnx2tf turns those of others by chance only; ConvNeXt's scales of layers are (C, 1, 1).
    """
    for node in editor.graph.node:
        if node.op_type not in _BINARY or len(shapes.get(node.output[0], [])) != 4:
            continue
        for position, source in enumerate(node.input):
            values = editor.constant(source)
            if values is not None and 1 < values.ndim < 4:
                wide = values.reshape((1,) * (4 - values.ndim) + values.shape)
                name = f"{node.output[0]}_{position}_wide"
                node.input[position] = editor.add_constant(name, wide)


class _Sinking:
    """Moves each Transpose to channels-last behind what reads it, until it meets its inverse.

    ConvNeXt and Swin turn their pictures for LayerNorm and Linear, and turn them back: there
    a Linear is a 1x1 convolution, and LayerNorm arithmetic over channels.
    """

    def __init__(self, editor: OnnxEditor, shapes: dict[str, list[int]]) -> None:
        self._editor = editor
        self._shapes = shapes
        # Name of each tensor (1, H, W, C) -> of the same as (1, C, H, W).
        self._first: dict[str, str] = {}

    def sink_all(self) -> None:
        """As far as they go, in the order of the graph."""
        for node in list(self._editor.graph.node):
            source = node.input[0] if node.input else ""
            order = attributes(node).get("perm") if node.op_type == "Transpose" else None
            if order == _LAST:
                self._first[node.output[0]] = source
            elif order == _SECOND and source in self._first:
                turned = helper.make_node("Identity", [self._first[source]], [node.output[0]])
                self._editor.replace(node, turned)
            elif not self._first.keys().isdisjoint(node.input):
                self._sink(node)

    def _sink(self, node: NodeProto) -> None:
        """Compute a node on channels-first pictures, and turn what it gives, where that is known.

        What nothing reads any more is left out in the end.
        """
        output = node.output[0]
        if len(node.output) > 1 or len(self._shapes.get(output, [])) != 4:
            return
        name = f"{output}_channels_first"
        if node.op_type in _UNARY and not self._first.keys().isdisjoint(node.input[:1]):
            new = self._renamed(node, [self._first[node.input[0]], *node.input[1:]], name)
        elif node.op_type in _BINARY:
            new = self._binary(node, name)
        elif node.op_type == "MatMul":
            new = self._convolution(node, name)
        elif node.op_type == "LayerNormalization":
            new = self._layer_normalization(node, name)
        else:
            return
        if new:
            turned = helper.make_node("Transpose", [name], [output], perm=_LAST)
            self._editor.replace(node, *new, turned)
            self._first[output] = name

    @staticmethod
    def _renamed(node: NodeProto, inputs: list[str], output: str) -> list[NodeProto]:
        copied = NodeProto()
        copied.CopyFrom(node)
        copied.name = output
        copied.input[:], copied.output[:] = inputs, [output]
        return [copied]

    def _binary(self, node: NodeProto, name: str) -> list[NodeProto]:
        inputs = []
        for source in node.input:
            values = self._editor.constant(source)
            if source in self._first:
                inputs.append(self._first[source])
            elif values is None or values.ndim > 4:
                return []
            else:
                wide = values.reshape([1] * (4 - values.ndim) + list(values.shape))
                inputs.append(self._editor.add_constant(
                    f"{name}_{len(inputs)}", wide.transpose(_SECOND)
                ))  # fmt: skip
        return self._renamed(node, inputs, name)

    def _convolution(self, node: NodeProto, name: str) -> list[NodeProto]:
        source, matrix = node.input
        weight = self._editor.constant(matrix)
        if source not in self._first or weight is None or weight.ndim != 2:
            return []
        kernel = self._editor.add_constant(f"{name}_kernel", weight.T[:, :, None, None])
        return [helper.make_node("Conv", [self._first[source], kernel], [name])]

    def _layer_normalization(self, node: NodeProto, name: str) -> list[NodeProto]:
        """(x - mean) / sqrt(variance + epsilon) * scale + bias, over channels; Ba et al. 2016,
        arXiv:1607.06450. The means are convolutions of equal weights."""
        found, shape = attributes(node), self._shapes[node.output[0]]
        found_constants = [self._editor.constant(source) for source in node.input[1:] if source]
        constants = [values for values in found_constants if values is not None]
        if node.input[0] not in self._first or found.get("axis", -1) not in (-1, 3):
            return []
        if len(constants) < len(found_constants):
            return []
        channels = shape[3]
        picture = self._first[node.input[0]]
        add, make = self._editor.add_constant, helper.make_node
        equal = add(f"{name}_equal", np.full((1, channels, 1, 1), 1 / channels, np.float32))
        epsilon = add(f"{name}_epsilon", np.array([found.get("epsilon", 1e-5)], np.float32))
        power = add(f"{name}_power", np.array(-0.5, np.float32))
        mean, centred, square, variance, inverse, normalized = (
            f"{name}_{part}"
            for part in ("mean", "centred", "square", "variance", "inverse", "normalized")
        )
        nodes = [
            make("Conv", [picture, equal], [mean]),
            make("Sub", [picture, mean], [centred]),
            make("Mul", [centred, centred], [square]),
            make("Conv", [square, equal, epsilon], [variance]),
            make("Pow", [variance, power], [inverse]),
            make("Mul", [centred, inverse], [normalized]),
        ]
        last = normalized
        for kind, values in zip(("Mul", "Add"), constants, strict=False):
            row = add(f"{name}_{kind}", np.reshape(values, (1, channels, 1, 1)))
            nodes.append(make(kind, [last, row], [f"{name}_{kind}ed"]))
            last = nodes[-1].output[0]
        nodes[-1].output[0] = name
        return nodes
