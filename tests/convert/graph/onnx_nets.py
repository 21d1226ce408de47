"""Small ONNX classifiers as exporters write them, by onnx's own helper."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from tests.convert.toys import normal

SIZE, CLASSES = 32, 6


@dataclass
class Net:
    """A classifier: nodes in front, a convolution, a ReLU, pools, a dense layer, nodes at the end.

    Attributes:
        opset, ir: versions.
        head: nodes between the input `x` and the first convolution's input `h`; none: `x` is it.
        convolution, maximum, average: attributes of those operators; None leaves the pool out.
        tail: nodes behind `y`, the scores.
        outputs: names of the outputs.
        shape, dtype: of the input.
        classes: number of scores.
        constants: more of them.
        listed: whether constants are inputs too, in front of the picture, as before IR 4.
    """

    opset: int = 17
    ir: int = 8
    head: Sequence[NodeProto] = ()
    convolution: dict[str, Any] = field(default_factory=lambda: {"pads": [1, 1, 1, 1]})
    maximum: dict[str, Any] | None = None
    average: dict[str, Any] | None = None
    tail: Sequence[NodeProto] = ()
    outputs: Sequence[str] = ("y",)
    shape: Sequence[str | int | None] = (1, 3, SIZE, SIZE)
    dtype: int = TensorProto.FLOAT
    classes: int = CLASSES
    constants: dict[str, NDArray[Any]] = field(default_factory=dict)
    listed: bool = False

    def build(self) -> onnx.ModelProto:
        """The model."""
        floats = np.float16 if self.dtype == TensorProto.FLOAT16 else np.float32
        floats = np.float64 if self.dtype == TensorProto.DOUBLE else floats
        values = {
            "w": normal(8, 3, 3, 3) / 4,
            "b": normal(8, seed=1),
            "v": normal(self.classes, 8, seed=2),
            "u": normal(self.classes, seed=3),
        }
        constants = {name: array.astype(floats) for name, array in values.items()} | self.constants
        node = helper.make_node
        nodes = [*self.head]
        first = "h" if self.head else "x"
        nodes += [node("Conv", [first, "w", "b"], ["c"], **self.convolution)]
        nodes += [node("Relu", ["c"], ["last0"])]
        for number, (kind, options) in enumerate(
            (("MaxPool", self.maximum), ("AveragePool", self.average))
        ):
            pooled = options is not None
            name = kind if pooled else "Identity"
            window = {"kernel_shape": [3, 3]} if pooled else {}
            ends = [f"last{number}"], [f"last{number + 1}"]
            nodes += [node(name, *ends, **window, **(options or {}))]
        nodes += [
            node("GlobalAveragePool", ["last2"], ["pooled"]),
            node("Flatten", ["pooled"], ["flat"], axis=1),
            node("Gemm", ["flat", "v", "u"], ["y"], transB=1),
            *self.tail,
        ]
        tensors = [numpy_helper.from_array(array, name) for name, array in constants.items()]
        inputs = [helper.make_tensor_value_info("x", self.dtype, self.shape)]
        if self.listed:
            inputs[:0] = [
                helper.make_tensor_value_info(t.name, t.data_type, list(t.dims)) for t in tensors
            ]
        outputs = [onnx.ValueInfoProto(name=name) for name in self.outputs]
        for value in outputs:
            value.type.tensor_type.elem_type = (
                TensorProto.INT64 if value.name == "chosen" else
                TensorProto.FLOAT if self.dtype == TensorProto.UINT8 else self.dtype
            )  # fmt: skip
        graph = helper.make_graph(nodes, "net", inputs, outputs, tensors)
        opsets = [helper.make_opsetid("", self.opset)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=self.ir)

    def save(self, folder: Path) -> Path:
        """The model's file."""
        file = folder / "net.onnx"
        onnx.save(self.build(), str(file))
        return file


def run(model: onnx.ModelProto, *values: NDArray[Any]) -> list[NDArray[Any]]:
    """Outputs of a model in onnxruntime, as it is."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    found: list[NDArray[Any]] = session.run(None, {"x": values[0]})
    return found
