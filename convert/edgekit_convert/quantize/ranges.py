"""Rules that choose the range of each activation, the part of the real line that 8 bits cover.

Smallest to largest value; percentiles (Wu et al. 2020, arXiv:2004.09602); and the range of minimum
mean square error (Nagel et al. 2021, arXiv:2106.08295, section 3.1). Scale and zero point are those
of Jacob et al. 2018, arXiv:1712.05877, section 2.1.
"""

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgekit_convert.graph.flatbuffer import RELU, FlatbufferEditor
from edgekit_convert.quantize.activations import Activation
from edgekit_convert.quantize.operators import KERNELS
from edgekit_convert.quantize.rounding import MAXIMUM
from edgekit_convert.quantize.structure import Group, constant_range, hull

# What rounding to a range, by its low and high end, costs.
Error: TypeAlias = Callable[[float, float], float]

# Values that the error of a range is computed from.
_VALUES = 100_000
# Values that a percentile is taken of; 25 of them lie beyond the 99.99th.
_RANKED = 250_000
# A range is that of so many times as many pictures as were seen.
_TIMES = 3.0
# Blocks of pictures whose extremes say how fast values thin out: a share, and no fewer than.
_TAIL, _TAIL_LEAST = 0.1, 5
# What the sums of a layer may be multiplied by.
_MULTIPLIER = 128.0
_DROPPING = ("MAX_POOL_2D", "RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1")
_SHRINK = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5, 0.4, 0.3, 0.2)


def min_max(activation: Activation, error: Error) -> tuple[float, float]:
    """Smallest to largest value that was seen."""
    return activation.low, activation.high


