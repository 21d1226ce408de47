"""Whether a model's confidence is calibrated, by which temperature, and if not, why.

A temperature is used where the log-likelihood of pictures that it was not fitted to gains by more
than its standard error, and neither their calibration error grows nor what of it is beyond chance.
"""

import hashlib
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgekit.model.manifest import Confidence
from edgekit.offline.calibration import Calibration, measure_calibration
from edgekit_convert.answers import Answers, softmax
from edgekit_convert.confidence.last_layer import (
    NotFoldedError,
    answer_integers,
    integers,
    temper,
)
from edgekit_convert.confidence.temperature import (
    HIGHEST,
    LOWEST,
    cross_validate,
    fit_temperature,
    log_likelihoods,
)
from edgekit_convert.pictures import Pictures

# With fewer pictures, or fewer mistakes among them, up to one in twenty of simulated networks whose
# confidence is right became worse, by up to 0.25 nats a picture; with these one in a hundred, by
# up to 0.01.
MINIMUM_PICTURES, MINIMUM_OF_EACH = 100, 10
_MINIMUM_STEP = 0.01  # of a temperature: less is not seen in 8 bits
# Two classes next to each other may get the same 8-bit probability, and the first is the answer.
_MAXIMUM_TIED = 0.01


@dataclass(frozen=True)
class Curves:
    """How far the confidence is to be believed, on labelled pictures.

    Attributes:
        before: of the int8 network.
        after: of the same with a temperature, on pictures that it was not fitted to; none where
            no temperature was tried.
    """

    before: Calibration
    after: Calibration | None = None


@dataclass(frozen=True)
class Calibrated:
    """A model whose confidence was looked at.

    Attributes:
        flatbuffer: int8, with the temperature; as it was, where it was left alone.
        summary: what was done.
        curves: none without labelled pictures.
    """

    flatbuffer: bytes
    summary: Confidence
    curves: Curves | None = None


def calibrate(
    flatbuffer: bytes,
    answers: Answers,
    pictures: Pictures | None,
    *,
    keep: str = "",
    seed: int = 0,
) -> Calibrated:
    """Find a temperature and fold it into a model, where that is proven to help.

    Args:
        flatbuffer: int8, with int8 input and output.
        answers: its answers to the pictures, logits finite.
        pictures: that had no part in making it; None where there are none.
        keep: why the confidence is to be left alone; empty where it is not.
        seed: of the folds of the cross-validation.
    """
    truth = None if pictures is None else pictures.truth
    if pictures is None or truth is None:
        missing = "have no labels" if pictures is not None else "were not given"
        reason = keep or f"evaluation pictures, which a temperature is fitted to, {missing}"
        return Calibrated(flatbuffer, Confidence(reason=reason))
    chosen = _distinct(pictures.tensors, truth)
    logits, known = answers.logits[chosen], truth[chosen]
    before = _measure(logits, known)
    summary = Confidence(
        images=len(known),
        error_before=_rounded(before.error),
        error_by_chance=_rounded(before.chance_error),
        nll_before=_rounded(before.nll),
    )
    reason = keep or _too_little(logits, known)
    if reason:
        left = msgspec.structs.replace(summary, reason=reason)
        return Calibrated(flatbuffer, left, Curves(before))
    return _tried(flatbuffer, answers, logits, known, before, summary, seed)


def _distinct(tensors: NDArray[np.uint8], truth: NDArray[np.int64]) -> NDArray[np.intp]:
    """Indices of pictures that are there once: copies prove nothing, and would be in two folds."""
    first: dict[tuple[bytes, int], int] = {}
    for index, (tensor, label) in enumerate(zip(tensors, truth, strict=True)):
        first.setdefault((hashlib.sha256(tensor.tobytes()).digest(), int(label)), index)
    return np.array(list(first.values()), np.intp)


def _too_little(logits: NDArray[np.float32], truth: NDArray[np.int64]) -> str:
    """Why labelled pictures do not tell a temperature; empty where they may."""
    count = len(truth)
    if count < MINIMUM_PICTURES:
        return f"{count} labelled pictures are too few: a temperature takes {MINIMUM_PICTURES}"
    if len(np.unique(truth)) == 1:
        return f"all {count} labelled pictures show one class"
    right = int((logits.argmax(axis=1) == truth).sum())
    if min(right, count - right) >= MINIMUM_OF_EACH:
        return ""
    fewer, word = (count - right, "wrong") if right > count / 2 else (right, "right")
    return (
        f"{fewer or 'none'} of {count} pictures answered {word} {'is' if fewer < 2 else 'are'} too "
        f"few to tell how sure is too sure: it takes {MINIMUM_OF_EACH}"
    )


