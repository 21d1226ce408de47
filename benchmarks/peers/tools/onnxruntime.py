"""onnxruntime: static quantization, QDQ, a scale for each channel.

The variant is how it calibrates; `float` is the network as it is.
"""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.version_converter
import onnxruntime
from numpy.typing import NDArray

from benchmarks.peers.tools.serving import Model, Network, main
from benchmarks.zoo import quantize_onnx

# From here on a weight has a scale for each channel.
_OPSET = 13


def convert(network: Network, file: Path, variant: str) -> None:
    """As its documentation has it."""
    if variant == "float":
        shutil.copy(network.onnx, file)
        return
    inputs = network.normalized(network.pixels("calibration"))
    work = file.with_suffix(".source.onnx")
    model = onnx.load(network.onnx)
    if model.opset_import[0].version < _OPSET:
        model = onnx.version_converter.convert_version(model, _OPSET)
    onnx.save(model, work)
    quantize_onnx(work, file, inputs, variant)
    work.unlink()


def load(network: Network, file: Path, threads: int) -> Model:
    """With the optimizations that are on by default."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(file), options, ["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(values: Any) -> NDArray[np.float32]:
        found: NDArray[np.float32] = session.run(None, {name: values})[0]
        return found

    return Model(lambda pixels, normalized: normalized, run)


if __name__ == "__main__":
    main(convert, load)
