"""PyTorch to ONNX to float32 TFLite."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from edgekit.errors import ConversionError
from edgekit_convert.fold import FoldedResNet

ONNX_FILE = "folded.onnx"
TFLITE_FILE = "float32.tflite"
# onnx2tf fetches this file from the web for its self-check unless it lies in its working folder.
_SAMPLE_FILE = "calibration_image_sample_data_20x128x128x3_float32.npy"


def _pool_globally(model: onnx.ModelProto) -> None:
    """Write the mean over height and width as GlobalAveragePool.

    onnx2tf lowers ReduceMean in PyTorch's axis order, at the price of a TRANSPOSE in the model;
    GlobalAveragePool becomes a single MEAN over the axes that TFLite has.
    """
    for position, node in enumerate(model.graph.node):
        if node.op_type == "ReduceMean":
            pooled = f"{node.output[0]}_pooled"
            pool = onnx.helper.make_node("GlobalAveragePool", [node.input[0]], [pooled])
            flatten = onnx.helper.make_node("Flatten", [pooled], [node.output[0]], axis=1)
            model.graph.node.remove(node)
            model.graph.node.insert(position, pool)
            model.graph.node.insert(position + 1, flatten)
            return
    raise ConversionError("the exported ONNX graph has no global average pooling")


def to_onnx(network: FoldedResNet, height: int, width: int, scratch: Path) -> Path:
    """Export `network` to an ONNX file in `scratch`; input `image` is (1, 3, height, width)."""
    pixels = torch.zeros(1, 3, height, width)
    with warnings.catch_warnings():
        # torch's exporter warns about its own use of deprecated functions.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network,
            (pixels,),
            dynamo=True,
            input_names=["image"],
            output_names=["probabilities"],
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    _pool_globally(model)
    path = scratch / ONNX_FILE
    onnx.save(model, str(path))
    return path


def to_tflite(onnx_file: Path, samples: NDArray[np.uint8], scratch: Path) -> bytes:
    """Lower an ONNX file to a float32 TFLite flatbuffer with onnx2tf.

    It runs in a process of its own, because TensorFlow's memory is then returned when it is done,
    and because onnx2tf needs a working folder, the programs of this environment on PATH, and
    prints a lot.

    Args:
        onnx_file: made by `to_onnx`.
        samples: (N, H, W, 3) calibration pictures; onnx2tf checks itself on them.
        scratch: an empty folder to work in.

    Raises:
        ConversionError: onnx2tf failed; its last words are in the message.
    """
    pictures = np.resize(samples[:20], (20, *samples.shape[1:]))
    rows = np.linspace(0, pictures.shape[1] - 1, 128).astype(int)
    columns = np.linspace(0, pictures.shape[2] - 1, 128).astype(int)
    check = pictures[:, rows][:, :, columns].astype(np.float32) / 255
    np.save(scratch / _SAMPLE_FILE, check)
    programs = Path(sys.executable).parent
    environment = os.environ | {
        "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', '')}",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "",
    }
    output = scratch / TFLITE_FILE
    done = subprocess.run(
        [sys.executable, "-m", "edgekit_convert.lower", str(onnx_file.resolve()), str(output)],
        cwd=scratch,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0 or not output.is_file():
        lines = [line for line in done.stdout.splitlines() if line.strip()] or ["no message"]
        raise ConversionError(f"onnx2tf could not lower the ONNX graph to TFLite: {lines[-1]}")
    return output.read_bytes()
