"""What operators that are no arithmetic cost, and the distance to the bound.

`python -m benchmarks.operators MODEL...`, of files that edgekit made of a ResNet. Each such
operator runs in a graph of its own, beside the whole one, on one thread, by turns; of every graph
the CPU time of its fastest inference counts, which other work on the machine disturbs least. The
start of an inference is in each, so that it is an upper end.
The bound is the rate of a large product of int8 matrices in PyTorch (oneDNN) on one thread, and
that at which a thread reads memory, both measured in the same run.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from edgekit_convert.graph.flatbuffer import FlatbufferEditor, without_unread

_ROUNDS, _INFERENCES = 25, 8
_ARITHMETIC = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD")


def _only(flatbuffer: bytes, positions: list[int]) -> bytes:
    """Some operators of a graph alone; what none of them writes is its input."""
    model = FlatbufferEditor(flatbuffer)
    graph, model.model.signatureDefs = model.graph, []
    graph.operators = [graph.operators[position] for position in positions]
    written = {int(i) for operator in graph.operators for i in operator.outputs}
    read = {int(i) for operator in graph.operators for i in operator.inputs if i >= 0}
    graph.inputs = sorted(i for i in read - written if not model.is_constant(i))
    graph.outputs = sorted(written - read)
    return without_unread(model.pack())


def _parts(flatbuffer: bytes) -> list[tuple[str, bytes]]:
    """Every operator that is no arithmetic, and its graph; CONCATENATIONs in a row are one."""
    model = FlatbufferEditor(flatbuffer)
    kinds = [model.kind(operator) for operator in model.graph.operators]
    found = []
    for kind, run in groupby(range(len(kinds)), key=kinds.__getitem__):
        if kind not in _ARITHMETIC:
            positions = list(run)
            rows = [positions] if kind == "CONCATENATION" else [[one] for one in positions]
            found += [(kind, _only(flatbuffer, row)) for row in rows]
    return found


def _runner(flatbuffer: bytes) -> Callable[[], None]:
    """An inference on one thread, of random values that are set already."""
    interpreter = Interpreter(model_content=flatbuffer, num_threads=1)
    interpreter.allocate_tensors()
    rng = np.random.default_rng(0)
    for details in interpreter.get_input_details():
        limits = np.iinfo(details["dtype"])
        values = rng.integers(limits.min, limits.max, details["shape"], details["dtype"])
        interpreter.set_tensor(details["index"], values)
    invoke: Callable[[], None] = interpreter.invoke
    return invoke


def _milliseconds(graphs: list[bytes]) -> list[float]:
    runners = [_runner(graph) for graph in graphs]
    best = [float("inf")] * len(runners)
    for _ in range(_ROUNDS):
        for number, run in enumerate(runners):
            run()  # its weights back into the caches
            best[number] = min(best[number], _fastest(run, _INFERENCES))
    return best


def multiply_adds(flatbuffer: bytes) -> int:
    """Of all layers, for one picture."""
    graph, total = FlatbufferEditor(flatbuffer), 0
    for operator in graph.weighted():
        weight = np.prod(graph.graph.tensors[operator.inputs[1]].shape)
        pixels = np.prod(graph.graph.tensors[operator.outputs[0]].shape[:-1])
        total += int(weight * pixels)
    return total


def _weights(flatbuffer: bytes) -> int:
    graph = FlatbufferEditor(flatbuffer)
    return sum(int(np.prod(graph.graph.tensors[one.inputs[1]].shape)) for one in graph.weighted())


def _peak() -> float:
    """Multiply-adds of int8 a second on one thread, in G."""
    import torch

    torch.set_num_threads(1)
    size = 2048
    left, right = (torch.randint(-128, 127, (size, size), dtype=torch.int8) for _ in range(2))
    return size**3 / 1e6 / _fastest(lambda: torch._int_mm(left, right), 30)


def _bandwidth() -> float:
    """GB a second that one thread reads of memory, more than caches hold."""
    values = np.ones(1 << 26, np.int64)
    return values.nbytes / 1e6 / _fastest(values.sum, 10)


def _fastest(work: Callable[[], Any], count: int) -> float:
    """Milliseconds of CPU of the fastest of several runs."""
    found = float("inf")
    for _ in range(count):
        started = time.thread_time()
        work()
        found = min(found, 1e3 * (time.thread_time() - started))
    return found


def _tell(file: Path, peak: float, bandwidth: float) -> None:
    flatbuffer = file.read_bytes()
    parts = _parts(flatbuffer)
    whole, *spent = _milliseconds([flatbuffer, *(graph for _, graph in parts)])
    times = defaultdict(list)
    for (kind, _), part in zip(parts, spent, strict=True):
        times[kind].append(part)
    print(f"\n{file}: {whole:.3f} ms of CPU\n")
    print("| operator | ms, at most | % of the time |\n| --- | --- | --- |")
    for kind, found in sorted(times.items(), key=lambda one: -sum(one[1])):
        print(f"| {kind} x{len(found)} | {sum(found):.3f} | {100 * sum(found) / whole:.1f} |")
    count, weights = multiply_adds(flatbuffer), _weights(flatbuffer)
    bound = max(count / peak, weights / bandwidth) / 1e6
    print(f"\n{count / 1e6:.0f} M multiply-adds, {weights / 1e6:.1f} MB of weights: at best "
          f"{count / peak / 1e6:.2f} ms of arithmetic and {weights / bandwidth / 1e6:.2f} ms of "
          f"reading; {whole / bound:.1f} times the bound", flush=True)  # fmt: skip


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="benchmarks.operators", description=__doc__)
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL")
    arguments = parser.parse_args()
    peak, bandwidth = _peak(), _bandwidth()
    print(f"One thread: {peak:.0f} G multiply-adds/s of int8, reads {bandwidth:.1f} GB/s")
    for file in arguments.models:
        _tell(file, peak, bandwidth)


if __name__ == "__main__":
    main()