def percentile(percent: float) -> "Rule":
    """A rule whose ends cut off 100 - `percent` % of the values each, but never 0."""

    def choose(activation: Activation, error: Error) -> tuple[float, float]:
        every = max(1, activation.sample.size // _RANKED)
        low, high = np.percentile(activation.sample[::every], (100 - percent, percent))
        return min(0.0, float(low)), max(0.0, float(high))

    return choose


def minimum_error(activation: Activation, error: Error) -> tuple[float, float]:
    """Shrink the ends of the range in turn, each to where the error is smallest."""
    low, high = activation.low, activation.high
    for _ in range(2):
        high = min((f * activation.high for f in _SHRINK), key=lambda end: error(low, end))
        if low < 0:
            low = min((f * activation.low for f in _SHRINK), key=lambda end: error(end, high))
    return low, high


Rule: TypeAlias = Callable[[Activation, Error], tuple[float, float]]
RULES: dict[str, Rule] = {
    "min-max": min_max,
    "percentile-99.99": percentile(99.99),
    "percentile-99.9": percentile(99.9),
    "mse": minimum_error,
}


def stretch(extremes: NDArray[np.float32]) -> float:
    """By what factor an end of a range goes beyond the furthest value that was seen.

    What thins out exponentially beyond some threshold, as most things far out do (Pickands 1975,
    Ann. Statist. 3(1); the generalized Pareto distribution of shape 0), has its extreme of t times
    as many pictures further out by ln t times the mean excess over that threshold.

    Args:
        extremes: how far from 0 the furthest value of each block of pictures is (B,).

    Returns:
        1 where nothing thins out: of one block, or of blocks that end in one value; at most
        1 + ln 3.
    """
    furthest = np.sort(extremes)[::-1]
    tail = min(max(_TAIL_LEAST, round(_TAIL * len(furthest))), len(furthest) - 1)
    if tail < 1 or furthest[0] <= 0:
        return 1.0
    excess = float((furthest[:tail] - furthest[tail]).mean())
    return 1 + math.log(_TIMES) * excess / float(furthest[0])


def scale_and_zero_point(low: float, high: float) -> tuple[float, int]:
    """Scale and int8 zero point of a range that includes 0.

    A real value r is stored as the integer r / scale + zero_point in -128…127; 0 is exact.
    """
    # Of nothing but 0, any range will do; kernels do not stand one too small.
    scale = (high - low or 1.0) / 255
    return scale, round(-low / scale) - 128


def quantize_values(values: NDArray[np.float32], low: float, high: float) -> NDArray[np.int8]:
    """The int8 numbers of values, rounded to a range; those beyond it are at its ends."""
    scale, zero_point = scale_and_zero_point(low, high)
    integers = np.clip(np.rint(values / scale) + zero_point, -128, 127)
    return np.asarray(integers, dtype=np.int8)


def fake_quantize(values: NDArray[np.float32], low: float, high: float) -> NDArray[np.float32]:
    """The values that int8 stands for, once values were rounded to a range."""
    scale, zero_point = scale_and_zero_point(low, high)
    integers = np.clip(np.rint(values / scale) + zero_point, -128, 127)
    return np.asarray((integers - zero_point) * scale, dtype=np.float32)


def error_of(values: NDArray[np.float32]) -> Error:
    """The mean square of what rounding values to a range changes."""
    return lambda low, high: float(np.square(fake_quantize(values, low, high) - values).mean())


def error_of_sum(values: NDArray[np.float32], other: NDArray[np.float32], *, relu: bool) -> Error:
    """The same of values + other, behind a ReLU if there is one, with only the values rounded."""

    def total(summand: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.maximum(summand + other, 0) if relu else summand + other

    exact = total(values)
    return lambda low, high: float(
        np.square(total(fake_quantize(values, low, high)) - exact).mean()
    )


def choose_ranges(
    model: FlatbufferEditor, groups: list[Group], activations: dict[str, Activation], rule: str
) -> list[tuple[float, float]]:
    """Range of each group of a float model's tensors by one of `RULES`.

    For the rule `mse` the error is the mean square of what rounding changes; for a tensor that is
    only added to another, that of the sum, behind its ReLU: what a ReLU cuts off anyway needs no
    precision. A group holds the range of each of its sources, and its constants.
    """

    def choose(group: Group, source: int) -> tuple[float, float]:
        readers = [
            operator
            for tensor in group.tensors
            if tensor < len(model.graph.tensors)
            for operator in model.readers(tensor)
            if not KERNELS[model.kind(operator)].shared
        ]
        activation = activations[_representative(model, source)]
        low, high = RULES[rule](activation, _error(model, source, activation, readers, activations))
        lows, highs = activation.lows.min(axis=1), activation.highs.max(axis=1)
        return low * stretch(-lows), high * stretch(highs)

    ranges = []
    for group in groups:
        parts = [choose(group, source) for source in group.sources]
        parts += [constant_range(model.constant(i)) for i in group.constants.values()]
        low, high = group.fixed or hull(parts)
        if group.centred:
            high = max(high, -low)
            low = -high * 128 / 127
        ranges.append((low, high))
    _widen(model, groups, ranges)
    return ranges


def _widen(model: FlatbufferEditor, groups: list[Group], ranges: list[tuple[float, float]]) -> None:
    """Give the output of a layer a scale of no less than a part of what its weights count in.

    LiteRT refuses a layer whose sums are multiplied by 256 or more; one whose outputs cancel out
    would be.
    """
    position = {tensor: i for i, group in enumerate(groups) for tensor in group.tensors}
    for operator in model.weighted():
        source, target = position[int(operator.inputs[0])], position[int(operator.outputs[0])]
        weight = float(np.abs(model.constant(operator.inputs[1])).max()) / MAXIMUM
        least = scale_and_zero_point(*ranges[source])[0] * weight / _MULTIPLIER
        scale = scale_and_zero_point(*ranges[target])[0]
        if scale < least and groups[target].fixed is None:
            low, high = ranges[target]
            ranges[target] = low * least / scale, high * least / scale


def _representative(model: FlatbufferEditor, tensor: int) -> str:
    """The tensor itself, or what alone reads it and drops a part, which needs no precision: a pool,
    or an operator that cuts values off, as those of a hard sigmoid."""
    readers = model.readers(tensor)
    if len(readers) == 1:
        output = int(readers[0].outputs[0])
        kind = model.kind(readers[0])
        if kind in _DROPPING:
            return model.name(output)
        if kind in ("PAD", "PADV2"):
            return _representative(model, output)
    return model.name(tensor)


def _error(
    model: FlatbufferEditor,
    tensor: int,
    activation: Activation,
    readers: list[Any],
    activations: dict[str, Activation],
) -> Error:
    # Every so many rows, of all pictures.
    some = slice(None, None, max(1, activation.sample.size // _VALUES))
    values = activation.sample[some]
    if [model.kind(operator) for operator in readers] == ["ADD"]:
        (addition,) = readers
        others = [int(i) for i in addition.inputs if i != tensor]
        other = activations.get(model.name(others[0])) if others else None
        if other is not None and other.sample.shape == activation.sample.shape:
            relu = addition.builtinOptions.fusedActivationFunction == RELU
            return error_of_sum(values, other.sample[some], relu=relu)
    return error_of(values)
