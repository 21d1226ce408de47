"""What operators that are no arithmetic cost, and the distance to the bound.

`python -m benchmarks.operators MODEL...`, of files that edgekit made of a ResNet. A
graph is cut behind an operator, and before it: the difference is its time. A PAD, and the two
CONCATENATIONs that join the border on, are taken out, and the layer behind pads by itself: the same
arithmetic, other values. One thread, by turns; of every graph the CPU time of its fastest round,
which other work on the machine disturbs least.
The bound is the rate of a large product of int8 matrices in PyTorch (oneDNN) on one thread, and
that at which a thread reads memory, both measured in the same run.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from edgekit_convert.graph.flatbuffer import FlatbufferEditor, without_unread

_ROUNDS, _INFERENCES = 25, 8
_ARITHMETIC = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD")


class _Graph(FlatbufferEditor):
    """A graph of which parts are taken out."""

    def __init__(self, flatbuffer: bytes) -> None:
        super().__init__(flatbuffer)
        self.model.signatureDefs = []

    def named(self, *kinds: str) -> list[Any]:
        return [one for one in self.graph.operators if self.kind(one) in kinds]

    def end_at(self, tensor: int) -> bytes:
        """The graph up to a tensor."""
        needed, kept = {tensor}, []
        for operator in reversed(self.graph.operators):
            if needed & set(map(int, operator.outputs)):
                kept.append(operator)
                needed |= {int(i) for i in operator.inputs}
        self.graph.operators = kept[::-1]
        self.graph.outputs = [tensor]
        return without_unread(self.pack())

    def begin_at(self, tensor: int) -> bytes:
        """The graph without what leads to a tensor, which becomes its input."""
        self.graph.operators = [
            one for one in self.graph.operators if tensor not in set(map(int, one.outputs))
        ]
        self.graph.inputs = [tensor]
        return self.pack()

    def without(self, operators: list[Any]) -> bytes:
        """The graph without operators that pad; what reads them pads by itself."""
        for operator in operators:
            source = next(int(i) for i in operator.inputs if not self.is_constant(i))
            for reader in self.readers(int(operator.outputs[0])):
                reader.inputs = [
                    source if i == operator.outputs[0] else int(i) for i in reader.inputs
                ]
                if hasattr(reader.builtinOptions, "padding"):
                    reader.builtinOptions.padding = schema.Padding.SAME
            self.graph.operators.remove(operator)
        return self.pack()


def _variants(flatbuffer: bytes) -> tuple[dict[str, bytes], list[tuple[str, str, str]]]:
    """Graphs by name, and what the difference of two of them is."""
    graphs, differences = {"whole": flatbuffer}, []
    whole = _Graph(flatbuffer)
    for kind in ("CONCATENATION", "PAD"):
        operators = whole.named(kind)
        for count in {len(operators), 1} if kind == "PAD" else {len(operators)}:
            name = f"without {count} {kind}"
            graph = _Graph(flatbuffer)
            graphs[name] = graph.without(graph.named(kind)[:count])
            told = f"{kind} x{count}" + (", the first" if count < len(operators) else "")
            differences.append((told, "whole", name))
    first = whole.graph.operators[0]
    if whole.kind(first) == "QUANTIZE":
        graphs["from int8"] = _Graph(flatbuffer).begin_at(int(first.outputs[0]))
        differences.append(("QUANTIZE of the input", "whole", "from int8"))
    for operator in whole.graph.operators[1:]:
        kind = whole.kind(operator)
        if kind in _ARITHMETIC or kind in ("CONCATENATION", "PAD"):
            continue
        source, target = int(operator.inputs[0]), int(operator.outputs[0])
        for tensor in (source, target):
            graphs.setdefault(f"to {tensor}", _Graph(flatbuffer).end_at(tensor))
        differences.append((kind, f"to {target}", f"to {source}"))
    return graphs, differences


def _runner(flatbuffer: bytes, picture: np.ndarray) -> Callable[[], np.ndarray]:
    interpreter = Interpreter(model_content=flatbuffer, num_threads=1)
    interpreter.allocate_tensors()
    given, taken = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    values = picture if given["dtype"] == np.uint8 else (picture ^ 128).view(np.int8)

    def run() -> np.ndarray:
        interpreter.set_tensor(given["index"], values)
        interpreter.invoke()
        return interpreter.get_tensor(taken["index"])

    return run


def _milliseconds(graphs: dict[str, bytes], picture: np.ndarray) -> dict[str, float]:
    runners = {name: _runner(graph, picture) for name, graph in graphs.items()}
    best = dict.fromkeys(runners, float("inf"))
    for _ in range(_ROUNDS):
        for name, run in runners.items():
            run()
            for _ in range(_INFERENCES):
                started = time.thread_time()
                run()
                best[name] = min(best[name], 1e3 * (time.thread_time() - started))
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


def _fastest(work: Callable[[], object], count: int) -> float:
    """Milliseconds of CPU of the fastest of several runs."""
    found = float("inf")
    for _ in range(count):
        started = time.thread_time()
        work()
        found = min(found, 1e3 * (time.thread_time() - started))
    return found


def _tell(file: Path, peak: float, bandwidth: float) -> None:
    flatbuffer = file.read_bytes()
    graphs, differences = _variants(flatbuffer)
    graph = FlatbufferEditor(flatbuffer)
    shape = graph.graph.tensors[graph.graph.inputs[0]].shape
    picture = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    best = _milliseconds(graphs, picture)
    whole = best["whole"]
    print(f"\n{file}: {whole:.3f} ms of CPU\n")
    print("| operator | ms | % of the time |\n| --- | --- | --- |")
    for told, longer, shorter in differences:
        spent = best[longer] - best[shorter]
        print(f"| {told} | {spent:.3f} | {100 * spent / whole:.1f} |")
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
