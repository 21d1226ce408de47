"""What the activations of a float model look like over the calibration pictures."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edgekit.errors import ConversionError
from edgekit.inference.interpreter import Interpreter
from edgekit_convert.graph.flatbuffer import RELU, FlatbufferEditor, expose_activations
from edgekit_convert.graph.interpreters import Interpreters

# Values kept of each activation, and of all: enough for ranges and channel covariances, and in
# deep networks, too, no more than a gigabyte.
_KEPT = 1_000_000
_KEPT_IN_ALL = 250_000_000
# Blocks of pictures whose extremes are kept apart.
_BLOCKS = 64
# Values of a row that extremes are looked for in.
_WIDE = 1024


@dataclass(frozen=True)
class Activation:
    """One tensor over all pictures.

    Attributes:
        lows, highs: smallest and largest value of each channel, and 0, which paddings and ReLUs
            produce, in each block of pictures (B, C): one after the other, as a film has them.
        sample: values (S, C) at random positions; tensors of equal height and width are sampled
            at the same positions of the same pictures.
    """

    lows: NDArray[np.float32]
    highs: NDArray[np.float32]
    sample: NDArray[np.float32]

    @property
    def low(self) -> float:
        """Smallest value, at most 0."""
        return float(self.lows.min())

    @property
    def high(self) -> float:
        """Largest value, at least 0."""
        return float(self.highs.max())

    @property
    def peaks(self) -> NDArray[np.float32]:
        """Largest magnitude in each channel (C,)."""
        return np.asarray(np.maximum(self.highs.max(axis=0), -self.lows.min(axis=0)))

    def scaled(self, factors: NDArray[np.float32]) -> "Activation":
        """The same activation with each channel multiplied by a positive factor."""
        return Activation(self.lows * factors, self.highs * factors, self.sample * factors)


class _Seen(NamedTuple):
    """An activation of one picture: its extremes (C,), no lows behind a ReLU, and rows of it."""

    low: NDArray[np.float32] | None
    high: NDArray[np.float32]
    sample: NDArray[np.float32] | None


def observe(
    flatbuffer: bytes,
    pictures: NDArray[np.uint8],
    threads: int,
    seed: int,
    advance: Callable[[int], None],
) -> dict[str, Activation]:
    """Run calibration pictures (N, H, W, 3) through a float model.

    Returns:
        tensor name -> activation, for the output of every operator and the input.

    Raises:
        ConversionError: an activation goes beyond what float32 holds.
    """
    rng = np.random.default_rng(seed)
    interpreters = Interpreters(expose_activations(flatbuffer), threads)
    model = FlatbufferEditor(flatbuffer)
    entry = model.name(model.graph.inputs[0])
    written = [int(i) for operator in model.graph.operators for i in operator.outputs]
    floats = {
        model.name(i) for i in written if model.graph.tensors[i].type == schema.TensorType.FLOAT32
    }
    limit = min(_KEPT, _KEPT_IN_ALL // (1 + len(floats)))
    # What a ReLU gives has no lows to look for.
    positive = {
        model.name(operator.outputs[0])
        for operator in model.graph.operators
        if getattr(operator.builtinOptions, "fusedActivationFunction", 0) == RELU
    }
    blocks = min(_BLOCKS, len(pictures))
    lows: dict[str, NDArray[np.float32]] = {}
    highs: dict[str, NDArray[np.float32]] = {}
    samples: dict[str, list[NDArray[np.float32]]] = {}

    def seen(interpreter: Interpreter, index: int) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """Name and values (positions, channels) of each activation of a picture."""
        for name, values in (*interpreter.outputs(), (entry, pictures[index].astype(np.float32))):
            if name in floats or name == entry:  # less shapes, indices and conditions
                yield name, values.reshape(-1, values.shape[-1] if values.ndim else 1)

    def shapes(interpreter: Interpreter, index: int) -> dict[str, tuple[int, ...]]:
        return {name: rows.shape for name, rows in seen(interpreter, index)}

    (shape,) = interpreters.map(pictures[:1], shapes)
    wanted = {name: limit / (len(pictures) * channels) for name, (_, channels) in shape.items()}
    # Drawn beforehand, in the order of the pictures; they are read in any.
    most = {count: 1 for count, _ in shape.values()}
    for name, (count, _) in shape.items():
        most[count] = max(most[count], int(wanted[name]))
    chosen = [
        {count: rng.permutation(count)[:kept].copy() for count, kept in most.items()}
        for _ in range(len(pictures))
    ]

    def read(interpreter: Interpreter, index: int) -> dict[str, _Seen]:
        found = {}
        for name, rows in seen(interpreter, index):
            low = None if name in positive else _reduce(np.minimum, rows)
            kept = chosen[index][len(rows)][: max(1, int(wanted[name]))]
            # Of what has too many channels, a position in some of the pictures only.
            some = wanted[name] >= 1 or index % math.ceil(1 / wanted[name]) == 0
            found[name] = _Seen(low, _reduce(np.maximum, rows), rows[kept] if some else None)
        return found

    for index, picture in enumerate(interpreters.map(pictures, read)):
        block = index * blocks // len(pictures)
        for name, (low, high, sample) in picture.items():
            if name not in highs:
                highs[name] = np.zeros((blocks, len(high)), np.float32)
                lows[name] = np.zeros((1 if low is None else blocks, len(high)), np.float32)
            if low is not None:
                np.minimum(lows[name][block], low, out=lows[name][block])
            np.maximum(highs[name][block], high, out=highs[name][block])
            if sample is not None:
                samples.setdefault(name, []).append(sample)
        advance(1)
    for name in samples:
        # The answers need not show it: a sigmoid makes 1 of it.
        if not (np.isfinite(lows[name]).all() and np.isfinite(highs[name]).all()):
            raise ConversionError(
                f"over the calibration pictures the tensor {name} goes beyond what float32 holds, "
                "which no range of 8 bits can; see whether the network's weights and its "
                "normalization are what it was trained with"
            )
    return {
        name: Activation(lows[name], highs[name], np.concatenate(samples[name])) for name in samples
    }


def _reduce(extreme: np.ufunc, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Extreme value of each column (C,); in wide rows, at which NumPy is ten times as fast."""
    count, channels = rows.shape
    fold = min(count, max(1, _WIDE // channels))
    whole = count - count % fold
    wide = extreme.reduce(rows[:whole].reshape(-1, fold * channels), axis=0)
    narrow = np.concatenate([wide.reshape(fold, channels), rows[whole:]])
    return np.asarray(extreme.reduce(narrow, axis=0))
