"""The figures of a stage beside the reference, and the gate they have to pass."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgekit.model.manifest import StageFidelity
from edgekit.offline.statistics import binomial_tail, wilson
from edgekit.text import percent
from edgekit_convert.answers import (
    Answers,
    agreement,
    logit_divergence,
    logit_ratio,
    logit_ratio_interval,
    mean_interval,
    score_change,
)

# Float stages compute the same function; what they may differ in is the order of additions, which
# leaves 110 dB and more, and 70 where the original computes in float16.
FLOAT_AGREEMENT = 0.99
FLOAT_SNR_DB = 40.0


class Kind(enum.StrEnum):
    """What a stage may differ in from the one that all are compared with."""

    REFERENCE = "reference"  # that one
    FLOAT = "float"  # the same function in another form: nothing
    INT8 = "int8"  # the rounding
    COMPILED = "compiled"  # the rounding, by a compiler that leaves no logits to see


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
    """What int8 must keep; the defaults lie between files that were right and broken ones.

    The measurements are in docs/conversion.md.

    Attributes:
        kept: minimum fraction of the reference's accuracy, for labelled pictures (0.99 is
            MLPerf's rule).
        agreement: minimum fraction of the pictures with the reference's answer; None for 0.98, or
            for 0.95 where labels say that the accuracy was kept.
        snr_db: minimum signal-to-noise ratio of the logits, in dB.
        score_change: maximum mean change of the probability of the reference's answer.
    """

    kept: float = 0.99
    agreement: float | None = None
    snr_db: float = 15.0
    score_change: float = 0.03

    def minimum_agreement(self, labelled: bool) -> float:
        """The minimum agreement, for pictures with labels or without."""
        if self.agreement is not None:
            return self.agreement
        return 0.95 if labelled else 0.98


class Gate(msgspec.Struct, frozen=True):
    """The decision whether the file may be written.

    Attributes:
        passed: whether int8 is faithful enough.
        reason: one sentence with the figures that decided.
        min_kept: minimum fraction of the float accuracy that int8 must keep (labelled pictures).
        min_agreement: minimum agreement.
        overridden: whether it did not pass and `--allow-loss` wrote the file all the same.
        min_snr_db: minimum signal-to-noise ratio of the logits, in dB.
        max_score_change: maximum mean change of the score.
    """

    passed: bool
    reason: str
    min_kept: float
    min_agreement: float
    overridden: bool = False
    min_snr_db: float = Thresholds.snr_db
    max_score_change: float = Thresholds.score_change

    @property
    def thresholds(self) -> Thresholds:
        """What int8 had to keep."""
        return Thresholds(self.min_kept, self.min_agreement, self.min_snr_db, self.max_score_change)


def compare(
    stage: str,
    answers: Answers,
    reference: Answers,
    truth: NDArray[np.int64] | None,
    *,
    with_logits: bool = True,
) -> StageFidelity:
    """Figures of one stage.

    Args:
        stage: its name in the report.
        answers, reference: of the stage and of the untouched network, to the same pictures.
        truth: class indices (N,), where the pictures have labels.
        with_logits: whether its logits are its own, and not made of probabilities.
    """
    best = np.argsort(-answers.probabilities, axis=1, kind="stable")[:, :5]
    expected = reference.probabilities.argmax(axis=1)
    top1 = top5 = interval = chance = None
    if truth is not None:
        top1 = round(float((best[:, 0] == truth).mean()), 6)
        top5 = round(float((best == truth[:, None]).any(axis=1).mean()), 6)
        low, high = wilson(top1, len(truth))
        interval = round(low, 6), round(high, 6)
        chance = round(_by_chance(best[:, 0], truth), 6)
    ratio = ratios = None
    if with_logits:
        ratio = logit_ratio(reference.logits, answers.logits)
        ratios = logit_ratio_interval(reference.logits, answers.logits)
    changes = score_change(answers.probabilities, reference.probabilities)
    low, high = mean_interval(changes)
    return StageFidelity(
        stage=stage,
        images=len(best),
        agreement=agreement(answers, reference),
        top5_agreement=round(float((best == expected[:, None]).any(axis=1).mean()), 6),
        kl=round(logit_divergence(answers.logits, reference.logits), 8),
        snr_db=ratio,
        top1=top1,
        top1_interval=interval,
        top5=top5,
        score_change=round(float(changes.mean()), 6),
        score_change_interval=(round(low, 6), round(min(high, 1.0), 6)),
        snr_interval_db=ratios,
        top1_by_chance=chance,
    )


def _by_chance(answers: NDArray[np.intp], truth: NDArray[np.int64]) -> float:
    """Accuracy of answers in these numbers that are independent of the labels (Cohen 1960)."""
    classes = int(max(answers.max(), truth.max())) + 1
    given, right = (
        np.bincount(values, minlength=classes) / len(truth) for values in (answers, truth)
    )
    return float((given * right).sum())


def judge(stages: Sequence[Stage], thresholds: Thresholds, *, held_out: bool) -> Gate:
    """Whether a conversion may be written; the reason names the stage and the figures.

    Args:
        stages: the reference first, and one of int8 at least.
        thresholds: what int8 must keep.
        held_out: whether the pictures are the few held out of the calibration.
    """
    reference = stages[0].figures
    limits = (
        thresholds.kept,
        thresholds.minimum_agreement(reference.top1 is not None),
        False,
        thresholds.snr_db,
        thresholds.score_change,
    )
    loss = find_confusion(reference)
    for stage in stages[1:]:
        loss = loss or find_loss(stage, reference, thresholds, held_out=held_out)
    if loss:
        return Gate(False, loss, *limits)
    int8 = decisive(stages).figures
    reason = (
        f"int8 agrees with {reference.stage} on {percent(int8.agreement, 2)} of {int8.images} "
        "pictures"
    )
    if reference.top1 and int8.top1 is not None:
        kept = percent(int8.top1 / reference.top1, 2)
        reason += f" and keeps {kept} of its top-1 accuracy"
    return Gate(True, reason, *limits)


def find_confusion(reference: StageFidelity) -> str | None:
    """How the untouched network and the labels contradict each other; None where they do not.

    No better than chance is an accuracy that answers independent of the labels reach in one of
    twenty cases or more, where the pictures are enough to tell: their number rules out (by Wilson's
    interval) that the network is half as good as it could be beyond chance.
    """
    top1, chance = reference.top1, reference.top1_by_chance
    if top1 is None:
        return None
    hits = round(top1 * reference.images)
    blame = (
        "the class names or their order, --size, --crop, --mean or --std are not those of "
        "training, or the network is not trained"
    )
    if hits == 0:
        return (
            f"{reference.stage} and the labels disagree wholly (top-1 is right for 0 of "
            f"{reference.images} pictures): {blame}"
        )
    if chance is None:
        return None
    by_chance = chance < 1 and binomial_tail(hits, reference.images, chance) > 0.05
    if by_chance and wilson(top1, reference.images)[1] < (1 + chance) / 2:
        return (
            f"{reference.stage} has {percent(top1, 2)} top-1 on {reference.images} pictures, no "
            f"better than chance ({percent(chance)}): {blame}"
        )
    return None


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
    who = f"stage {figures.stage}"
    agrees = f"{who} agrees with {reference.stage} on"
    if stage.kind is Kind.FLOAT:
        if figures.agreement < FLOAT_AGREEMENT:
            return (
                f"{agrees} {percent(figures.agreement)} of {figures.images} pictures, less than "
                f"{FLOAT_AGREEMENT:.0%}"
            )
        if figures.snr_db is not None and figures.snr_db < FLOAT_SNR_DB:
            return f"{who} differs by {figures.snr_db:.1f} dB, less than {FLOAT_SNR_DB:g} dB"
        return None
    # Of the few pictures that were held out of the calibration, or that further runtimes answer,
    # one may differ by chance.
    few = held_out or figures.images < reference.images
    before, after = reference.top1, figures.top1
    if not few and before is not None and after is not None and after < thresholds.kept * before:
        return (
            f"{who} has {percent(after, 2)} top-1 where {reference.stage} has "
            f"{percent(before, 2)}, less than {percent(thresholds.kept, 2)} of it"
        )
    labelled = before is not None
    # With labels it is known that another answer is not worse, and the minimum is but a bound.
    chance = few or labelled
    minimum = thresholds.minimum_agreement(labelled)
    upper = wilson(figures.agreement, figures.images)[1] if chance else figures.agreement
    if upper < minimum:
        return (
            f"{agrees} {percent(figures.agreement, 2)} of {figures.images} pictures, less than "
            f"{percent(minimum, 2)}{' beyond chance' if chance else ''}"
        )
    beyond = " beyond chance" if few else ""
    best = _better_end(figures.snr_db, figures.snr_interval_db, few, high=True)
    if best is not None and best < thresholds.snr_db:
        return (
            f"{who} has logits with {figures.snr_db:.1f} dB of signal to noise, less than "
            f"{thresholds.snr_db:g} dB{beyond}"
        )
    best = _better_end(figures.score_change, figures.score_change_interval, few, high=False)
    if best is not None and best > thresholds.score_change:
        return (
            f"{who} changes the probability of the answer by {figures.score_change:.3f} on "
            f"average, more than {thresholds.score_change:g}{beyond}"
        )
    return None


def _better_end(
    value: float | None, interval: tuple[float, float] | None, few: bool, *, high: bool
) -> float | None:
    """A figure; of few pictures, the better end of its interval."""
    return interval[high] if few and interval is not None else value
