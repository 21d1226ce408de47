"""Open a model file with a TFLite interpreter and classify frames."""

import contextlib
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import LabelsError, ModelFileError, RuntimeUnavailableError
from edgekit.labels import read_labels
from edgekit.modelfile import ModelFile, read_model
from edgekit.preprocess import Geometry, prepare

# Module of each runtime, in the order of preference: ai-edge-litert is the successor of
# tflite-runtime and several times faster on int8 models.
_MODULES = {"litert": "ai_edge_litert.interpreter", "tflite": "tflite_runtime.interpreter"}
RUNTIMES = ("auto", *_MODULES)


def installed_runtimes() -> list[str]:
    """The runtimes that can be imported, preferred first."""
    found = []
    for name, module in _MODULES.items():
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
            found.append(name)
    return found


def _load(runtime: str) -> tuple[str, Any]:
    candidates = [runtime] if runtime != "auto" else list(_MODULES)
    problems = []
    for name in candidates:
        try:
            return name, importlib.import_module(_MODULES[name])
        except ImportError as error:
            problems.append(f"{name}: {error}")
    raise RuntimeUnavailableError(
        f"no TFLite runtime can be loaded ({'; '.join(problems)}); install ai-edge-litert, "
        "or tflite-runtime with numpy<2 on Python 3.11"
    )


class Interpreter:
    """A TFLite interpreter for a one-input, one-output model whose structure has been checked.

    Args:
        flatbuffer: the TFLite model.
        runtime: one of `RUNTIMES`.
        threads: CPU threads for each inference.
        reference: use the reference kernels, which give equal bits on every machine.
        delegate: library of the hardware that runs what was compiled for it, for example
            `libedgetpu.so.1`; None for the CPU.

    Raises:
        RuntimeUnavailableError: the runtime is not installed or refuses the model, or the delegate
            does not load: its library is missing, or its hardware is.
    """

    def __init__(
        self,
        flatbuffer: bytes,
        *,
        runtime: str = "auto",
        threads: int = 1,
        reference: bool = False,
        delegate: str | None = None,
    ) -> None:
        self.runtime, module = _load(runtime)
        try:
            delegates = [module.load_delegate(delegate)] if delegate else None
        except (ValueError, OSError) as error:
            raise RuntimeUnavailableError(
                f"{delegate} cannot be loaded ({error}); install it and attach its hardware"
            ) from error
        resolver = module.OpResolverType
        kind = resolver.BUILTIN_REF if reference else resolver.AUTO
        try:
            self._interpreter = module.Interpreter(
                model_content=flatbuffer,
                num_threads=threads,
                experimental_op_resolver_type=kind,
                experimental_delegates=delegates,
            )
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[-1]
            raise RuntimeUnavailableError(f"{self.runtime} refuses the model: {reason}") from error
        self._input = self._interpreter.get_input_details()[0]
        self._output_details = self._interpreter.get_output_details()

    def set_input(self, tensor: NDArray[np.uint8]) -> None:
        """Copy raw pixels (1, H, W, 3) uint8 to the input, converted to the model's own type."""
        dtype = self._input["dtype"]
        if dtype is np.uint8:
            values: NDArray[Any] = tensor
        elif dtype is np.int8:
            values = (tensor ^ 0x80).view(np.int8)
        else:
            values = tensor.astype(np.float32)
        self._interpreter.set_tensor(self._input["index"], values)

    def invoke(self) -> None:
        """Run the graph on the input that was set."""
        self._interpreter.invoke()

    def outputs(self) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """Name and dequantised value of every output of the graph."""
        for details in self._output_details:
            yield details["name"], self._dequantised(details)

    def output(self) -> NDArray[np.float32]:
        """The first output, flattened and dequantised."""
        return self._dequantised(self._output_details[0]).reshape(-1)

    def _dequantised(self, details: dict[str, Any]) -> NDArray[np.float32]:
        raw = self._interpreter.get_tensor(details["index"])
        scale, zero_point = details["quantization"]
        values = raw.astype(np.float32, copy=False)
        if scale:
            values = (values - np.float32(zero_point)) * np.float32(scale)
        return np.asarray(values, dtype=np.float32)


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
            f"{model.path} takes {tensor.dtype} and has no manifest that says how to normalise "
            "pictures; use a uint8 model, or convert it with edgekit"
        )
    # torchvision's and Keras's own evaluation both keep 224/256 of the shorter side.
    return Geometry(height=shape[1], width=shape[2], crop=0.875)


class Classifier:
    """A model with its geometry and labels, ready for frames.

    Attributes:
        model: the checked model file.
        path: its path.
        geometry: what `prepare` does to a frame.
        labels: class names by index.
        runtime_name: the runtime that runs it.
    """

    def __init__(self, model: ModelFile, labels: list[str], interpreter: Interpreter) -> None:
        self.model = model
        self.path = model.path
        self.geometry = model.manifest.geometry if model.manifest else _foreign_geometry(model)
        self.labels = labels
        self.runtime_name = interpreter.runtime
        self._interpreter = interpreter

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        labels: Path | None = None,
        runtime: str = "auto",
        threads: int = 1,
    ) -> "Classifier":
        """Read and check a model file, then load it.

        Args:
            path: a model file of ours, or any `.tflite` image classifier with uint8 input.
            labels: class names, one a line; those in the file by default.
            runtime: one of `RUNTIMES`.
            threads: CPU threads for each inference.

        Raises:
            ModelFileError, LabelsError, RuntimeUnavailableError: see their own text.
        """
        model = read_model(path)
        classes = model.graph.tensors[model.graph.outputs[0]].shape[-1]
        if labels is not None:
            names = read_labels(labels, classes)
        elif model.labels is not None:
            if len(model.labels) != classes:
                raise LabelsError(
                    f"{path} carries {len(model.labels)} labels for {classes} classes; "
                    "pass the right ones with --labels"
                )
            names = model.labels
        else:
            names = [f"class {i}" for i in range(classes)]
        return cls(model, names, Interpreter(model.flatbuffer, runtime=runtime, threads=threads))

    def prepare(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Frame (H, W, 3) uint8 RGB to input tensor (1, height, width, 3) uint8."""
        return prepare(frame, self.geometry)

    def invoke(self, tensor: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Scores (classes,) float32 of an input tensor made by `prepare`."""
        self._interpreter.set_input(tensor)
        self._interpreter.invoke()
        return self._interpreter.output()

    def classify(self, frame: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Scores (classes,) float32 of a frame (H, W, 3) uint8 RGB."""
        return self.invoke(self.prepare(frame))

    def label(self, index: int) -> str:
        """Name of a class."""
        return self.labels[index]