def _tried(
    flatbuffer: bytes,
    answers: Answers,
    logits: NDArray[np.float32],
    truth: NDArray[np.int64],
    before: Calibration,
    summary: Confidence,
    seed: int,
) -> Calibrated:
    fit = fit_temperature(logits, truth)
    others = cross_validate(logits, truth, fit.likeliest, seed)[:, None]
    gains = log_likelihoods(logits / others, truth) - log_likelihoods(logits, truth)
    after = _measure((logits / others).astype(np.float32), truth)
    summary = msgspec.structs.replace(
        summary,
        interval=fit.interval,
        gain=_rounded(gains.mean()),
        gain_error=_rounded(gains.std(ddof=1) / len(gains) ** 0.5),
        error=_rounded(after.error),
        error_by_chance=_rounded(after.chance_error),
        nll=_rounded(after.nll),
    )
    curves = Curves(before, after)
    reason = _no_gain(fit.temperature, summary, curves)
    if not reason:
        try:
            tempered, exact, tied = _folded(flatbuffer, fit.temperature, answers)
        except NotFoldedError as error:
            reason = str(error)
        else:
            summary = msgspec.structs.replace(summary, temperature=_rounded(exact), tied=tied)
            return Calibrated(tempered, summary, curves)
    return Calibrated(flatbuffer, msgspec.structs.replace(summary, reason=reason), curves)


def _no_gain(temperature: float, found: Confidence, curves: Curves) -> str:
    """Why a temperature is not used; empty where it helps pictures that it was not fitted to.

    Args:
        temperature: that of all pictures.
        found: figures of the cross-validation.
        curves: of it, both.
    """
    before, after = curves.before, curves.after
    assert after is not None
    assert found.gain is not None and found.gain_error is not None
    if abs(temperature - 1) < _MINIMUM_STEP:
        assert found.interval is not None
        low, high = found.interval
        if (low, high) == (LOWEST, HIGHEST):
            return "the pictures set no bound to the temperature"
        return f"1 is within the temperature's 95 % interval, {low:.3g} to {high:.3g}, or nearly so"
    if found.gain <= found.gain_error:
        return (
            f"the log-likelihood would gain {found.gain:.2g} nats a picture, no more than its "
            f"standard error of {found.gain_error:.2g}"
        )
    for one, name in ((lambda curve: curve.error, "error"), (_beyond, "error beyond chance")):
        if one(after) > one(before):
            return (
                f"the log-likelihood would gain {found.gain:.2g} nats a picture, but the "
                f"calibration {name} would grow from {one(before):.3f} to {one(after):.3f}"
            )
    return ""


def _beyond(curve: Calibration) -> float:
    """The calibration error, less that of a perfectly calibrated network on as few pictures."""
    return max(0.0, curve.error - curve.chance_error)


def _folded(flatbuffer: bytes, temperature: float, answers: Answers) -> tuple[bytes, float, int]:
    """The model with a temperature, the one that it has, and how many pictures 8 bits answer apart.

    Raises:
        NotFoldedError: it has no layer for it, or too many pictures would be answered otherwise.
    """
    tempered, exact = temper(flatbuffer, temperature)
    found = answer_integers(tempered, integers(flatbuffer, answers.logits)).argmax(axis=1)
    tied = int((found != answers.probabilities.argmax(axis=1)).sum())
    if tied > _MAXIMUM_TIED * len(found):
        raise NotFoldedError(
            f"8-bit probabilities would answer {tied} of {len(found)} pictures otherwise with a "
            f"temperature of {exact:.3g}"
        )
    return tempered, exact, tied


def _measure(logits: NDArray[np.float32], truth: NDArray[np.int64]) -> Calibration:
    probabilities = softmax(logits)
    true = np.take_along_axis(probabilities, truth[:, None], axis=1)[:, 0]
    return measure_calibration(
        probabilities.max(axis=1), probabilities.argmax(axis=1) == truth, true
    )


def _rounded(value: float) -> float:
    return round(float(value), 6)
