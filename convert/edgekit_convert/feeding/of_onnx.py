"""The BatchNormalization nodes of an ONNX model."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgekit_convert.feeding.statistics import Memory, Moments, Norm, moments
from edgekit_convert.graph.onnx_editor import OnnxEditor, attributes
from edgekit_convert.graph.session import Session

_EPS = 1e-5  # ONNX's default


def onnx_memory(model: onnx.ModelProto) -> Memory:
    """Those nodes whose mean and variance are constants, which others fold into convolutions.

    Raises:
        ConversionError: the model is no classifier of pictures; from `watch`, onnxruntime refuses.
    """
    editor = OnnxEditor(model)
    norms: list[Norm] = []
    nodes: list[tuple[int, str]] = []
    for position, node in enumerate(model.graph.node):
        if node.op_type != "BatchNormalization" or attributes(node).get("training_mode", 0):
            continue
        mean, variance = (_constant(editor, name) for name in node.input[3:5])
        if mean is not None and variance is not None and mean.ndim == 1:
            kept = Moments(mean.astype(np.float64), variance.astype(np.float64))
            name = node.name or node.output[0]
            norms.append(Norm(name, kept, float(attributes(node).get("epsilon", _EPS))))
            nodes.append((position, node.input[0]))
    picture = model.graph.input[0].name

    @functools.cache
    def runner(count: int) -> Callable[[NDArray[np.float32]], list[NDArray[Any]]]:
        part = onnx.ModelProto()
        part.CopyFrom(model)
        # Nodes stand behind those whose outputs they take; onnxruntime would run them all.
        del part.graph.node[nodes[count - 1][0] :]
        del part.graph.output[:]
        inputs = [tensor for _, tensor in nodes[:count]]
        names = dict.fromkeys(inputs)  # two layers may have the same input
        part.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
        # For the sizes that are tried.
        sizes = part.graph.input[0].type.tensor_type.shape.dim
        for size in sizes[2:]:
            size.Clear()
        del part.graph.value_info[:]
        session = Session(part)
        return lambda values: session.run(inputs, {picture: values})

    def watch(pictures: NDArray[np.float32], count: int) -> list[Moments]:
        return [moments(values) for values in runner(count)(pictures)]

    return Memory(norms, 1, watch)


def _constant(editor: OnnxEditor, name: str) -> NDArray[Any] | None:
    """A constant, also behind Identity nodes: exporters share equal constants that way."""
    writer = editor.writer(name)
    while writer is not None and writer.op_type == "Identity":
        name = writer.input[0]
        writer = editor.writer(name)
    return editor.constant(name)
