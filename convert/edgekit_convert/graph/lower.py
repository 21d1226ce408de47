"""ONNX to float32 TFLite in a process of its own: `python -m edgekit_convert.graph.lower IN OUT`.

It loads its libraries first, which takes seconds, and waits for a line on stdin before it reads IN.

onnx2tf 1 makes a Keras model, which goes to TFLite as one graph whose weights are constants.
onnx2tf's own way saves a SavedModel twice in between, which takes nine tenths of its time, and
TensorFlow's usual way, from a function, copies all weights four times. onnx2tf 2, for Python 3.12
and later, writes the flatbuffer itself, without TensorFlow.
"""

import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import onnx
import onnx2tf

_DIRECT = int(version("onnx2tf").partition(".")[0]) >= 2
if not _DIRECT:
    import tensorflow as tf


def lower(source: Path, target: Path) -> None:
    """Convert the ONNX file `source` and write the flatbuffer to `target`."""
    if _DIRECT:
        _write_directly(source, target)
    else:
        _write_through_keras(source, target)


def _write_directly(source: Path, target: Path) -> None:
    folder = target.with_suffix("")
    onnx2tf.convert(
        onnx_graph=onnx.load(str(source)),
        output_folder_path=str(folder),
        non_verbose=True,
        verbosity="error",
    )
    (folder / "model_float32.tflite").replace(target)


def _write_through_keras(source: Path, target: Path) -> None:
    keras = onnx2tf.convert(
        onnx_graph=onnx.load(str(source)),
        disable_model_save=True,
        # It works on files only, and fails on a graph in memory, after seconds.
        not_use_onnxsim=True,
        non_verbose=True,
        verbosity="error",
    )
    (image,) = keras.inputs
    concrete = tf.function(keras).get_concrete_function(
        tf.TensorSpec(image.shape, image.dtype, "image")
    )
    graph = _with_constants(concrete)
    inputs, outputs = concrete.inputs[:1], concrete.outputs
    del keras, concrete  # their copies of the weights
    converter = tf.compat.v1.lite.TFLiteConverter(graph, inputs, outputs)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    target.write_bytes(converter.convert())


def _with_constants(function: Any) -> Any:
    """The graph of a concrete function, with the values that it captured: weights."""
    graph = function.graph.as_graph_def()
    captured = {inner.op.name: outer for outer, inner in function.graph.captures}
    for node in graph.node:
        if node.name in captured:
            node.op = "Const"
            dtype = node.attr["dtype"].type
            node.attr.clear()
            node.attr["dtype"].type = dtype
            value = tf.make_tensor_proto(captured[node.name].numpy())
            node.attr["value"].tensor.CopyFrom(value)
    return graph


if __name__ == "__main__":
    if sys.stdin.readline():
        lower(Path(sys.argv[1]), Path(sys.argv[2]))
