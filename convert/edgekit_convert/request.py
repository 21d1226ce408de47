"""What a user asks a conversion for."""

from dataclasses import dataclass
from pathlib import Path

from edgekit.model.architectures import Architecture
from edgekit.model.geometry import Geometry
from edgekit.model.manifest import Normalization
from edgekit_convert.target.memory import Target
from edgekit_convert.verify.fidelity import Thresholds


@dataclass(frozen=True)
class Request:
    """What to convert.

    Attributes:
        architecture: the ResNet; None for an ONNX model.
        weights: `imagenet-v1`, `imagenet-v2`, or the path of a checkpoint; or of the ONNX model.
        classes: file of class names; None for ImageNet's own, or the evaluation folders' names.
        calibration: image folder or video; None for pictures distilled from BatchNorm statistics.
        evaluation: pictures held out from training and calibration, with labels or without.
        geometry: input geometry.
        normalization: what the network was trained with.
        io: type of input and output: `uint8`, `int8` or `float32`.
        target: the device, where one was named.
        edgetpu: whether to compile for the Edge TPU.
        thresholds: of the fidelity gate.
        allow_loss: write the file although the gate fails.
        allow_misfit: convert although the network was trained on pictures fed otherwise.
        seed: of the held-out pictures and of distilled ones.
        output: path of the model file to write.
        head: layers of a checkpoint's head, where the user says them.
        weights_key: of the state dict, where a checkpoint holds several.
        reference: file of the user's own network's answers, or of that network as ONNX.
        key: of OpenSSH, to sign the model file with.
    """

    architecture: Architecture | None
    weights: str
    classes: Path | None
    calibration: Path | None
    evaluation: Path | None
    geometry: Geometry
    normalization: Normalization
    io: str
    target: Target | None
    edgetpu: bool
    thresholds: Thresholds
    allow_loss: bool
    allow_misfit: bool
    seed: int
    output: Path
    head: tuple[str, ...] | None = None
    weights_key: str | None = None
    reference: Path | None = None
    key: Path | None = None

    @property
    def files(self) -> list[Path | None]:
        """What is read of what the user has: files and folders, some of which may not be there."""
        weights = Path(self.weights)
        # Where an exporter puts the data of an ONNX model that it keeps outside of it.
        data = weights.with_name(f"{weights.name}.data")
        return [
            weights, data, self.reference, self.classes, self.calibration, self.evaluation, self.key
        ]  # fmt: skip

    @property
    def on_edgetpu(self) -> bool:
        """Whether an Edge TPU is to run the model."""
        return self.edgetpu or (self.target is not None and self.target.edgetpu)
