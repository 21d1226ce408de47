"""ONNX to float32 TFLite in a process of its own: `python -m edgekit_convert.graph.lower IN OUT`.

It loads its libraries first, which takes seconds, and waits for a line on stdin before it reads IN.

onnx2tf 1 makes a Keras model, which goes to TFLite through a concrete function. onnx2tf's own way
saves a SavedModel twice in between, which takes nine tenths of its time. onnx2tf 2, for Python 3.12
and later, writes the flatbuffer itself, without TensorFlow.
"""

import sys
from importlib.metadata import version
from pathlib import Path

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
    image = keras.inputs[0]
    function = tf.function(lambda image: {"probabilities": keras(image)})
    concrete = function.get_concrete_function(tf.TensorSpec(image.shape, image.dtype, "image"))
    # Handing over the Keras model too would save a SavedModel; the function alone is frozen.
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    target.write_bytes(converter.convert())


if __name__ == "__main__":
    if sys.stdin.readline():
        lower(Path(sys.argv[1]), Path(sys.argv[2]))
