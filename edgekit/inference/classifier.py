"""A model with its geometry and labels, ready for frames."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import ModelFileError
from edgekit.inference.interpreter import Interpreter
from edgekit.model.container import ModelFile, read_model
from edgekit.model.geometry import Geometry
from edgekit.model.labels import class_names
from edgekit.vision.preprocess import prepare


def top_k(scores: NDArray[np.float32], k: int) -> list[tuple[int, float]]:
    """The `k` best (index, score) pairs, best first; equal scores keep the lower index first."""
    order = np.argsort(-scores, kind="stable")[:k]
    return [(int(i), float(scores[i])) for i in order]


def _foreign_geometry(model: ModelFile) -> Geometry:
    """Geometry of a model without a manifest, from its input tensor."""
    tensor = model.graph.tensors[model.graph.inputs[0]]
    shape = tensor.shape
    if len(shape) != 4 or shape[0] not in (1, -1) or shape[3] != 3 or min(shape[1:]) < 1:
        raise ModelFileError(f"{model.path} takes {shape}, not an RGB picture (1, H, W, 3)")
    if tensor.dtype not in ("uint8", "int8"):
        raise ModelFileError(
            f"{model.path} takes {tensor.dtype} and has no manifest that says how to normalize "
            "pictures; use a uint8 model, or convert it with edgekit"
        )
    # torchvision's and Keras's own evaluation both keep 224/256 of the shorter side.
    return Geometry(height=shape[1], width=shape[2], crop=0.875)


class Classifier:
    """A model with its geometry and labels, ready for frames.

    Attributes:
        path: of the model file.
        sha256: of the whole file, in hexadecimal.
        geometry: what `prepare` does to a frame.
        labels: class names by index.
        runtime_name: the runtime that runs it.
        accelerator: name of the delegate that runs it, such as `edgetpu`, or `cpu`.
    """

    def __init__(self, model: ModelFile, labels: list[str], interpreter: Interpreter) -> None:
        # Not the file's bytes: the interpreter has them where they cost less memory.
        self.path = model.path
        self.sha256 = model.sha256
        self.geometry = model.manifest.geometry if model.manifest else _foreign_geometry(model)
        self.labels = labels
        self.runtime_name = interpreter.runtime
        self.accelerator = interpreter.accelerator
        self._interpreter = interpreter

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        labels: Path | None = None,
        runtime: str = "auto",
        threads: int = 1,
        delegate: str | None = None,
        delegate_options: Mapping[str, str] | None = None,
    ) -> "Classifier":
        """Read and check a model file, then load it.

        Args:
            path: a model file of ours, or any `.tflite` image classifier with uint8 input.
            labels: class names, one a line; those in the file by default.
            runtime: one of `runtimes.choices()`.
            threads: CPU threads for each inference.
            delegate, delegate_options: an accelerator's library and its options, as for
                `Interpreter`.

        Raises:
            ModelFileError: the file cannot be used, or takes something else than a picture.
            LabelsError: the labels do not fit the model.
            RuntimeUnavailableError: the runtime, or the accelerator, is not there or refuses it.
        """
        model = read_model(path)
        names = class_names(path, model.classes, model.labels, labels)
        interpreter = Interpreter(
            model.flatbuffer,
            runtime=runtime,
            threads=threads,
            delegate=delegate,
            delegate_options=delegate_options,
            on_disk=True,
        )
        return cls(model, names, interpreter)

    def warm_up(self) -> None:
        """Answer a grey picture: what is allocated late, or fails at first use, does so now.

        Raises:
            InferenceError: the interpreter, or its delegate, failed.
        """
        shape = (1, self.geometry.height, self.geometry.width, 3)
        self.invoke(np.full(shape, 128, np.uint8))

    def close(self) -> None:
        """Let go of the model and the accelerator; see `Interpreter.close`."""
        self._interpreter.close()

    def prepare(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Frame (H, W, 3) uint8 RGB to input tensor (1, height, width, 3) uint8."""
        return prepare(frame, self.geometry)

    def invoke(self, tensor: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Scores (classes,) float32 of an input tensor made by `prepare`.

        Raises:
            InferenceError: the interpreter, or its delegate, failed.
        """
        self._interpreter.set_input(tensor)
        self._interpreter.invoke()
        return self._interpreter.output()

    def classify(self, frame: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Scores (classes,) float32 of a frame (H, W, 3) uint8 RGB.

        Raises:
            InferenceError: the interpreter, or its delegate, failed.
        """
        return self.invoke(self.prepare(frame))

    def label(self, index: int) -> str:
        """Name of a class."""
        return self.labels[index]
