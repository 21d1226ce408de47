"""Ways to feed a network: the usual ones, which are tried where the one asked for does not fit."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgekit.model.geometry import Geometry
from edgekit.model.manifest import Normalization
from edgekit_convert.weights.imagenet import IMAGENET_MEAN, IMAGENET_STD
from edgekit_convert.weights.trained import normalize

# Inputs that networks are trained at, in pixels.
SIZES = (32, 48, 64, 96, 112, 128, 160, 192, 224, 256, 288, 384)
_BYTE = 1 / 255  # the standard deviation that undoes the division of pixels by 255
# ImageNet's figures and those of other photos differ by less.
_SAME_FIGURES = 0.05
# What networks are trained with, for pixels from 0 to 1. TensorFlow's 127 and 128 are as good as
# the half here, and CIFAR-10's own figures as good as ImageNet's.
NORMALIZATIONS = {
    "ImageNet's mean and standard deviation": Normalization(IMAGENET_MEAN, IMAGENET_STD),
    "pixels from -1 to 1": Normalization((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "pixels from 0 to 1": Normalization((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "pixels from 0 to 1 less ImageNet's mean": Normalization(IMAGENET_MEAN, (1.0, 1.0, 1.0)),
    "pixels from 0 to 255": Normalization((0.0, 0.0, 0.0), (_BYTE, _BYTE, _BYTE)),
    "pixels from 0 to 255 less ImageNet's mean": Normalization(
        IMAGENET_MEAN, (_BYTE, _BYTE, _BYTE)
    ),
}


@dataclass(frozen=True)
class Way:
    """A way to feed a network.

    Attributes:
        geometry: of its input.
        normalization: for red, green and blue, in this order.
        bgr: whether blue comes first.
    """

    geometry: Geometry
    normalization: Normalization
    bgr: bool = False

    def feed(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Raw RGB pictures (N, H, W, 3) to what the network takes, (N, 3, H, W) float32."""
        values = normalize(pictures, self.normalization)
        return np.ascontiguousarray(values[:, ::-1]) if self.bgr else values

    def at(self, size: int) -> "Way":
        """The same at another size, in pixels."""
        return replace(self, geometry=Geometry(size, size, self.geometry.crop))


def colourings(asked: Way) -> list[Way]:
    """Every usual normalization, and the one asked for, in both orders of the channels."""
    normalizations = [asked.normalization, *NORMALIZATIONS.values()]
    return [
        replace(asked, normalization=normalization, bgr=bgr)
        for normalization in normalizations
        for bgr in (False, True)
    ]


def describe(way: Way, asked: Way) -> str:
    """What is other than in the way asked for, and the options that say so.

    For example `at 64 px: --size 64`.
    """
    words, options = [], []
    if way.geometry != asked.geometry:
        words.append(f"at {way.geometry.width} px")
        options.append(f"--size {way.geometry.width}")
    if way.normalization != asked.normalization:
        name = next(name for name, one in NORMALIZATIONS.items() if one == way.normalization)
        words.append(f"on {name}")
        options += [f"--mean {triple(way.normalization.mean)}",
                    f"--std {triple(way.normalization.std)}"]  # fmt: skip
    if way.bgr:
        words.append("on blue, green, red")
        options.append("reverse the input channels of its first convolution")
    return f"{' and '.join(words)}: {' '.join(options)}"


def triple(values: tuple[float, float, float]) -> str:
    """As `--mean` and `--std` take it."""
    return ",".join(f"{value:.6g}" for value in values)


def options(normalization: Normalization) -> str:
    """As the command line says it."""
    return f"--mean {triple(normalization.mean)} --std {triple(normalization.std)}"


def alike(one: Normalization, other: Normalization) -> bool:
    """Whether they differ by less than others make of the same pictures' figures."""
    pairs = zip((*one.mean, *one.std), (*other.mean, *other.std), strict=True)
    return all(abs(first - second) < _SAME_FIGURES for first, second in pairs)


def nats(divergence: float) -> str:
    """A divergence, as people read it."""
    return f"{divergence:.2g}" if divergence < 1000 else f"{divergence:.0f}"
