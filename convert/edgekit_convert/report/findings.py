"""What a conversion finds out; the report is made of these, as JSON and as a page."""

import msgspec

from edgekit.model.manifest import Fidelity, Manifest
from edgekit_convert.target.memory import Memory
from edgekit_convert.target.preflight import EdgeTpu
from edgekit_convert.verify.disagreements import Disagreement
from edgekit_convert.verify.fidelity import Gate, Kind, Stage
from edgekit_convert.verify.layers import Layer

# What a `Candidate` has for the signal-to-noise ratio of equal logits, in dB.
EXACT_DB = 200.0


class _Finding(msgspec.Struct, frozen=True, omit_defaults=False):
    pass


class Candidate(_Finding, frozen=True, rename={"equalized": "equalised"}):
    """One way to quantize, tried on the held-out part of the calibration pictures.

    Attributes:
        name: its techniques in words, for example `mse ranges, equalized, nearest rounding`.
        ranges: `min-max`, `percentile-99.99`, …, `mse`.
        equalized: whether cross-layer equalization was applied.
        rounding: `nearest` or `error-feedback`.
        bias_corrected: whether biases were corrected.
        images: number of held-out pictures.
        agreement: part of them with the float model's top-1, in [0, 1].
        snr_db: mean over the pictures of the signal-to-noise ratio of their logits against the
            float model's, in dB.
        kl: mean Kullback-Leibler divergence of the probabilities from the float model's, in nats.
        chosen: whether it won.
    """

    name: str
    ranges: str
    equalized: bool
    rounding: str
    bias_corrected: bool
    images: int
    agreement: float
    snr_db: float
    kl: float
    chosen: bool = False


class Report(_Finding, frozen=True):
    """Everything a conversion found out.

    Attributes:
        output: path of the model file, written or refused.
        written: whether it was written.
        architecture: in words, as read from the written flatbuffer, one line a part.
        labels: class names.
        manifest: what the file says about itself.
        fidelity: the ladder; the same as in the manifest.
        kinds: of the ladder's stages, in their order.
        gate: the decision.
        candidates: ways to quantize that were tried, in the order tried.
        layers: in graph order.
        disagreements: pictures on which float and int8 differ, the surest float answer first.
        disagreement_count: how many there were; the list may be cut.
        memory: none when it could not be measured.
        edgetpu: preflight, and the compiler's result where it ran.
        seconds: wall-clock time of each step.
    """

    output: str
    written: bool
    architecture: list[str]
    labels: list[str]
    manifest: Manifest
    fidelity: Fidelity
    kinds: list[Kind]
    gate: Gate
    candidates: list[Candidate]
    layers: list[Layer]
    disagreements: list[Disagreement]
    disagreement_count: int
    memory: Memory | None
    edgetpu: EdgeTpu
    seconds: dict[str, float]

    @property
    def stages(self) -> list[Stage]:
        """The ladder's stages with their kinds."""
        pairs = zip(self.kinds, self.fidelity.stages, strict=True)
        return [Stage(kind, figures) for kind, figures in pairs]
