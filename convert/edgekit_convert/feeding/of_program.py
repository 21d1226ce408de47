"""The BatchNorm layers of a graph of PyTorch's operators, as a program of `torch.export` is."""

import contextlib
from collections import Counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx, nn

from edgekit.errors import ConversionError
from edgekit.text import first_line
from edgekit_convert.feeding.statistics import Memory, Moments, Norm, moments
from edgekit_convert.weights.inference import inference

_aten = torch.ops.aten
# Where each operator has its running mean and variance, and the epsilon; others come of training.
_OPERATORS: dict[Any, tuple[int, int]] = {
    _aten.batch_norm.default: (3, 7),
    _aten._native_batch_norm_legit_no_training.default: (3, 6),
}


def program_memory(program: fx.GraphModule) -> Memory:
    """Its normalizations by constants, in the order in which a picture passes them.

    Args:
        program: takes normalized pictures (N, 3, H, W) float32.

    Raises:
        ConversionError: from `watch`, it fails on pictures.
    """
    nodes = [node for node in program.graph.nodes if node.target in _OPERATORS and _is_kept(node)]
    counts = Counter(_statistics(node) for node in nodes)
    nodes = [node for node in nodes if counts[_statistics(node)] == 1]
    norms = [_norm(program, node) for node in nodes]

    def watch(pictures: NDArray[np.float32], count: int) -> list[Moments]:
        watcher = _Watcher(program, nodes[:count])
        try:
            with inference(), contextlib.suppress(EndOfLayers):
                watcher.run(torch.from_numpy(pictures))
        except Exception as error:  # at a size that it does not take
            raise ConversionError(f"the program fails on pictures ({first_line(error)})") from error
        return [watcher.seen[node] for node in nodes[:count]]

    return Memory(norms, 1, watch)


def _is_kept(node: fx.Node) -> bool:
    """Whether its statistics are constants."""
    return all(isinstance(one, fx.Node) and one.op == "get_attr" for one in _arguments(node))


def _arguments(node: fx.Node) -> tuple[Any, Any]:
    first, _ = _OPERATORS[node.target]
    return node.args[first], node.args[first + 1]


def _statistics(node: fx.Node) -> str:
    return str(_arguments(node)[0].target)


def _norm(program: fx.GraphModule, node: fx.Node) -> Norm:
    mean, variance = (_value(program, one).double().numpy() for one in _arguments(node))
    _, eps = _OPERATORS[node.target]
    name = _statistics(node).removesuffix(".running_mean")
    return Norm(name, Moments(mean, variance), float(node.args[eps]))  # type: ignore[arg-type]


def _value(program: nn.Module, node: fx.Node) -> torch.Tensor:
    folder, _, name = str(node.target).rpartition(".")
    value: torch.Tensor = getattr(program.get_submodule(folder), name)
    return value


class EndOfLayers(Exception):
    """The layers that were asked for have seen their inputs; the rest need not be computed."""


class _Watcher(fx.Interpreter):
    """Runs a program, and looks at what goes into some of its nodes."""

    def __init__(self, program: fx.GraphModule, watched: list[fx.Node]) -> None:
        super().__init__(program)
        self._watched = set(watched)
        self.seen: dict[fx.Node, Moments] = {}

    def run_node(self, n: fx.Node) -> Any:
        if n in self._watched:
            source = n.args[0]
            assert isinstance(source, fx.Node)
            self.seen[n] = moments(self.env[source].numpy())
            if len(self.seen) == len(self._watched):
                raise EndOfLayers
        return super().run_node(n)
