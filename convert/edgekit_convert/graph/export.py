"""PyTorch to ONNX, and ONNX to float32 TFLite."""

import contextlib
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
from numpy.typing import NDArray

from edgekit.child import python_command, signal_name
from edgekit.errors import ConversionError
from edgekit.text import last_line
from edgekit_convert.scratch import scratch_folder

if TYPE_CHECKING:
    from torch import nn

_ONNX_FILE = "folded.onnx"
_TFLITE_FILE = "float32.tflite"
_LOG_FILE = "onnx2tf.log"
# onnx2tf fetches this file from the web for its self-check unless it lies in its working folder.
_SAMPLE_FILE = "calibration_image_sample_data_20x128x128x3_float32.npy"


def to_onnx(network: "nn.Module", height: int, width: int) -> onnx.ModelProto:
    """Export a network that takes normalized pictures (1, 3, height, width) and gives logits.

    The exporter folds each BatchNorm into the convolution before it: y = gamma (Wx - mu) / sigma +
    beta becomes the weights gamma W / sigma and the bias beta - gamma mu / sigma (Jacob et al.
    2018, arXiv:1712.05877, section 3.2).
    """
    import torch

    with warnings.catch_warnings(), _silent():
        # torch's exporter warns about its own use of deprecated functions.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network,
            (torch.zeros(1, 3, height, width),),
            dynamo=True,
            input_names=["picture"],
            output_names=["logits"],
            verbose=False,
        )
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    return model


@contextmanager
def _silent() -> Iterator[None]:
    """Keep what PyTorch's exporter logs and prints from the user: its errors say it again."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            Path(os.devnull).open("w", encoding="utf-8") as nowhere,
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),
        ):
            yield
    finally:
        logging.disable(before)


class Lowering:
    """onnx2tf in a process of its own: `start` gives it work, `result` waits for it."""

    def __init__(self, process: "subprocess.Popen[bytes]", scratch: Path) -> None:
        self._process = process
        self._scratch = scratch

    def start(self, model: onnx.ModelProto, samples: NDArray[np.uint8]) -> None:
        """Lower an ONNX model to a float32 TFLite flatbuffer.

        Args:
            model: made by `edgekit_convert.graph.fold.fold`.
            samples: (N, H, W, 3) calibration pictures; onnx2tf checks itself on them.
        """
        onnx.save(model, str(self._scratch / _ONNX_FILE))
        pictures = np.resize(samples[:20], (20, *samples.shape[1:]))
        rows = np.linspace(0, pictures.shape[1] - 1, 128).astype(int)
        columns = np.linspace(0, pictures.shape[2] - 1, 128).astype(int)
        check = pictures[:, rows][:, :, columns].astype(np.float32) / 255
        np.save(self._scratch / _SAMPLE_FILE, check)
        assert self._process.stdin is not None
        # If it died while it was loading, `result` says why.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(b"start\n")
            self._process.stdin.close()

    def given(self) -> onnx.ModelProto:
        """The ONNX model that `start` was given, of which nobody else need keep a copy."""
        return onnx.load(str(self._scratch / _ONNX_FILE))

    def result(self) -> bytes:
        """The flatbuffer.

        Raises:
            ConversionError: onnx2tf failed; its last words are in the message.
        """
        code = self._process.wait()
        output = self._scratch / _TFLITE_FILE
        if code == 0 and output.is_file():
            return output.read_bytes()
        reason = last_line((self._scratch / _LOG_FILE).read_bytes())
        if name := signal_name(code):
            reason = f"killed by {name}; out of memory?"
        raise ConversionError(f"onnx2tf could not lower the ONNX graph to TFLite: {reason}")


@contextmanager
def lowering() -> Iterator[Lowering]:
    """onnx2tf, which loads while the body prepares its work, and ends with the body.

    It runs in a process of its own, because TensorFlow's memory is then returned when it is done,
    and because onnx2tf needs a working folder, the programs of this environment on PATH, and
    prints a lot.
    """
    programs = Path(sys.executable).parent
    environment = os.environ | {
        "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', '')}",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "",
        # The other cores are at work on the stages before.
        "TF_NUM_INTRAOP_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
    with scratch_folder() as scratch:
        with (scratch / _LOG_FILE).open("wb") as log:
            process = subprocess.Popen(
                python_command("edgekit_convert.graph.lower", _ONNX_FILE, _TFLITE_FILE),
                cwd=scratch,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            yield Lowering(process, scratch)
        finally:
            process.kill()
            with contextlib.suppress(BrokenPipeError):
                process.communicate()  # waits, and closes its input
