"""A model as it is opened in several processes, of which none reads its file again."""

import hashlib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from edgekit import __version__
from edgekit.inference.classifier import Classifier
from edgekit.inference.probabilities import trial_pictures
from edgekit.model.container import ModelFile
from edgekit.model.foreign import Hints
from edgekit.model.labels import LabelFile

# What reads pictures and videos, and so decides on their pixels.
_READERS = ("numpy", "opencv-python", "opencv-python-headless", "av", "pillow", "pillow-heif",
            "simplejpeg")  # fmt: skip
_LARGE = (719, 1283)  # larger than any model's input, and no multiple of it


@dataclass(frozen=True)
class ModelSource:
    """A model file that was read, and how it is opened; it can be pickled.

    Attributes:
        model, labels, hints, runtime, threads: as for `Classifier`.
    """

    model: ModelFile
    labels: LabelFile | None
    hints: Hints
    runtime: str
    threads: int

    def open(self) -> Classifier:
        """Load it.

        Raises:
            EdgekitError: as `Classifier`.
        """
        return Classifier(
            self.model,
            labels=self.labels,
            hints=self.hints,
            runtime=self.runtime,
            threads=self.threads,
        )

    def answers_sha256(self) -> str:
        """What the model answers here to pictures that are the same everywhere.

        Machines on which it differs have other kernels, or prepare pictures otherwise.

        Raises:
            EdgekitError: as `open`; or the interpreter failed.
        """
        classifier = self.open()
        noise = np.random.default_rng(1).integers(0, 256, (*_LARGE, 3), np.uint8)
        told = hashlib.sha256(classifier.runtime_name.encode())
        try:
            for tensor in (*trial_pictures(classifier.geometry), classifier.prepare(noise)):
                told.update(tensor.tobytes() + classifier.invoke(tensor).tobytes())
        finally:
            classifier.close()
        return told.hexdigest()


def versions() -> dict[str, str]:
    """Versions of what answers depend on, by name; `none` for what is not installed."""
    found = {"edgekit": __version__}
    for name in _READERS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "none"
    return found
