"""The figures of a stage beside the reference, and the gate they have to pass."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgekit.model.manifest import StageFidelity
from edgekit.offline.statistics import wilson
from edgekit.text import percent
from edgekit_convert.answers import (
    MINIMUM_PROBABILITY,
    Answers,
    agreement,
    divergence,
    signal_to_noise,
)

# Float stages compute the same function; what they may differ in is the order of additions.
FLOAT_AGREEMENT = 0.99


class Kind(enum.StrEnum):
    """What a stage may differ in from the one that all are compared with."""

    REFERENCE = "reference"  # that one
    FLOAT = "float"  # the same function in another form: nothing
    INT8 = "int8"  # the rounding


class Stage(msgspec.Struct, frozen=True):
    """A stage of a conversion.

    Attributes:
        kind: what it may differ in.
        figures: beside the reference.
    """

    kind: Kind
    figures: StageFidelity


@dataclass(frozen=True)
class Thresholds:
    """What int8 must keep.

    Attributes:
        kept: minimum fraction of the reference's accuracy, for labelled pictures (0.99 is
            MLPerf's rule).
        agreement: minimum fraction of the pictures with the reference's answer, without labels.
    """

    kept: float = 0.99
    agreement: float = 0.98


class Gate(msgspec.Struct, frozen=True):
    """The decision whether the file may be written.

    Attributes:
        passed: whether int8 is faithful enough.
        reason: one sentence with the figures that decided.
        min_kept: minimum fraction of the float accuracy that int8 must keep (labelled pictures).
        min_agreement: minimum agreement (pictures without labels).
        overridden: whether it did not pass and `--allow-loss` wrote the file all the same.
    """

    passed: bool
    reason: str
    min_kept: float
    min_agreement: float
    overridden: bool = False


def compare(
    stage: str, answers: Answers, reference: Answers, truth: NDArray[np.int64] | None
) -> StageFidelity:
    """Figures of one stage.

    Args:
        stage: its name in the report.
        answers, reference: of the stage and of the untouched network, to the same pictures.
        truth: class indices (N,), where the pictures have labels.
    """
    best = np.argsort(-answers.probabilities, axis=1, kind="stable")[:, :5]
    expected = reference.probabilities.argmax(axis=1)
    top1 = top5 = interval = None
    if truth is not None:
        top1 = round(float((best[:, 0] == truth).mean()), 6)
        top5 = round(float((best == truth[:, None]).any(axis=1).mean()), 6)
        low, high = wilson(top1, len(truth))
        interval = round(low, 6), round(high, 6)
    kl = divergence(answers.probabilities, reference.probabilities, MINIMUM_PROBABILITY)
    return StageFidelity(
        stage=stage,
        images=len(best),
        agreement=agreement(answers, reference),
        top5_agreement=round(float((best == expected[:, None]).any(axis=1).mean()), 6),
        kl=round(kl, 8),
        snr_db=signal_to_noise(reference.logits, answers.logits),
        top1=top1,
        top1_interval=interval,
        top5=top5,
    )


def judge(stages: Sequence[Stage], thresholds: Thresholds, *, held_out: bool) -> Gate:
    """Whether a conversion may be written; the reason names the stage and the figures.

    Args:
        stages: the reference first, and one of int8 at least.
        thresholds: what int8 must keep.
        held_out: whether the pictures are the few held out of the calibration.
    """
    reference = stages[0].figures
    for stage in stages[1:]:
        if loss := find_loss(stage, reference, thresholds, held_out=held_out):
            return Gate(False, loss, thresholds.kept, thresholds.agreement)
    int8 = decisive(stages).figures
    reason = (
        f"int8 agrees with {reference.stage} on {percent(int8.agreement, 2)} of {int8.images} "
        "pictures"
    )
    if reference.top1 and int8.top1 is not None:
        kept = percent(int8.top1 / reference.top1, 2)
        reason += f" and keeps {kept} of its top-1 accuracy"
    return Gate(True, reason, thresholds.kept, thresholds.agreement)


def decisive(stages: Sequence[Stage]) -> Stage:
    """The stage that shows what the file does: int8 in the first runtime, on all pictures."""
    return next(stage for stage in stages if stage.kind is Kind.INT8)


def find_loss(
    stage: Stage, reference: StageFidelity, thresholds: Thresholds, *, held_out: bool
) -> str | None:
    """What a stage lost that it may not lose, in words; None where it passes.

    Args:
        stage: float or int8.
        reference: figures of the stage that all are compared with.
        thresholds: what int8 must keep.
        held_out: whether the pictures are the few held out of the calibration.
    """
    figures = stage.figures
    agrees = f"stage {figures.stage} agrees with {reference.stage} on"
    if stage.kind is Kind.FLOAT:
        if figures.agreement >= FLOAT_AGREEMENT:
            return None
        return (
            f"{agrees} {percent(figures.agreement)} of {figures.images} pictures, less than "
            f"{FLOAT_AGREEMENT:.0%}"
        )
    # Of the few pictures that were held out of the calibration, or that further runtimes answer,
    # one may differ by chance.
    few = held_out or figures.images < reference.images
    if not few and reference.top1 and figures.top1 is not None:
        if figures.top1 >= thresholds.kept * reference.top1:
            return None
        return (
            f"stage {figures.stage} has {percent(figures.top1, 2)} top-1 where {reference.stage} "
            f"has {percent(reference.top1, 2)}, less than {percent(thresholds.kept, 2)} of it"
        )
    upper = wilson(figures.agreement, figures.images)[1] if few else figures.agreement
    if upper >= thresholds.agreement:
        return None
    return (
        f"{agrees} {percent(figures.agreement, 2)} of {figures.images} pictures, less than "
        f"{percent(thresholds.agreement, 2)}{' beyond chance' if few else ''}"
    )
