"""Bring an ONNX classifier into the one form that the conversion goes on from.

Files are of any opset and IR version, of other layouts, types and ends. What leaves here is as
`edgekit_convert.graph.export.to_onnx` makes it: pictures (1, 3, H, W) float32 in, logits out.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import (
    GraphProto,
    ModelProto,
    NodeProto,
    TensorProto,
    helper,
    inliner,
    numpy_helper,
    shape_inference,
    version_converter,
)  # fmt: skip

from edgekit.errors import ConversionError
from edgekit.text import first_line
from edgekit_convert.graph.ending import Ending, Kind, find_ending
from edgekit_convert.graph.fold import IMAGE, LOGITS, PROBABILITIES
from edgekit_convert.graph.layout import write_layouts
from edgekit_convert.graph.normalization import convolve_normalization
from edgekit_convert.graph.onnx_editor import OnnxEditor, attributes, set_attribute
from edgekit_convert.graph.picture import Picture
from edgekit_convert.graph.refusals import check_dimensions

# Softmax means something else before 13, and the parameters of Pad are attributes before 11.
OLDEST_OPSET, OPSET = 13, 17
_IR_VERSIONS = (8, 10)
_OTHER_FLOATS = (TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16)
_ONNX_ERRORS = (shape_inference.InferenceError, version_converter.ConvertError)
_WINDOWED = ("Conv", "MaxPool", "AveragePool", "LpPool")


def modernize(model: ModelProto, picture: Picture, height: int, width: int) -> ModelProto:
    """A copy that takes a normalized picture (1, 3, height, width) float32 and gives logits.

    Args:
        model: as it came.
        picture: its input.
        height, width: of the picture, in pixels.

    Raises:
        ConversionError: onnx's own version converter fails, or the graph cannot be brought to one
            picture of that size, or keeps tensors of more than four dimensions.
    """
    original, model = model, ModelProto()
    model.CopyFrom(original)
    if model.functions:
        model = inliner.inline_local_functions(model)
    _name_domain(model)
    model.ir_version = min(max(model.ir_version, _IR_VERSIONS[0]), _IR_VERSIONS[1])
    graph = model.graph
    _drop_defaults(graph)
    _fix_size(graph, picture, height, width)
    _use_float32(graph)
    try:
        if opset(model) < OLDEST_OPSET:
            model = version_converter.convert_version(model, OPSET)
        # Also what a pooling with automatic padding needs to know.
        model = shape_inference.infer_shapes(model, data_prop=True)
    # The version converter raises a bare RuntimeError, too.
    except (RuntimeError, ValueError, *_ONNX_ERRORS) as error:
        raise ConversionError(
            f"the ONNX model cannot be brought from opset {opset(original)} to {OPSET} and to one "
            f"picture of {width}x{height} ({first_line(error)}); export it so"
        ) from error
    _name_constants(model.graph)
    editor = OnnxEditor(model)
    _write_padding(editor)
    if picture.channels_last:
        _transpose_input(editor, picture.tensor, height, width)
    convolve_normalization(editor, model.graph.input[0].name)
    _end_in_logits(editor, find_ending(model))
    editor.prune()
    _free_names(editor)
    del model.graph.value_info[:]
    write_layouts(model)
    check_dimensions(model)
    return model


def opset(model: ModelProto) -> int:
    """Version of ONNX's own operators."""
    return next((one.version for one in model.opset_import if one.domain in ("", "ai.onnx")), 1)


def _name_domain(model: ModelProto) -> None:
    """Call ONNX's own operators by one of its domain's two names, the empty one."""
    for one in [*model.opset_import, *model.graph.node]:
        if one.domain == "ai.onnx":
            one.domain = ""


def _drop_defaults(graph: GraphProto) -> None:
    """Take constants from the inputs, where they stood before IR 4."""
    constants = {constant.name for constant in graph.initializer}
    for value in [value for value in graph.input if value.name in constants]:
        graph.input.remove(value)


def _fix_size(graph: GraphProto, picture: Picture, height: int, width: int) -> None:
    """Make it take one picture of a size."""
    sizes = [1, height, width, 3] if picture.channels_last else [1, 3, height, width]
    value = helper.make_tensor_value_info(picture.tensor, TensorProto.FLOAT, sizes)
    graph.input[0].CopyFrom(value)
    for output in graph.output:
        output.type.tensor_type.ClearField("shape")
    del graph.value_info[:]
    if picture.batch in (None, 1):
        return
    # Of a batch that is written into shapes, one picture is left.
    editor = OnnxEditor(_whole(graph))
    for node in [node for node in graph.node if node.op_type == "Reshape"]:
        shape = editor.constant(node.input[1])
        if shape is not None and shape.size and shape[0] == picture.batch:
            single = np.array([1, *shape[1:]], np.int64)
            constant = numpy_helper.from_array(single, f"{node.output[0]}_of_one")
            graph.initializer.append(constant)
            node.input[1] = constant.name


def _whole(graph: GraphProto) -> ModelProto:
    model = ModelProto()
    model.graph.CopyFrom(graph)
    return model


def _use_float32(graph: GraphProto) -> None:
    """Compute in float32 what was float16 or double; float16 becomes it without a loss."""
    for value in graph.output:
        if value.type.tensor_type.elem_type in _OTHER_FLOATS:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    for constant in graph.initializer:
        constant.CopyFrom(_as_float32(constant))
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                attribute.t.CopyFrom(_as_float32(attribute.t))
            elif attribute.name == "to" and attribute.i in _OTHER_FLOATS:
                attribute.i = TensorProto.FLOAT


