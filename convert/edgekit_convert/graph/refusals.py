"""What no faithful int8 file can be made of, found in an ONNX graph before anything slow runs."""

from collections.abc import Callable

from onnx import ModelProto, NodeProto, shape_inference

from edgekit.errors import ConversionError
from edgekit_convert.graph.onnx_editor import OnnxEditor, attributes

_QUANTIZED = (
    "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger",
)  # fmt: skip
_CONTROL = ("If", "Loop", "Scan")
# Of a picture: batch, channels, height, width.
_DIMENSIONS = 4
_RANDOM = (
    "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli",
    "Multinomial",
)  # fmt: skip


def _is_quantized(editor: OnnxEditor, node: NodeProto) -> bool:
    return node.op_type in _QUANTIZED or node.op_type.startswith("QLinear")


def _is_foreign(editor: OnnxEditor, node: NodeProto) -> bool:
    return node.domain not in ("", "ai.onnx")


def _is_control(editor: OnnxEditor, node: NodeProto) -> bool:
    return node.op_type in _CONTROL or node.op_type.startswith(("Sequence", "Optional"))


def _is_random(editor: OnnxEditor, node: NodeProto) -> bool:
    return node.op_type in _RANDOM


def _is_training(editor: OnnxEditor, node: NodeProto) -> bool:
    """BatchNorm that takes its statistics from the batch, or Dropout that drops."""
    if node.op_type == "BatchNormalization":
        return attributes(node).get("training_mode", 0) == 1 or any(node.output[1:])
    if node.op_type == "Dropout" and len(node.input) > 2 and node.input[2]:
        training = editor.constant(node.input[2])
        return training is None or bool(training)
    return False


def _is_dilated_pooling(editor: OnnxEditor, node: NodeProto) -> bool:
    return node.op_type == "MaxPool" and any(
        distance > 1 for distance in attributes(node).get("dilations", [])
    )


# What to look for, what it is, and what to do; the first that is found is told.
_REFUSED: tuple[tuple[Callable[[OnnxEditor, NodeProto], bool], str, str], ...] = (
    (_is_quantized, "is already quantized", "give the float32 model that it was made from"),
    (
        _is_foreign,
        "has operators that are not ONNX's own",
        "export it without them, and without onnxruntime's optimizations",
    ),
    (
        _is_control,
        "has control flow or sequences, which TFLite's int8 has not",
        "export it for one fixed size with torch.onnx.export(..., dynamo=True), or simplify it "
        "with onnxsim",
    ),
    (_is_random, "draws random numbers", "export it for inference"),
    (_is_training, "was exported for training", "call model.eval() and export it again"),
    (
        _is_dilated_pooling,
        "has a max pooling with dilations, which TFLite has not",
        "train it without",
    ),
)


def check_convertible(model: ModelProto) -> None:
    """Refuse a graph with operators of which no faithful int8 file can be made.

    Raises:
        ConversionError: names them.
    """
    if model.graph.sparse_initializer:
        raise ConversionError("the ONNX model has sparse weights; export it with dense ones")
    editor = OnnxEditor(model)
    for is_refused, what, remedy in _REFUSED:
        found = {
            f"{node.domain}.{node.op_type}".lstrip(".")
            for node in editor.graph.node
            if is_refused(editor, node)
        }
        if found:
            raise ConversionError(f"the ONNX model {what} ({', '.join(sorted(found))}); {remedy}")


def check_dimensions(model: ModelProto) -> None:
    """Refuse tensors that are no picture (1, C, H, W) and have more dimensions than one.

    onnx2tf turns pictures to channels-last, and loses track of what it turns where they are
    reshaped to more: it then fails after minutes, or gives a graph that answers otherwise.

    Args:
        model: its layouts written by `edgekit_convert.graph.layout.write_layouts`.

    Raises:
        ConversionError: names the first such tensor.
    """
    inferred = shape_inference.infer_shapes(model, data_prop=True)
    for value in inferred.graph.value_info:
        dimensions = len(value.type.tensor_type.shape.dim)
        if dimensions > _DIMENSIONS:
            raise ConversionError(
                f"the network has tensors of {dimensions} dimensions ({value.name}), as those with "
                "attention have, which do not become TFLite pictures; give a convolutional network"
            )
