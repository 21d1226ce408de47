"""A model with its geometry and labels, ready for frames."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from edgekit.errors import ConfigurationError, EdgekitError, LabelsError, ModelFileError
from edgekit.files import StrPath, as_path
from edgekit.inference.answer import Answer, Scored
from edgekit.inference.foreign import Foreign
from edgekit.inference.interpreter import Interpreter
from edgekit.inference.probabilities import are_probabilities, trial_pictures
from edgekit.model.container import ModelFile, read_model
from edgekit.model.foreign import Hints
from edgekit.model.labels import LabelFile, Notify, distinct, ordered_names
from edgekit.text import one_line

_NO_HINTS = Hints()


class _Options(TypedDict, total=False):
    """Those of `Classifier`."""

    hints: Hints
    runtime: str
    threads: int
    delegate: str | None
    delegate_options: Mapping[str, str] | None


def top_k(scores: NDArray[np.float32], k: int) -> list[tuple[int, float]]:
    """The `k` best (index, score) pairs, best first; equal scores keep the lower index first."""
    order = np.argsort(-scores, kind="stable")[:k]
    return [(int(i), float(scores[i])) for i in order]


class Classifier:
    """A model with its geometry and labels, ready for frames.

        classifier = Classifier("door.tflite")
        classifier("hall.jpg").label

    Args:
        model: path of a model file of ours, or of any `.tflite` image classifier; or one that was
            read, of which no file is opened again.
        labels: class names that take the place of those in the file: a list, or a file of them.
        hints: what the file does not say, where it has no manifest.
        runtime: `litert` or `tflite`; by default whichever is installed.
        threads: CPU threads for each inference.
        delegate, delegate_options: an accelerator's library, such as `edgetpu`, and its options.

    Attributes:
        path: of the model file.
        sha256: of the whole file, in hexadecimal.
        geometry: what `prepare` does to a frame.
        labels: class names by index.
        runtime_name: the runtime that runs it.
        accelerator: name of the delegate that runs it, such as `edgetpu`, or `cpu`.
        recommended: decision settings that the file recommends, for these labels; empty where it
            does not.
        profile: what pictures and answers looked like when it was converted, where that was kept.
        confidence: what the file says of how its confidence was calibrated, if anything.
        notes: what was understood, guessed or changed, a line each; none for a usual model of ours.
        step: what the model's output is rounded to; 0 where its scores are floats.

    Raises:
        ModelFileError: the file cannot be read, answers something else than probabilities, or its
            input cannot be understood.
        LabelsError: the labels cannot be read, or do not fit the model.
        RuntimeUnavailableError: the runtime, or the accelerator, is not there or refuses it.
        InferenceError: the runtime, or the accelerator, failed on a picture to try it with.
        ConfigurationError: an argument is nothing of the kind.
    """

    def __init__(
        self,
        model: ModelFile | StrPath,
        *,
        labels: LabelFile | StrPath | Sequence[str] | None = None,
        hints: Hints = _NO_HINTS,
        runtime: str = "auto",
        threads: int = 1,
        delegate: str | None = None,
        delegate_options: Mapping[str, str] | None = None,
    ) -> None:
        if not isinstance(hints, Hints):
            raise ConfigurationError(f"hints are {type(hints).__name__}, not edgekit.Hints")
        if not isinstance(threads, int) or threads < 1:
            raise ConfigurationError(f"threads={threads!r} is not a whole number from 1 on")
        if not isinstance(model, ModelFile):
            model = read_model(as_path(model, "a model file"))
        notes: list[str] = []
        foreign = None
        if model.manifest is None:
            foreign = Foreign(model, hints)
        elif hints != _NO_HINTS:
            notes.append(
                "--channels, --normalization and --softmax are for models without a manifest, "
                f"which {model.path.name} has; they change nothing"
            )
        names = _names(model, labels, notes.append)
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
            notes += foreign.notes
        # Not the file's bytes: the interpreter has them where they cost less memory.
        self.path = model.path
        self.sha256 = model.sha256
        self.geometry = model.geometry
        self.labels = names
        manifest = model.manifest
        self.recommended = model.recommended(names)
        self.profile = manifest.profile if manifest else None
        self.confidence = manifest.confidence if manifest else None
        self.notes = notes
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
        cls, path: Path, *, labels: Path | None = None, **options: Unpack[_Options]
    ) -> "Classifier":
        """Read and check a model file, then load it: `Classifier(path, labels=labels, **options)`.

        Raises:
            EdgekitError: as `Classifier`.
        """
        return cls(path, labels=labels, **options)

    @classmethod
    def load(
        cls, model: ModelFile, *, labels: LabelFile | None = None, **options: Unpack[_Options]
    ) -> "Classifier":
        """Load a model that was read: no file is opened for it again.

        Raises:
            EdgekitError: as `Classifier`.
        """
        return cls(model, labels=labels, **options)

    def __call__(self, picture: Any, *, bgr: bool = False) -> Answer:
        """Answer a picture, prepared exactly as on the device.

        **OpenCV's frames are BGR** (`cv2.imread`, `cv2.VideoCapture`). No array says which it is,
        and a swapped one gets an answer too, a worse one: pass `bgr=True`.

        Args:
            picture: an array (H, W, 3) uint8, RGB, of any size; a Pillow image; or the path of a
                picture. Files and images are turned upright as they say.
            bgr: the array's channels are blue, green, red.

        Raises:
            ImageError: it is no such picture, or cannot be read.
            InferenceError: the interpreter, or its delegate, failed; or this was closed.
        """
        # What reads files; a camera's frames need none of it.
        from edgekit.vision.frames import as_frame

        scores = self.classify(as_frame(picture, bgr=bgr))
        best = top_k(scores, len(scores))
        return Answer([Scored(self.labels[index], score, index) for index, score in best], scores)

    def __repr__(self) -> str:
        size = f"{self.geometry.width} x {self.geometry.height}"
        notes = "".join(f"\n  {one_line(note)}" for note in self.notes)
        return (
            f"<Classifier {one_line(self.path.name)}: {len(self.labels)} classes, {size}, "
            f"{self.runtime_name} on {self.accelerator}>{notes}"
        )

    def __enter__(self) -> "Classifier":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

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
        # It needs OpenCV, and where a model is only tried nothing else does.
        from edgekit.vision.preprocess import prepare

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


def _names(
    model: ModelFile, labels: LabelFile | StrPath | Sequence[str] | None, notify: Notify
) -> list[str]:
    """The name of every class by index: those given, or those in the file."""
    if isinstance(labels, (str, os.PathLike)):
        labels = LabelFile.read(Path(labels))
    if labels is None or isinstance(labels, LabelFile):
        return model.class_names(labels, notify)
    names = ordered_names(labels)
    if len(names) != model.classes:
        raise LabelsError(
            f"labels has {len(names)} class names, but {model.path} has {model.classes} classes"
        )
    return distinct(names, notify)