def _as_float32(constant: TensorProto) -> TensorProto:
    if constant.data_type not in _OTHER_FLOATS:
        return constant
    values = numpy_helper.to_array(constant).astype(np.float32)
    return numpy_helper.from_array(values, constant.name)


def _name_constants(graph: GraphProto) -> None:
    """Make initializers of Constant nodes, and of copies of constants."""
    known = {constant.name: constant for constant in graph.initializer}
    for node in list(graph.node):
        values = _constant_value(node)
        if node.op_type == "Identity" and node.input[0] in known:
            values = numpy_helper.to_array(known[node.input[0]])
        if values is None:
            continue
        known[node.output[0]] = numpy_helper.from_array(values, node.output[0])
        graph.initializer.append(known[node.output[0]])
        graph.node.remove(node)


def _constant_value(node: NodeProto) -> NDArray[Any] | None:
    if node.op_type != "Constant":
        return None
    name, value = next(iter(attributes(node).items()))
    if name == "value":
        values: NDArray[Any] = numpy_helper.to_array(value)
        return values
    if name in ("value_float", "value_floats"):
        return np.array(value, np.float32)
    return np.array(value, np.int64) if name in ("value_int", "value_ints") else None


def _write_padding(editor: OnnxEditor) -> None:
    """Write automatic padding in numbers, as TFLite's operators and the border's folding need it.

    As ONNX has it: as many values more as the output, ceil(input / stride), needs; the odd one at
    the end (SAME_UPPER) or at the beginning (SAME_LOWER). onnxruntime takes no dilations with it.
    """
    sizes = {
        value.name: [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
        for value in [*editor.graph.value_info, *editor.graph.input]
    }
    for node in editor.graph.node:
        found = attributes(node)
        way = found.get("auto_pad", b"NOTSET")
        if node.op_type not in _WINDOWED or way not in (b"SAME_UPPER", b"SAME_LOWER"):
            continue
        size = sizes.get(node.input[0], [])[2:]
        kernel = found.get("kernel_shape")
        if kernel is None and (weight := editor.constant(node.input[1])) is not None:
            kernel = weight.shape[2:]
        if not size or not all(size) or kernel is None:
            raise ConversionError(
                f"the ONNX model has a {node.op_type} with automatic padding whose size is not "
                "known; export it with padding in numbers"
            )
        strides = found.get("strides", [1] * len(size))
        missing = [
            max(0, (-(-length // step) - 1) * step + window - length)
            for length, step, window in zip(size, strides, kernel, strict=True)
        ]
        less, more = [total // 2 for total in missing], [-(-total // 2) for total in missing]
        set_attribute(node, "auto_pad", "NOTSET")
        set_attribute(node, "pads", [*less, *more] if way == b"SAME_UPPER" else [*more, *less])


def _transpose_input(editor: OnnxEditor, tensor: str, height: int, width: int) -> None:
    """Take (1, 3, H, W) where it takes (1, H, W, 3); what turned it itself turns it no more."""
    picture = f"{tensor}_channels_first"
    readers = editor.readers(tensor)
    for node in readers:
        if node.op_type == "Transpose" and attributes(node).get("perm") == [0, 3, 1, 2]:
            editor.rename(node.output[0], picture)
            editor.graph.node.remove(node)
    if editor.readers(tensor):
        turned = helper.make_node("Transpose", [picture], [tensor], perm=[0, 2, 3, 1])
        editor.graph.node.insert(0, turned)
    sizes = [1, 3, height, width]
    value = helper.make_tensor_value_info(picture, TensorProto.FLOAT, sizes)
    editor.graph.input[0].CopyFrom(value)


def _free_names(editor: OnnxEditor) -> None:
    """Call otherwise what is within and has a name that the folded graph gives."""
    ends = {value.name for value in [*editor.graph.input, *editor.graph.output]}
    for name in {IMAGE, LOGITS, PROBABILITIES} - ends:
        editor.rename(name, f"{name}_within")
        for constant in editor.graph.initializer:
            if constant.name == name:
                constant.name = f"{name}_within"


def _end_in_logits(editor: OnnxEditor, ending: Ending) -> None:
    """Give logits (1, classes) alone; of a sigmoid of z, those are (-z / 2, z / 2)."""
    graph, scores = editor.graph, ending.scores
    sizes: list[int] = next(
        (
            [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
            for value in [*graph.value_info, *graph.output]
            if value.name == scores
        ),
        [],
    )
    one_row = f"{scores}_in_one_row"
    if sizes[:1] != [1] or len(sizes) == 1:
        shape = editor.add_constant("one_row", np.array([1, -1], np.int64))
        graph.node.append(helper.make_node("Reshape", [scores, shape], [one_row]))
        scores = one_row
    elif len(sizes) > 2:
        graph.node.append(helper.make_node("Flatten", [scores], [one_row], axis=1))
        scores = one_row
    if ending.kind is Kind.SIGMOID:
        halves = editor.add_constant("halves", np.array([[-0.5, 0.5]], np.float32))
        graph.node.append(helper.make_node("MatMul", [scores, halves], ["two_scores"]))
        scores = "two_scores"
    del graph.output[:]
    value = helper.make_tensor_value_info(scores, TensorProto.FLOAT, [1, "classes"])
    graph.output.append(value)
