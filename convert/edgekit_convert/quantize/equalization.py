"""Cross-layer equalization: give the channels of an activation similar ranges.

A convolution's output channel can be multiplied by any positive factor if the layers that read it
divide by the same: ReLU, pooling and addition pass factors on (Nagel et al. 2019,
arXiv:1906.04721, section 4.1). Weights of convolutions have a scale for each output channel, so
what there is to win lies in the activations, which have one scale for all channels: a channel that
never fills the common range wastes bits. The outputs of dense layers, whose weights have one scale
too, keep their factor of 1. A depthwise layer takes the factors of its channels and gives them
others, at no cost. What it costs lies in the weights of the readers, whose input
channels grow apart. The factors chosen have the minimum predicted noise of both.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekit_convert.graph.flatbuffer import RELU, FlatbufferEditor
from edgekit_convert.quantize.activations import Activation

_PASSING = ("ADD", "MAX_POOL_2D", "MEAN", "PAD", "RELU", "RESHAPE")
_DENSE, _DEPTHWISE = "FULLY_CONNECTED", "DEPTHWISE_CONV_2D"
_LIMIT = 64.0
_NONE = 0


@dataclass
class _Group:
    """Tensors whose channels share their factors, and the layers around them."""

    tensors: list[int]
    writers: list[Any]
    readers: list[Any]


def _groups(model: FlatbufferEditor) -> list[_Group]:
    graph = model.graph
    parent: dict[int, int] = {}

    def find(tensor: int) -> int:
        while parent.setdefault(tensor, tensor) != tensor:
            tensor = parent[tensor]
        return tensor

    fixed = {int(graph.inputs[0]), *map(int, graph.outputs)}
    writers: dict[int, list[Any]] = {}
    readers: dict[int, list[Any]] = {}
    weighted = model.weighted()
    for operator in graph.operators:
        kind = model.kind(operator)
        source, target = int(operator.inputs[0]), int(operator.outputs[0])
        channels = graph.tensors[target].shape[-1]
        activation = getattr(operator.builtinOptions, "fusedActivationFunction", _NONE)
        homogeneous = activation in (_NONE, RELU)
        if operator in weighted:
            weight = graph.tensors[operator.inputs[1]].shape
            if weight[-1] == graph.tensors[source].shape[-1]:
                # What it gives is the same whatever it reads, so its own activation may be any.
                readers.setdefault(source, []).append(operator)
                find(source)
                if kind == _DENSE or not homogeneous:
                    fixed.add(target)
                else:
                    writers.setdefault(target, []).append(operator)
                    find(target)
                continue
        elif kind == "MUL" and homogeneous:
            shapes = {int(i): list(graph.tensors[i].shape) for i in operator.inputs}
            gates = [i for i, shape in shapes.items() if shape == [1, 1, 1, channels]]
            pictures = [i for i in shapes if i not in gates and shapes[i][-1] == channels]
            if len(gates) == len(pictures) == 1:
                # Squeeze-and-excitation: a channel times a number of its own.
                parent[find(pictures[0])] = find(target)
                fixed.add(gates[0])
                continue
        elif kind in _PASSING and homogeneous:
            sources = [int(i) for i in operator.inputs if not model.is_constant(i)]
            whole = kind != "ADD" or len(sources) == 2
            if kind == "MEAN":
                axes = model.constant(operator.inputs[1], np.int32).reshape(-1)
                rank = len(graph.tensors[source].shape)
                whole = all(axis % rank < rank - 1 for axis in axes)
            if whole and all(graph.tensors[i].shape[-1] == channels for i in sources):
                for other in sources:
                    parent[find(other)] = find(target)
                continue
        fixed |= {int(i) for i in (*operator.inputs, *operator.outputs) if i >= 0}
    members: dict[int, list[int]] = {}
    for tensor in list(parent):
        members.setdefault(find(tensor), []).append(tensor)
    blocked = {find(tensor) for tensor in fixed if tensor in parent}
    groups = []
    for root, tensors in members.items():
        group = _Group(
            sorted(tensors),
            [operator for t in tensors for operator in writers.get(t, [])],
            [operator for t in tensors for operator in readers.get(t, [])],
        )
        if root not in blocked and group.writers and group.readers:
            groups.append(group)
    return groups


@dataclass(frozen=True)
class Reader:
    """What matters of a layer that reads the channels of a group.

    Attributes:
        energy: sum of the squared weights of each input channel (C,).
        largest: largest magnitude of the weights between output and input channel (outputs, C).
        positions: height times width of its kernel.
        second_moment: E[x²] of each input channel (C,).
        dense: whether its weights have one scale in all, not one for each output channel.

    The weights of a depthwise layer have a scale for each input channel, as those are its outputs:
    their rounding costs the same whatever the factors are.
    """

    energy: NDArray[np.float64]
    largest: NDArray[np.float64]
    positions: int
    second_moment: NDArray[np.float64]
    dense: bool

    @classmethod
    def of(cls, weights: NDArray[np.float32], sample: NDArray[np.float32], kind: str) -> "Reader":
        """From the weights (outputs, …, C), (1, …, C) of a depthwise layer, and a sample (S, C) of
        what they multiply."""
        rows = weights.reshape(len(weights), -1, weights.shape[-1])
        magnitudes = np.abs(rows).astype(np.float64)
        return cls(
            energy=(magnitudes**2).sum(axis=(0, 1)),
            largest=magnitudes.max(axis=1) * (kind != _DEPTHWISE),
            positions=magnitudes.shape[1],
            second_moment=np.square(sample, dtype=np.float64).mean(axis=0),
            dense=kind == _DENSE,
        )


def predicted_noise(
    factors: NDArray[np.float64], peaks: NDArray[np.float64], readers: list[Reader]
) -> float:
    """Noise that 8 bits add to the outputs of a group's readers, up to a constant factor.

    Rounding with a scale d has the noise d²/12. Rounding the activations adds d² sum W²/s² to the
    readers' outputs, rounding the readers' weights sum d_o² E[x²] s².

    Args:
        factors: s of each channel (C,).
        peaks: largest magnitude of each channel in each activation of the group (T, C).
        readers: the layers that read them.
    """
    scales = (peaks * factors).max(axis=1) / 255
    energy = np.sum([reader.energy for reader in readers], axis=0)
    noise = (scales**2).sum() * (energy / factors**2).sum()
    for reader in readers:
        scale = (reader.largest / factors).max(axis=1) / 127
        if reader.dense:
            scale = np.full_like(scale, scale.max())
        noise += (scale**2).sum() * reader.positions * (reader.second_moment * factors**2).sum()
    return float(noise)


def equalization_factors(peaks: NDArray[np.float64], readers: list[Reader]) -> NDArray[np.float32]:
    """Factors (C,) for the channels of a group, with the minimum predicted noise.

    They are r^-a w^b with a and b on a grid, where r is the part of its activation's range that a
    channel fills, and w the part that its weights fill of those of the readers' outputs. Their
    geometric mean is 1 before they are limited to 1/64…64. Without anything seen, 1.

    Args:
        peaks, readers: as for `predicted_noise`.
    """
    channels = peaks.shape[1]
    peaks = peaks[peaks.max(axis=1) > 0]
    if not len(peaks):
        return np.ones(channels, np.float32)
    filled = np.maximum((peaks / peaks.max(axis=1, keepdims=True)).max(axis=0), 1e-6)
    weights = np.full(channels, 1e-6)
    for reader in readers:
        whole = np.maximum(reader.largest.max(axis=1, keepdims=True), 1e-30)
        weights = np.maximum(weights, (reader.largest / whole).max(axis=0))
    best: tuple[float, NDArray[np.float64]] | None = None
    for alpha in np.linspace(0, 1, 11):
        for beta in (0.0, 0.25, 0.5):
            factors = filled**-alpha * weights**beta
            factors /= np.exp(np.log(factors).mean())
            factors = factors.clip(1 / _LIMIT, _LIMIT)
            noise = predicted_noise(factors, peaks, readers)
            if best is None or noise < best[0]:
                best = noise, factors
    assert best is not None
    return best[1].astype(np.float32)


def _factors(
    model: FlatbufferEditor, group: _Group, activations: dict[str, Activation]
) -> NDArray[np.float32]:
    seen = [activations[model.name(t)] for t in group.tensors if model.name(t) in activations]
    readers = [
        Reader.of(
            model.constant(operator.inputs[1]),
            activations[model.name(operator.inputs[0])].sample,
            model.kind(operator),
        )
        for operator in group.readers
    ]
    return equalization_factors(np.array([one.peaks for one in seen], np.float64), readers)


def equalize(
    flatbuffer: bytes, activations: dict[str, Activation]
) -> tuple[bytes, dict[str, Activation]]:
    """An equalized float model, which computes the same function, and its activations."""
    model = FlatbufferEditor(flatbuffer)
    scaled = dict(activations)
    for group in _groups(model):
        factors = _factors(model, group, activations)
        for operator in group.writers:
            weight = model.constant(operator.inputs[1])
            shape = [1] * weight.ndim
            shape[-1 if model.kind(operator) == _DEPTHWISE else 0] = -1
            model.set_constant(operator.inputs[1], weight * factors.reshape(shape))
            if (bias := model.bias(operator)) is not None:
                model.set_constant(bias, model.constant(bias) * factors)
        for operator in group.readers:
            weight = model.constant(operator.inputs[1])
            model.set_constant(operator.inputs[1], weight / factors)
        for tensor in group.tensors:
            name = model.name(tensor)
            if name in scaled:
                scaled[name] = activations[name].scaled(factors)
    return model.pack(), scaled
