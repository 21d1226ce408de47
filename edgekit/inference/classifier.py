"""A model with its geometry and labels, ready for frames."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import EdgekitError, ModelFileError
from edgekit.inference.foreign import Foreign
from edgekit.inference.interpreter import Interpreter
from edgekit.inference.probabilities import are_probabilities, trial_pictures
from edgekit.model.container import ModelFile, read_model
from edgekit.model.foreign import Hints
from edgekit.model.labels import LabelFile, class_names
from edgekit.vision.preprocess import prepare

_NO_HINTS = Hints()


def top_k(scores: NDArray[np.float32], k: int) -> list[tuple[int, float]]:
    """The `k` best (index, score) pairs, best first; equal scores keep the lower index first."""
    order = np.argsort(-scores, kind="stable")[:k]
    return [(int(i), float(scores[i])) for i in order]


class Classifier:
    """A model with its geometry and labels, ready for frames.

    Attributes:
        path: of the model file.
        sha256: of the whole file, in hexadecimal.
        geometry: what `prepare` does to a frame.
        labels: class names by index.
        runtime_name: the runtime that runs it.
        accelerator: name of the delegate that runs it, such as `edgetpu`, or `cpu`.
        notes: what was understood, guessed or changed, a line each; none for a usual model of ours.
        step: what the model's output is rounded to; 0 where its scores are floats.
    """

    def __init__(
        self,
        model: ModelFile,
        labels: list[str],
        interpreter: Interpreter,
        foreign: Foreign | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        # Not the file's bytes: the interpreter has them where they cost less memory.
        self.path = model.path
        self.sha256 = model.sha256
        self.geometry = model.geometry
        self.labels = labels
        self.notes = [*notes, *(foreign.notes if foreign else ())]
        self.runtime_name = interpreter.runtime
        self.accelerator = interpreter.accelerator
        self._interpreter = interpreter
        self._foreign = foreign
        output = model.graph.tensors[model.graph.outputs[0]]
        self.step = output.scale[0] if output.scale else 0.0
        if foreign is not None and foreign.softmax:
            self.step = 0.0

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        labels: Path | None = None,
        hints: Hints = _NO_HINTS,
        runtime: str = "auto",
        threads: int = 1,
        delegate: str | None = None,
        delegate_options: Mapping[str, str] | None = None,
    ) -> "Classifier":
        """Read and check a model file, then load it.

        Args:
            path: a model file of ours, or any `.tflite` image classifier.
            labels: class names, one a line; those in the file by default.
            hints, runtime, threads, delegate, delegate_options: as for `load`.

        Raises:
            ModelFileError, LabelsError: a file cannot be read, or as `load`.
            RuntimeUnavailableError, InferenceError: as `load`.
        """
        return cls.load(
            read_model(path),
            labels=LabelFile.read(labels) if labels else None,
            hints=hints,
            runtime=runtime,
            threads=threads,
            delegate=delegate,
            delegate_options=delegate_options,
        )

    @classmethod
    def load(
        cls,
        model: ModelFile,
        *,
        labels: LabelFile | None = None,
        hints: Hints = _NO_HINTS,
        runtime: str = "auto",
        threads: int = 1,
        delegate: str | None = None,
        delegate_options: Mapping[str, str] | None = None,
    ) -> "Classifier":
        """Load a model that was read: no file is opened for it again.

        Args:
            model: a model file of ours, or any image classifier.
            labels: class names that take the place of those in the file.
            hints: what the file does not say, where it has no manifest.
            runtime: one of `runtimes.choices()`.
            threads: CPU threads for each inference.
            delegate, delegate_options: an accelerator's library and its options, as for
                `Interpreter`.

        Raises:
            ModelFileError: it answers something else than probabilities, or its input cannot be
                understood.
            LabelsError: the labels do not fit the model.
            RuntimeUnavailableError: the runtime, or the accelerator, is not there or refuses it.
            InferenceError: the runtime, or the accelerator, failed on a picture to try it with.
        """
        notes: list[str] = []
        foreign = None
        if model.manifest is None:
            foreign = Foreign(model, hints)
        elif hints != _NO_HINTS:
            notes.append(
                "--channels, --normalization and --softmax are for models without a manifest, "
                f"which {model.path.name} has; they change nothing"
            )
        carried = model.labels if labels is None else None
        names = class_names(model.path, model.classes, carried, labels, notes.append)
        interpreter = Interpreter(
            model.flatbuffer,
            runtime=runtime,
            threads=threads,
            delegate=delegate,
            delegate_options=delegate_options,
            on_disk=True,
        )
        if foreign is not None:
            try:
                foreign.check_scores(interpreter)
            except EdgekitError:
                interpreter.close()
                raise
        return cls(model, names, interpreter, foreign, notes)

    def warm_up(self) -> None:
        """Answer a grey picture: what is allocated late, or fails at first use, does so now.

        Raises:
            InferenceError: the interpreter, or its delegate, failed.
        """
        shape = (1, self.geometry.height, self.geometry.width, 3)
        self.invoke(np.full(shape, 128, np.uint8))

    def check_answers(self) -> None:
        """Answer several pictures: one answer may be luck.

        Raises:
            ModelFileError: an answer is no finite probability for each class.
            InferenceError: the interpreter, or its delegate, failed.
        """
        for picture in trial_pictures(self.geometry):
            scores = self.invoke(picture)
            if len(scores) != len(self.labels):
                what = f"{len(scores)} values for {len(self.labels)} classes"
            elif not are_probabilities(scores, self.step):
                what = f"no probabilities, but values from {scores.min():.4g} to {scores.max():.4g}"
            else:
                continue
            raise ModelFileError(f"{self.path} answers {what}; convert it again")

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
        if self._foreign is not None:
            return self._foreign.scores(self._interpreter, tensor)
        return self._interpreter.answer(tensor)

    def classify(self, frame: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Scores (classes,) float32 of a frame (H, W, 3) uint8 RGB.

        Raises:
            InferenceError: the interpreter, or its delegate, failed.
        """
        return self.invoke(self.prepare(frame))

    def label(self, index: int) -> str:
        """Name of a class."""
        return self.labels[index]
