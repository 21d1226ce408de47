"""What a conversion finds out; the report is made of these, as JSON and as a page."""

import msgspec

from edgekit.model.manifest import Fidelity, Manifest
from edgekit_convert.quantize.recipes import Candidate


class _Finding(msgspec.Struct, frozen=True, omit_defaults=False):
    pass


class Layer(_Finding, frozen=True):
    """One layer's output, float against int8.

    Attributes:
        name: torchvision's, for example `layer1.0.conv1`, or the operator and its position.
        operator: for example `CONV_2D`.
        low, high: the activation range that 8 bits cover.
        snr_db: signal-to-noise ratio of the layer's output, errors of earlier layers included.
    """

    name: str
    operator: str
    low: float
    high: float
    snr_db: float


class Disagreement(_Finding, frozen=True):
    """A picture to which float and int8 give different answers.

    Attributes:
        picture: file name.
        png: the model's input, as a PNG file.
        truth: its label, where known.
        float_label, float_score: PyTorch's (or the original ONNX model's) answer.
        int8_label, int8_score: the int8 model's.
    """

    picture: str
    png: bytes
    truth: str | None
    float_label: str
    float_score: float
    int8_label: str
    int8_score: float


class Gate(_Finding, frozen=True):
    """The decision whether the file may be written.

    Attributes:
        passed: whether int8 is faithful enough.
        reason: one sentence with the figures that decided.
        min_kept: least part of the float accuracy that int8 must keep (labelled pictures).
        min_agreement: least agreement (pictures without labels).
        overridden: whether it did not pass and `--allow-loss` wrote the file all the same.
    """

    passed: bool
    reason: str
    min_kept: float
    min_agreement: float
    overridden: bool = False


class Memory(_Finding, frozen=True):
    """What the model needs on a device.

    Attributes:
        target: for example `pi-zero-2w`; none when no target was named.
        budget_bytes: memory that a daemon may use there.
        estimate_bytes: peak resident memory expected before the conversion.
        file_bytes: size of the model file.
        arena_bytes: growth of a process's resident memory from loading the model to the end of
            its first inferences: tensor arena, unpacked weights and the runtime's own buffers.
        peak_bytes: peak resident memory of a process that loads and runs the model.
    """

    target: str | None
    budget_bytes: int | None
    estimate_bytes: int
    file_bytes: int
    arena_bytes: int
    peak_bytes: int


class Refusal(_Finding, frozen=True):
    """An operator that the Edge TPU will not run.

    Attributes:
        operator: its name and version, for example `CONCATENATION v2`.
        position: index in the graph.
        reason: the compiler's rule that it breaks.
    """

    operator: str
    position: int
    reason: str


class EdgeTpu(_Finding, frozen=True):
    """How the model fits a Coral Edge TPU.

    Attributes:
        operators: number in the graph.
        mapped: how many the TPU runs: by preflight, or by the compiler's report where it ran.
        refusals: operators that stay on the CPU, with the rule they break.
        parameter_bytes: weights and biases.
        streamed_bytes: the part that does not fit the chip and goes over USB for every inference.
        compiler: the compiler's version; none where it did not run.
        note: one sentence for the reader, for example where the compiler comes from.
    """

    operators: int
    mapped: int
    refusals: list[Refusal]
    parameter_bytes: int
    streamed_bytes: int
    compiler: str | None
    note: str


class Report(_Finding, frozen=True):
    """Everything a conversion found out.

    Attributes:
        output: path of the model file, written or refused.
        written: whether it was written.
        architecture: in words, as read from the written flatbuffer, one line a part.
        labels: class names.
        manifest: what the file says about itself.
        fidelity: the ladder; the same as in the manifest.
        gate: the decision.
        candidates: ways to quantize that were tried, in the order tried.
        layers: in graph order.
        disagreements: pictures on which float and int8 differ, the surest float answer first.
        disagreement_count: how many there were; the list may be cut.
        memory: what the model needs.
        edgetpu: preflight, and the compiler's result where it ran.
        seconds: wall-clock time of each step.
    """

    output: str
    written: bool
    architecture: list[str]
    labels: list[str]
    manifest: Manifest
    fidelity: Fidelity
    gate: Gate
    candidates: list[Candidate]
    layers: list[Layer]
    disagreements: list[Disagreement]
    disagreement_count: int
    memory: Memory
    edgetpu: EdgeTpu
    seconds: dict[str, float]
