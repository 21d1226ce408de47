"""Answers to a few frames, the same way on the emulated board and on this machine.

`python answers.py MODEL FRAMES OUTPUT`: what `prepare` makes of each frame, the scores of the
default kernels, and those of the reference kernels, which are slow, for the first `REFERENCE`.
"""

import platform
import sys
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np

from edgekit.inference.interpreter import Interpreter
from edgekit.inference.runtimes import installed_runtimes
from edgekit.model.container import read_model
from edgekit.vision.preprocess import prepare

REFERENCE = 3


def answers(model: Path, frames: Path, output: Path, runtime: str) -> None:
    """Compute them and write them to an npz file."""
    file = read_model(model)
    assert file.manifest is not None
    geometry = file.manifest.geometry
    tensors = [prepare(frame, geometry) for frame in np.load(frames)["frames"]]
    scores = {}
    for name, count in (("default", len(tensors)), ("reference", REFERENCE)):
        interpreter = Interpreter(file.flatbuffer, runtime=runtime, reference=name == "reference")
        rows = []
        for tensor in tensors[:count]:
            interpreter.set_input(tensor)
            interpreter.invoke()
            rows.append(interpreter.output())
        scores[name] = np.array(rows)
    package = {"litert": "ai-edge-litert", "tflite": "tflite-runtime"}[runtime]
    made_with = f"{platform.machine()}, Python {platform.python_version()}, " \
                f"{package} {version(package)}, OpenCV {cv2.__version__}, " \
                f"NumPy {np.__version__}"  # fmt: skip
    np.savez(output, tensors=np.concatenate(tensors), made_with=made_with, runtime=runtime,
             **scores)  # fmt: skip


if __name__ == "__main__":
    answers(*map(Path, sys.argv[1:4]), runtime=installed_runtimes()[0])
