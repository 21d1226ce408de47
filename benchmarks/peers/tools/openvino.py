"""OpenVINO, quantized by NNCF's post-training quantization as it is by default."""

from pathlib import Path
from typing import Any

import nncf
import numpy as np
import openvino
from numpy.typing import NDArray

from benchmarks.peers.tools.serving import Model, Network, main


def convert(network: Network, file: Path, variant: str) -> None:
    """Every calibration picture is seen; the weights lie beside the file, in .bin."""
    inputs = network.normalized(network.pixels("calibration"))
    pictures = nncf.Dataset([inputs[i : i + 1] for i in range(len(inputs))])
    quantized = nncf.quantize(
        openvino.Core().read_model(network.onnx), pictures, subset_size=len(inputs)
    )
    openvino.save_model(quantized, file)


def load(network: Network, file: Path, threads: int) -> Model:
    """For the lowest latency of one request."""
    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
    request = openvino.Core().compile_model(file, "CPU", options).create_infer_request()

    def run(values: Any) -> NDArray[np.float32]:
        found: NDArray[np.float32] = request.infer([values], share_inputs=True)[0]
        return found

    return Model(lambda pixels, normalized: normalized, run)


if __name__ == "__main__":
    main(convert, load)
