"""Whether the pictures, as they are fed, are like those that the network was trained on.

Without a label: every BatchNorm layer remembers the mean and the variance of its channels over the
training, and what it gets now is compared with that.
"""

import contextlib
from collections.abc import Callable, Iterable

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgekit.errors import ConversionError, MisfitError
from edgekit.model.manifest import Feeding, Normalization
from edgekit.vision.preprocess import prepare
from edgekit_convert.feeding.candidates import (
    SIZES,
    Way,
    alike,
    colourings,
    describe,
    nats,
    options,
)
from edgekit_convert.feeding.memory import find_memory
from edgekit_convert.feeding.statistics import Memory, Moments, Norm, join
from edgekit_convert.pictures import evenly_spread
from edgekit_convert.weights.recorded import Recorded
from edgekit_convert.weights.trained import Network

FITS, DOUBTFUL, MISFIT, UNKNOWN = "fits", "doubtful", "misfit", "unknown"
# Pictures that are compared, and of these those after which it may be clear that they fit.
SAMPLE = 64
_GLANCE = 24
# At 224 px, pictures that other ways are tried on: first, and at last.
_FEW, _SOME = 8, 32
# Thresholds in nats, from the measurements in docs/feeding.md.
_ALLOWED, _ALLOWED_BY_CHANCE = 0.03, 0.8  # the second over the number of pictures
_GROSS = 0.6
# From a third of what is allowed on other ways are tried: one that is far better is told, although
# the difference may be chance.
_SUSPICIOUS = 1 / 3
_FAR_BETTER = 5
# Light and colour move the first layer, and by several times as much as the median of all.
_FIRST = 0.25
# A change of the colours or of the size is followed where it halves what does not fit.
_BETTER = 2


class Fit(msgspec.Struct, frozen=True):
    """How far what the BatchNorm layers get is from what they remember, in nats.

    Attributes:
        layers: their names, in the order in which a picture passes them.
        divergences: of each, the median over its channels.
    """

    layers: list[str]
    divergences: list[float]

    @property
    def median(self) -> float:
        """Of the layers."""
        return float(np.median(self.divergences))

    @property
    def first(self) -> float:
        """That of the first layer, which sees the colours before anything has evened them out."""
        return self.divergences[0]

    @property
    def score(self) -> float:
        """What ways to feed are compared by."""
        return max(self.median, _FIRST * self.first)


class Finding(msgspec.Struct, frozen=True):
    """What the check found: the summary, which the manifest keeps, and the fit, if there is one."""

    summary: Feeding
    fit: Fit | None = None


# The untouched pictures (H, W, 3) uint8 that some of the prepared ones were made from, by index;
# None where there are none.
Untouched = Callable[[NDArray[np.intp]], Iterable[NDArray[np.uint8]] | None]


def compare(
    memory: Memory, way: Way, pictures: NDArray[np.uint8], layers: int | None = None
) -> Fit:
    """How far what the first `layers`, or all, get is from what they remember.

    Args:
        memory: of the network.
        way: how it is fed.
        pictures: prepared for that, (N, H, W, 3) uint8.
        layers: how many; fewer cost less.

    Raises:
        ConversionError: the network takes no pictures of this size.
    """
    return _fit(memory.norms[:layers], memory.see(way.feed(pictures), layers))


def _fit(norms: list[Norm], seen: list[Moments]) -> Fit:
    found = [norm.divergence(moments) for norm, moments in zip(norms, seen, strict=True)]
    return Fit([norm.name for norm in norms], found)


def allowed_by_chance(count: int) -> float:
    """Up to which score `count` pictures, fed as in training, may come, in nats."""
    return _ALLOWED + _ALLOWED_BY_CHANCE / count


