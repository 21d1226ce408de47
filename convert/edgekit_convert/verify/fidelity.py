"""The figures of a stage beside the untouched original, and the gate they have to pass."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit.model.manifest import Fidelity, StageFidelity
from edgekit_convert.answers import LEAST, Answers, softmax
from edgekit_convert.report.findings import Gate

# Float stages compute the same function; what they may differ in is the order of additions.
FLOAT_AGREEMENT = 0.99


@dataclass(frozen=True)
class Thresholds:
    """What int8 must keep.

    Attributes:
        kept: least part of the original's accuracy, for labelled pictures (0.99 is MLPerf's rule).
        agreement: least part of the pictures with the original's answer, without labels.
    """

    kept: float = 0.99
    agreement: float = 0.98


def signal_to_noise(reference: NDArray[Any], values: NDArray[Any]) -> float | None:
    """10 log10 of the reference's energy over the difference's, in dB; None without difference."""
    exact = reference.astype(np.float64)
    noise = float(((exact - values) ** 2).sum())
    signal = float((exact**2).sum())
    return round(10 * math.log10(max(signal, 1e-30) / noise), 2) if noise else None


def divergence(logits: NDArray[np.float32], reference: NDArray[np.float32]) -> float:
    """Mean Kullback-Leibler divergence of softmax(logits) from softmax(reference), in nats."""
    exact = softmax(reference.astype(np.float64))
    other = softmax(logits.astype(np.float64))
    return _kl(exact, np.maximum(other, 1e-12))


def _kl(exact: NDArray[Any], other: NDArray[Any]) -> float:
    ratio = np.log(np.maximum(exact, 1e-12)) - np.log(other)
    return max(0.0, float((exact * ratio).sum(axis=1).mean()))


def agreement(answers: Answers, reference: Answers) -> float:
    """Part of the pictures with the same top-1, in [0, 1]."""
    same = answers.probabilities.argmax(axis=1) == reference.probabilities.argmax(axis=1)
    return round(float(same.mean()), 6)


def wilson_interval(part: float, count: int) -> tuple[float, float]:
    """95 % confidence interval of a proportion (Wilson 1927, J. Am. Stat. Assoc. 22)."""
    z = 1.959964
    centre = (part + z * z / (2 * count)) / (1 + z * z / count)
    reach = z / (1 + z * z / count) * math.sqrt(part * (1 - part) / count + (z / 2 / count) ** 2)
    return round(max(0.0, centre - reach), 6), round(min(1.0, centre + reach), 6)


def compare(
    stage: str, answers: Answers, reference: Answers, truth: NDArray[np.int64] | None
) -> StageFidelity:
    """Figures of one stage.

    Args:
        stage: its name in the report.
        answers, reference: of the stage and of the original, to the same pictures.
        truth: class indices (N,), where the pictures have labels.
    """
    best = np.argsort(-answers.probabilities, axis=1, kind="stable")[:, :5]
    original = reference.probabilities.argmax(axis=1)
    top1 = top5 = interval = None
    if truth is not None:
        top1 = round(float((best[:, 0] == truth).mean()), 6)
        top5 = round(float((best == truth[:, None]).any(axis=1).mean()), 6)
        interval = wilson_interval(top1, len(truth))
    kl = _kl(reference.probabilities, np.maximum(answers.probabilities, LEAST))
    return StageFidelity(
        stage=stage,
        images=len(best),
        agreement=agreement(answers, reference),
        top5_agreement=round(float((best == original[:, None]).any(axis=1).mean()), 6),
        kl=round(kl, 8),
        snr_db=signal_to_noise(reference.logits, answers.logits),
        top1=top1,
        top1_interval=interval,
        top5=top5,
    )


def judge(fidelity: Fidelity, thresholds: Thresholds) -> Gate:
    """Whether a conversion may be written; the reason names the stage and the figures."""
    original = fidelity.stages[0]
    for stage in fidelity.stages[1:]:
        if not _is_int8(stage) and stage.agreement < FLOAT_AGREEMENT:
            reason = (
                f"stage {stage.stage} agrees with {original.stage} on {stage.agreement:.1%} of "
                f"{stage.images} pictures, less than {FLOAT_AGREEMENT:.0%}"
            )
            return Gate(False, reason, thresholds.kept, thresholds.agreement)
        # Of the few pictures that were held out of the calibration, or that further runtimes
        # answer, one may differ by chance.
        few = fidelity.pictures == "calibration" or stage.images < original.images
        if _is_int8(stage) and (loss := _loss(stage, original, thresholds, few)):
            return Gate(False, loss, thresholds.kept, thresholds.agreement)
    # The first int8 stage answers all pictures, further runtimes a sample.
    int8 = max(fidelity.stages[1:], key=lambda stage: (stage.images, _is_int8(stage)))
    reason = f"int8 agrees with {original.stage} on {int8.agreement:.2%} of {int8.images} pictures"
    if original.top1 and int8.top1 is not None:
        reason += f" and keeps {int8.top1 / original.top1:.2%} of its top-1 accuracy"
    return Gate(True, reason, thresholds.kept, thresholds.agreement)


def _is_int8(stage: StageFidelity) -> bool:
    return stage.stage.startswith(("tflite-int8", "edgetpu"))


def _loss(
    stage: StageFidelity, original: StageFidelity, thresholds: Thresholds, few: bool
) -> str | None:
    if not few and original.top1 and stage.top1 is not None:
        if stage.top1 >= thresholds.kept * original.top1:
            return None
        return (
            f"stage {stage.stage} has {stage.top1:.2%} top-1 where {original.stage} has "
            f"{original.top1:.2%}, less than {thresholds.kept:.2%} of it"
        )
    agreement = wilson_interval(stage.agreement, stage.images)[1] if few else stage.agreement
    if agreement >= thresholds.agreement:
        return None
    return (
        f"stage {stage.stage} agrees with {original.stage} on {stage.agreement:.2%} of "
        f"{stage.images} pictures, less than {thresholds.agreement:.2%}"
        + (" beyond chance" if few else "")
    )
