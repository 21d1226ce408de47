"""onnx2tf -oiqt: int8 TFLite, calibrated by minimum and maximum."""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx

from benchmarks.peers.tools.serving import Network, main
from benchmarks.peers.tools.tflite import load

# For its check of itself, which it would fetch from the web.
_SAMPLE = "calibration_image_sample_data_20x128x128x3_float32.npy"


def convert(network: Network, file: Path, variant: str) -> None:
    """Its file with int8 input and output, of the five that it writes."""
    name = onnx.load(network.onnx, load_external_data=False).graph.input[0].name
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        pictures = network.normalized(network.pixels("calibration")).transpose(0, 2, 3, 1)
        np.save(folder / "pictures.npy", pictures)
        np.save(folder / _SAMPLE, np.zeros((20, 128, 128, 3), np.float32))
        program = Path(sys.executable).with_name("onnx2tf")
        command = [
            program, "-i", network.onnx.resolve(), "-oiqt", "-o", "out",
            "-cind", name, "pictures.npy", "[[[[0,0,0]]]]", "[[[[1,1,1]]]]",
        ]  # fmt: skip
        subprocess.run([str(word) for word in command], cwd=folder, check=True)
        found = folder / "out" / f"{network.onnx.stem}_full_integer_quant.tflite"
        file.write_bytes(found.read_bytes())


if __name__ == "__main__":
    main(convert, load)