class FeedingCheck:
    """The check, in three steps, each as early in a conversion as it can be.

    Args:
        asked: how the network is to be fed.
        allow_misfit: only note what would be refused.
    """

    def __init__(self, asked: Way, *, allow_misfit: bool) -> None:
        self._asked = asked
        self._allow_misfit = allow_misfit
        self._objections: list[str] = []
        self._memory = Memory([], None, lambda pictures, layers: [])
        self._one_size = False
        self._contradiction: str | None = None

    def check_normalization(self) -> None:
        """Before anything is read: no pixels from 0 to 1 have such a mean or standard deviation.

        Raises:
            MisfitError: so it is.
        """
        likely = _from_0_to_1(self._asked.normalization)
        if likely != self._asked.normalization:
            self._object(
                f"{options(self._asked.normalization)} are not of pixels from 0 to 1; of pixels "
                f"from 0 to 255 they would be {options(likely)}"
            )

    def check_network(self, network: Network, *, one_size: bool = False) -> None:
        """Before pictures are read: statistics as they were made mean that nobody trained them.

        Args:
            network: the trained one.
            one_size: whether it takes pictures of the size asked for only; no other is tried then.

        Raises:
            MisfitError: so they are.
            ConversionError: a layer's variance is below 0, or its statistics are not finite.
        """
        self._memory, self._one_size = find_memory(network, self._asked.geometry), one_size
        norms, untrained = self._memory.norms, [n.name for n in self._memory.untrained]
        if untrained:
            which = "every BatchNorm layer has"
            if len(untrained) < len(norms):
                which = (
                    f"{len(untrained)} of {len(norms)} BatchNorm layers ({untrained[0]}, …) have"
                )
            self._object(
                f"{which} the mean 0 and the variance 1 that it was made with: the network is not "
                "trained, or its statistics were not saved; give the trained network's own file"
            )

    def check_recorded(self, recorded: Recorded | None, *, pictures_tell: bool) -> str | None:
        """Compare what the network's trainer wrote down with what is asked for.

        Args:
            recorded: how it was fed, as the file says it.
            pictures_tell: whether pictures follow; where they fit as asked, they are right.

        Returns:
            in what the two differ, in words.

        Raises:
            MisfitError: in the normalization, and no BatchNorm statistics can tell who is right.
        """
        if recorded is None:
            return None
        asked, other = self._asked.normalization, recorded.normalization
        if other is not None and not alike(asked, other):
            said = (
                f"{recorded.where} says that the network was trained with {options(other)}, asked "
                f"for are {options(asked)}"
            )
            if pictures_tell and self.has_memory:
                self._contradiction = said
            else:
                self._object(said)
            return said
        if recorded.sizes and self._asked.geometry.width not in recorded.sizes:
            sizes = " or ".join(map(str, sorted(recorded.sizes)))
            return (
                f"{recorded.where} says that the network was trained at {sizes} px, asked for is "
                f"--size {self._asked.geometry.width}"
            )
        return None

    @property
    def has_memory(self) -> bool:
        """Whether the network has BatchNorm statistics; known after `check_network`."""
        return bool(self._memory.norms)

    def check_pictures(self, pictures: NDArray[np.uint8], untouched: Untouched) -> Finding:
        """Compare what the layers get of calibration pictures with what they remember.

        Args:
            pictures: prepared as asked, (N, H, W, 3) uint8.
            untouched: gives them for other sizes, which are not tried without.

        Raises:
            MisfitError: another way to feed fits far better, or the pictures do not fit at all.
        """
        if not self._memory.norms:
            return self.unknown(
                "the network carries no BatchNorm statistics, so how it was fed in training "
                "cannot be checked"
            )
        sample, fit = self._look(pictures)
        allowed = allowed_by_chance(len(sample))
        verdict, reason = FITS, ""
        if fit.score > _SUSPICIOUS * allowed and not self._objections:
            verdict, reason = self._explain(fit, pictures[sample], sample, untouched, allowed)
        if verdict != FITS and self._contradiction is not None:
            verdict, reason = MISFIT, f"{self._contradiction}; {reason}"
        if verdict == MISFIT:
            self._object(reason)
        summary = self._summary(verdict, reason)
        return Finding(
            msgspec.structs.replace(
                summary,
                pictures=len(sample),
                divergence=round(fit.median, 4),
                first_layer=round(fit.first, 4),
                allowed=round(allowed, 4),
            ),
            fit,
        )

    def _look(self, pictures: NDArray[np.uint8]) -> tuple[NDArray[np.intp], Fit]:
        """Which pictures were compared, and how well they fit.

        A few where these fit as well as all have to: chance makes the figure of few larger. A few,
        too, where the network is objected to already.
        """
        sample = evenly_spread(len(pictures), SAMPLE)
        glance = evenly_spread(len(sample), _GLANCE)
        first, rest = sample[glance], np.delete(sample, glance)
        seen = self._memory.see(self._asked.feed(pictures[first]))
        fit = _fit(self._memory.norms, seen)
        limit = _SUSPICIOUS * allowed_by_chance(len(sample))
        if not len(rest) or self._objections or fit.score <= limit:
            return first, fit
        others = self._memory.see(self._asked.feed(pictures[rest]))
        shares = np.array([len(first), len(rest)]) / len(sample)
        return sample, _fit(self._memory.norms, join([seen, others], shares))

    def unknown(self, reason: str) -> Finding:
        """What is found where there is nothing to compare."""
        return Finding(self._summary(UNKNOWN, reason))

    def _object(self, reason: str) -> None:
        if not self._allow_misfit:
            raise MisfitError(f"{reason} (or accept it: --allow-misfit)")
        self._objections.append(reason)

    def _summary(self, verdict: str, reason: str) -> Feeding:
        if self._objections:
            return Feeding(MISFIT, "; ".join(self._objections), misfit_allowed=True)
        return Feeding(verdict, reason)

    def _explain(
        self,
        fit: Fit,
        pictures: NDArray[np.uint8],
        sample: NDArray[np.intp],
        untouched: Untouched,
        allowed: float,
    ) -> tuple[str, str]:
        """Verdict and reason where the way asked for does not fit: is there one that does?"""
        figures = (
            f"BatchNorm remembers other pictures than the network is fed with (divergence "
            f"{nats(fit.median)}, first layer {nats(fit.first)}, where {nats(allowed)} may be "
            "chance)"
        )
        better = self._better(pictures, sample, untouched, allowed)
        if better is not None:
            way, other = better
            if other.score <= allowed and fit.score >= _FAR_BETTER * other.score:
                trained = (
                    f"the network looks trained {describe(way, self._asked)} ({nats(other.score)})"
                )
                if fit.score > allowed:
                    return MISFIT, f"{figures}; {trained}"
                return DOUBTFUL, f"{trained}, as asked it fits less well ({nats(fit.score)})"
            if fit.score >= _BETTER * other.score and other.score <= _BETTER * allowed:
                figures += f"; nearer is {describe(way, self._asked)} ({nats(other.score)})"
        if fit.score <= allowed:
            return FITS, ""
        remedy = "see to --calibration, --mean, --std and --size"
        if fit.first <= _SUSPICIOUS * allowed:
            remedy += (
                "; where these are right, the network computes otherwise than it was rebuilt, as "
                "--reference shows"
            )
        if fit.median > _GROSS:
            return MISFIT, (
                f"{figures}; the pictures are like none that it was trained on: {remedy}"
            )
        return DOUBTFUL, f"{figures}; {remedy}"

    def _better(
        self,
        pictures: NDArray[np.uint8],
        sample: NDArray[np.intp],
        untouched: Untouched,
        allowed: float,
    ) -> tuple[Way, Fit] | None:
        """The usual way to feed that fits best, and how well; None for the one asked for."""
        way = self._colouring(pictures[evenly_spread(len(pictures), _SOME)], allowed)
        if way != self._asked:
            fit = compare(self._memory, way, pictures)
            if fit.score <= _SUSPICIOUS * allowed:
                return way, fit
        others = None if self._one_size else untouched(sample)
        resized = {} if others is None else _at_all_sizes(others, way)
        resized[way.geometry.width] = pictures

        def fits(sizes: Iterable[int], count: int) -> dict[int, Fit]:
            found = {}
            for size in sizes:
                # As many pictures of each size as cost what `count` do at 224 px.
                chosen = evenly_spread(len(sample), max(2, int(count * (224 / size) ** 2)))
                # What it does behind its layers may need a size.
                with contextlib.suppress(ConversionError):
                    found[size] = compare(self._memory, way.at(size), resized[size][chosen])
            return found

        scores = {size: fit.score for size, fit in fits(resized, _FEW).items()}
        # Few pictures tell neighbours apart by chance.
        limit = _BETTER * min(scores.values())
        near = fits([size for size, score in scores.items() if score <= limit], _SOME)
        best = min(near, key=lambda size: near[size].score)
        asked = self._asked.geometry.width
        if asked in near and near[asked].score < _BETTER * near[best].score:
            best = asked
        way = way.at(best)
        return None if way == self._asked else (way, near[best])

    def _colouring(self, pictures: NDArray[np.uint8], allowed: float) -> Way:
        """The usual normalization and order of channels that fit best, at the size asked for.

        The first layer tells, at a fraction of the price of all.
        """

        first = {
            way: compare(self._memory, way, pictures, layers=1).first
            for way in colourings(self._asked)
        }
        best = min(first, key=lambda way: first[way])
        rgb = min((way for way in first if not way.bgr), key=lambda way: first[way])
        # Red and blue differ little, and the wrong order is worse advice than none.
        way = best if first[rgb] > max(allowed, _BETTER * first[best]) else rgb
        return way if _BETTER * first[way] < first[self._asked] else self._asked


def _at_all_sizes(pictures: Iterable[NDArray[np.uint8]], way: Way) -> dict[int, NDArray[np.uint8]]:
    """Pictures (N, size, size, 3), by size."""
    prepared: dict[int, list[NDArray[np.uint8]]] = {size: [] for size in SIZES}
    for picture in pictures:
        for size, made in prepared.items():
            made.append(prepare(picture, way.at(size).geometry))
    return {size: np.concatenate(made) for size, made in prepared.items()}


def _from_0_to_1(normalization: Normalization) -> Normalization:
    """The same, but what can only be of pixels from 0 to 255 divided by 255."""
    mean, std = normalization.mean, normalization.std
    of_bytes = max(mean) > 1
    if of_bytes:
        mean = _divided(mean)
    # 1 means that nothing was divided, by pixels of either range.
    if max(std) > 1 or (of_bytes and min(std) == 1):
        std = _divided(std)
    return Normalization(mean, std)


def _divided(values: tuple[float, float, float]) -> tuple[float, float, float]:
    red, green, blue = (value / 255 for value in values)
    return red, green, blue
