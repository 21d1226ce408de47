"""The manifest `edgekit.json` that travels inside a model file."""

import msgspec

from edgekit.model.decision import Recommendation
from edgekit.model.geometry import Geometry
from edgekit.model.profile import Profile
from edgekit.text import percent

SCHEMA_VERSION = 3
# A file of layout 2 lacks what came with 3: confidence, decision and profile.
OLDEST_SCHEMA = 2


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    pass


class Normalization(_Part, frozen=True):
    """What was folded into the first convolution: (pixel / 255 - mean) / std, per RGB channel."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


class Recipe(_Part, frozen=True, kw_only=True, rename={"equalized": "equalised"}):
    """A way to quantize: which techniques. As text, its readable name.

    Attributes:
        ranges: rule for the ranges of activations: `min-max`, `percentile-99.99`, …, `mse`.
        equalized: whether cross-layer equalization is applied.
        rounding: of the weights: `nearest`, or `error-feedback`, which is GPTQ.
        bias_corrected: whether biases make up for the mean error of the rounding.
    """

    ranges: str
    equalized: bool
    rounding: str
    bias_corrected: bool

    def __str__(self) -> str:
        return ", ".join([f"{self.ranges} ranges", *self._techniques()])

    def _techniques(self) -> list[str]:
        words = [
            "equalized" if self.equalized else "",
            f"{self.rounding} rounding",
            "bias corrected" if self.bias_corrected else "",
        ]
        return [word for word in words if word]


class Quantization(
    Recipe, frozen=True, kw_only=True, rename={"equalized": "equalised", "scheme": "recipe"}
):
    """How the model was quantized, and the pictures whose activations set the ranges.

    Attributes:
        scheme: the field's name for the types of weights and activations, `static_wi8_ai8`.
        calibration: `pictures`, or `data-free` for pictures distilled from BatchNorm statistics.
        images: number of calibration pictures, those held out for the choice included.
        calibration_sha256: SHA-256 over the sorted hashes of the calibration files, or of the
            pictures' own pixels where they were given in Python.
        seed: of every random choice.
    """

    scheme: str
    calibration: str
    images: int
    calibration_sha256: str
    seed: int

    def __str__(self) -> str:
        free = self.calibration == "data-free"
        pictures = "distilled pictures (data-free)" if free else "pictures"
        source = f"{self.ranges} ranges from {self.images} {pictures}"
        return ", ".join([self.scheme, source, *self._techniques()])


class StageFidelity(_Part, frozen=True):
    """How one stage of the conversion answers, beside the untouched original model.

    Attributes:
        stage: `pytorch`, `onnx`, `folded`, `tflite-float`, `tflite-int8 (litert)`, …
        images: number of pictures it answered.
        agreement: part of the pictures with the original's top-1, in [0, 1].
        top5_agreement: part of the pictures whose original top-1 is among this stage's best five.
        kl: mean Kullback-Leibler divergence of its probabilities from the original's, in nats.
        snr_db: signal-to-noise ratio of the logits against the original's, in dB, each picture's
            mean left out; none when both are the same to the last bit, or logits are not known.
        top1: accuracy in [0, 1], where labels exist.
        top1_interval: its 95 % confidence interval (Wilson 1927), where labels exist.
        top5: as `top1`, among the best five.
        score_change: mean absolute change of the probability of the original's answer, in [0, 1].
        score_change_interval, snr_interval_db: 95 % confidence intervals of these two.
        top1_by_chance: accuracy that answers in the same numbers, but independent of the labels,
            would have (Cohen 1960, Educ. Psychol. Meas. 20), where labels exist.
    """

    stage: str
    images: int
    agreement: float
    top5_agreement: float
    kl: float
    snr_db: float | None = None
    top1: float | None = None
    top1_interval: tuple[float, float] | None = None
    top5: float | None = None
    score_change: float | None = None
    score_change_interval: tuple[float, float] | None = None
    snr_interval_db: tuple[float, float] | None = None
    top1_by_chance: float | None = None


# What a conversion started from, where nothing had to be rebuilt.
_ORIGINS = {
    "torchvision": "torchvision's published network",
    "onnx": "the ONNX model as it came",
    "module": "the PyTorch network itself",
    "program": "the program of torch.export itself",
}


class Origin(_Part, frozen=True, kw_only=True):
    """What a conversion started from, and how it compares with the user's network; as text, too.

    Attributes:
        source: `torchvision`, its published network; `state dict`, a network rebuilt from one,
            which has torchvision's strides, pooling and activations; or the user's own network:
            `onnx`, `module` of PyTorch, `program` of `torch.export`.
        reference: name of the file with the user's own network, or with its answers; empty where
            none was given.
        reference_sha256: of that file, in hexadecimal.
        is_network: whether that file is the network, which then is the first stage.
        rebuilt: the rebuilt network beside the user's, on pictures of that file or, for a network,
            on a few of coloured squares.
    """

    source: str
    reference: str = ""
    reference_sha256: str = ""
    is_network: bool = False
    rebuilt: StageFidelity | None = None

    def __str__(self) -> str:
        if self.source != "state dict":
            return _ORIGINS.get(self.source, f"the {self.source}")
        if self.rebuilt is None:
            return "rebuilt from the state dict, not compared with the network that was trained"
        same = percent(self.rebuilt.agreement, 2)
        decibels = "" if self.rebuilt.snr_db is None else f", {self.rebuilt.snr_db:.1f} dB"
        found = f"{same} of {self.rebuilt.images} pictures{decibels}"
        if self.is_network:
            return (
                f"{self.reference}, the user's own network; the one rebuilt from the state dict "
                f"answers as it does on {found}"
            )
        return f"rebuilt from the state dict; answers as {self.reference} says on {found}"


class Fidelity(_Part, frozen=True):
    """What the conversion measured.

    Attributes:
        pictures: `evaluation`, or `calibration`: those held out when the recipe was chosen.
        stages: in the order of the conversion.
        loss_allowed: whether the user asked for the file although a stage failed the gate.
        origin: what all stages are measured beside; none in files from before it was recorded.
    """

    pictures: str
    stages: list[StageFidelity]
    loss_allowed: bool = False
    origin: Origin | None = None


class Feeding(_Part, frozen=True):
    """Whether pictures, fed as asked, are like those that the network was trained on.

    Divergences are those of Kullback and Leibler, in nats, of what a BatchNorm layer gets from what
    it remembers: the median over its channels.

    Attributes:
        verdict: `fits`, `doubtful`, `misfit`, or `unknown` where nothing could be compared.
        reason: in words; empty where it fits.
        pictures: number of calibration pictures compared.
        divergence: median over the layers; none where nothing was compared.
        first_layer: that of the first layer.
        allowed: up to which the pictures fit.
        misfit_allowed: whether the user asked for the file although it is a misfit.
    """

    verdict: str
    reason: str = ""
    pictures: int = 0
    divergence: float | None = None
    first_layer: float | None = None
    allowed: float | None = None
    misfit_allowed: bool = False

    def __str__(self) -> str:
        words = f"{self.verdict}, misfit allowed" if self.misfit_allowed else self.verdict
        if self.divergence is not None:
            words += f" (divergence {self.divergence:.3g} on {self.pictures} pictures)"
        return f"{words}: {self.reason}" if self.reason else words


class Confidence(_Part, frozen=True, kw_only=True):
    """Whether the confidence was calibrated: by a temperature, folded into the last layer. As text.

    All figures are of labelled pictures that had no part in making the model; where one was tried,
    those after it are cross-validated: of pictures that the temperature was not fitted to.

    Attributes:
        temperature: what logits are divided by (Guo et al. 2017, arXiv:1706.04599); 1 where they
            were left alone.
        images: number of these pictures, none of them counted twice.
        reason: why they were left alone; empty where they were not.
        interval: 95 % interval of the likeliest temperature, of which the end nearer to 1 is used;
            none where no temperature was tried, and so is what follows but for `…_before`.
        gain: by how much the log-likelihood grows, in nats a picture.
        gain_error: its standard error.
        error, error_before: expected calibration error after and before.
        error_by_chance: that which a perfectly calibrated network would show on so few pictures.
        nll, nll_before: mean negative log-likelihood after and before, in nats.
        tied: pictures of which 8-bit probabilities give another answer than before, two classes
            that were one step apart having the same.
    """

    temperature: float = 1.0
    images: int = 0
    reason: str = ""
    interval: tuple[float, float] | None = None
    gain: float | None = None
    gain_error: float | None = None
    error: float | None = None
    error_before: float | None = None
    error_by_chance: float | None = None
    nll: float | None = None
    nll_before: float | None = None
    tied: int = 0

    def __str__(self) -> str:
        if self.reason:
            return f"left as it is: {self.reason}"
        words = f"temperature {self.temperature:.3g}, from {self.images} labelled pictures"
        if self.error is not None and self.error_before is not None:
            words += f"; calibration error {self.error_before:.3f} before, {self.error:.3f} after"
        if self.error_by_chance is not None:
            words += f" ({self.error_by_chance:.3f} by chance)"
        return words


class Manifest(
    _Part,
    frozen=True,
    # The file keeps the spelling that it began with.
    rename={"normalization": "normalisation", "quantization": "quantisation"},
):
    """Contents of `edgekit.json`.

    Attributes:
        schema: version of this layout.
        arch: for example `resnet18`; `onnx` or `pytorch` for a network of the user's own.
        head: layers of the head, for example `Linear(512, 10)`; of an ONNX model, what
            was made of its end, where that was anything.
        classes: number of classes.
        geometry: input geometry, as `edgekit.vision.preprocess.prepare` takes it.
        normalization: folded into the model; a client feeds raw pixel values.
        flatbuffer_sha256: of the bytes before the appended zip, in hexadecimal.
        weights: what the user gave: `imagenet-v1`, or the file's name.
        weights_sha256: of the checkpoint, in hexadecimal.
        tools: versions of the packages that took part.
        feeding: whether the pictures fit the network; none in files of before this was checked.
        confidence: how it was calibrated; none in files of before this was done.
        profile: what pictures and answers looked like; none in files of before this was kept.
        decision: settings that were found for this model; none where nobody looked for them.
    """

    schema: int
    arch: str
    head: str
    classes: int
    geometry: Geometry
    normalization: Normalization
    quantization: Quantization
    fidelity: Fidelity
    flatbuffer_sha256: str
    weights: str
    weights_sha256: str
    tools: dict[str, str]
    feeding: Feeding | None = None
    confidence: Confidence | None = None
    profile: Profile | None = None
    decision: Recommendation | None = None
