"""Damaged and hostile model files, through the reader and one inference in every runtime.

    python -m benchmarks.hostile build/demo/resnet18-int8.tflite OTHER.tflite…

Damages the models and a tiny one: bits, numbers of the structure, cuts, splices. Then makes files
whose structure is right and whose contents are not. Each is tried in a child of its own, and
counted by what became of it: the reader or a runtime refuses it with an error of edgekit's, it
answers, it raises another exception, it takes too much memory or time, or it ends the process. The
same seed makes the same files.
"""

import argparse
import collections
import contextlib
import os
import random
import resource
import select
import signal
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgekit.errors import EdgekitError
from edgekit.inference.classifier import Classifier
from edgekit.inference.runtimes import installed_runtimes
from edgekit.model import decode, flatbuffer
from edgekit.model.archive import take_apart
from edgekit.model.container import parse_model, read_model
from edgekit.model.foreign import Hints
from tests.tiny import tiny_model

MEMORY, SECONDS = 300 << 20, 5
# Seconds by the clock, on a machine that does something else, too.
_PATIENCE = 60
_INTERESTING = (0, 1, 2, 3, 4, 7, 8, 127, 128, 255, 256, 32767, 65535, 1 << 20, (1 << 31) - 1,
                1 << 31, (1 << 32) - 1)  # fmt: skip
READER = "refused by the reader"


class Outcome(NamedTuple):
    """What became of a file: in a few words, why, and what it cost; seconds are of the CPU."""

    kind: str
    reason: str = ""
    seconds: float = 0.0
    bytes_taken: int = 0


def run_one(path: Path, runtime: str) -> str:
    """Load a model and run it once, as everything does that uses one.

    Returns:
        What became of it; a crash, a hang and other exceptions are the caller's to see.
    """
    try:
        model = read_model(path)
        # A float input does not say how pixels are normalized.
        floats = model.graph.tensors[model.graph.inputs[0]].dtype == "float32"
        hints = Hints(normalization="0..255" if floats else None)
        classifier = Classifier.open(path, hints=hints, runtime=runtime)
        classifier.warm_up()
    except EdgekitError as error:
        return f"refused by {runtime}\n{error}"
    return f"answers in {runtime}\n"


def read_one(path: Path, content: bytes) -> Outcome:
    """What the reader says; in this process, which is what it must not harm."""
    began, before = time.process_time(), _largest()
    kind, reason = "passes the reader", ""
    try:
        parse_model(path, content)
    except EdgekitError as error:
        kind, reason = READER, str(error)
    except Exception as error:
        kind, reason = f"{type(error).__name__} in the reader", str(error)
    return Outcome(kind, reason, time.process_time() - began, _largest() - before)


def _largest() -> int:
    """Most bytes that this process ever had in memory."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def attempt(path: Path, runtime: str) -> Outcome:
    """`run_one` in a child with limits."""
    receive, send = os.pipe()
    began = time.monotonic()
    child = os.fork()
    if not child:
        os.close(receive)
        _child(path, runtime, send)
    os.close(send)
    said, hung = b"", False
    while not hung:
        ready, _, _ = select.select([receive], [], [], max(0, began + _PATIENCE - time.monotonic()))
        hung = not ready
        chunk = b"" if hung else os.read(receive, 1 << 16)
        said += chunk
        if not chunk:
            break
    if hung:
        os.kill(child, signal.SIGKILL)
    os.close(receive)
    _, status, usage = os.wait4(child, 0)
    before, _, words = said.decode("utf-8", "replace").partition("\n")
    kind, _, reason = words.partition("\n")
    if hung:
        kind = f"time in {runtime}"
    elif os.WIFSIGNALED(status):
        kind = f"{signal.Signals(os.WTERMSIG(status)).name} in {runtime}"
    taken, seconds = (usage.ru_maxrss << 10) - int(before or 0), usage.ru_utime + usage.ru_stime
    if seconds > SECONDS:
        kind = f"time in {runtime}"
    return Outcome(kind, reason, seconds, max(0, taken))


def _status(name: str) -> int:
    """Bytes that `/proc/self/status` has under a name."""
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(name))


def _child(path: Path, runtime: str, send: int) -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    allowed = _status("VmData") + MEMORY
    resource.setrlimit(resource.RLIMIT_DATA, (allowed, allowed))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.write(send, f"{_status('VmRSS')}\n".encode())
    try:
        said = run_one(path, runtime)
    except MemoryError:
        said = f"memory in {runtime}\n"
    except BaseException as error:
        said = f"{type(error).__name__} in {runtime}\n{error}"
    os.write(send, said.encode("utf-8", "replace")[: 1 << 12])
    os._exit(0)


class _Watched(decode.Reader):
    """A reader that remembers where it read what."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.seen: dict[int, str] = {}

    def unpack(self, code: str, at: int) -> Any:
        value = super().unpack(code, at)
        self.seen[at] = code
        return value


def structure_of(content: bytes) -> list[tuple[int, str]]:
    """Where the numbers of a flatbuffer's structure are, and of which kind each is."""
    watched: list[_Watched] = []

    def make(data: bytes) -> _Watched:
        watched.append(_Watched(data))
        return watched[-1]

    with mock.patch.object(flatbuffer, "Reader", make):
        flatbuffer.parse_graphs(content)
    return sorted(watched[0].seen.items())


class Damage:
    """Ways to damage one model.

    Args:
        content: the model.
        others: models to take pieces from.
    """

    def __init__(self, content: bytes, others: list[bytes]) -> None:
        self._content = content
        self._others = others
        self._structure = structure_of(content)

    def apply(self, chance: random.Random) -> tuple[str, bytes]:
        """One damaged copy, and how it was damaged."""
        way = chance.choices(("bits", "numbers", "cut", "splice"), (35, 45, 10, 10))[0]
        raw = bytearray(self._content)
        ways: dict[str, Callable[[random.Random, bytearray], None]] = {
            "bits": self._bits, "numbers": self._numbers, "cut": self._cut, "splice": self._splice,
        }  # fmt: skip
        for _ in range(chance.choice((1, 1, 1, 2, 4, 8)) if way in ("bits", "numbers") else 1):
            ways[way](chance, raw)
        return way, bytes(raw)

    def _bits(self, chance: random.Random, raw: bytearray) -> None:
        near = chance.choice(self._structure)[0] + chance.randrange(-8, 16)
        at = near if chance.random() < 0.8 else chance.randrange(len(raw))
        raw[min(max(at, 0), len(raw) - 1)] ^= 1 << chance.randrange(8)

    def _numbers(self, chance: random.Random, raw: bytearray) -> None:
        at, code = chance.choice(self._structure)
        size = struct.calcsize(f"<{code}")
        old = int.from_bytes(raw[at : at + size], "little")
        new = chance.choice((
            chance.choice(_INTERESTING), old + chance.choice((-8, -4, -2, -1, 1, 2, 4, 8)), old * 2,
            chance.getrandbits(8 * size), chance.randrange(max(2, old * 2)),
        ))  # fmt: skip
        raw[at : at + size] = (new % (1 << 8 * size)).to_bytes(size, "little")

    @staticmethod
    def _cut(chance: random.Random, raw: bytearray) -> None:
        at = chance.randrange(len(raw))
        length = chance.choice((1, 4, 16, len(raw)))
        if chance.random() < 0.5:
            del raw[at : at + length]
        else:
            raw[at : at + length] = bytes(min(length, len(raw) - at))

    def _splice(self, chance: random.Random, raw: bytearray) -> None:
        other = chance.choice(self._others)
        length = 4 * chance.choice((1, 4, 16, 64))
        source = 4 * chance.randrange(max(1, (len(other) - length) // 4))
        at = 4 * (chance.choice(self._structure)[0] // 4)
        raw[at : at + length] = other[source : source + length]


_SIZES = (0, 1, 2, 3, 5, 7, 8, 16, 255, 4096, 65536, 1 << 24, (1 << 31) - 1, -1, -2, -(1 << 31))
_SCALES = (0.0, -1.0, 1e-45, 1e-38, 1e-12, 1e-3, 1.0, 1e6, 3e38, float("inf"), float("nan"))
_ZEROS = (0, 1, -1, 127, -128, 128, 255, 256, 1 << 31, -(1 << 40))


class Content:
    """Ways to fill a model with what its structure allows and no interpreter expects.

    Args:
        content: the model.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content

    def apply(self, chance: random.Random) -> tuple[str, bytes]:
        """One hostile variant, and what was changed in it."""
        while True:
            model = schema.ModelT.InitFromPackedBuf(self._content, 0)
            ways = (
                self._shape, self._type, self._scale, self._zero, self._tensors, self._option,
                self._code, self._constant, self._graph, self._swap_operators,
            )  # fmt: skip
            chosen = [chance.choice(ways) for _ in range(chance.choice((1, 1, 1, 2, 3)))]
            for way in chosen:
                way(chance, model)
            builder = flatbuffers.Builder(1 << 16)
            # An option may be of a smaller type than what was put into it.
            with contextlib.suppress(TypeError, struct.error):
                builder.Finish(model.Pack(builder), b"TFL3")
                return "+".join(way.__name__.strip("_") for way in chosen), bytes(builder.Output())

    @staticmethod
    def _tensor(chance: random.Random, model: Any) -> Any:
        return chance.choice(chance.choice(model.subgraphs).tensors)

    @staticmethod
    def _operator(chance: random.Random, model: Any) -> Any:
        return chance.choice(chance.choice(model.subgraphs).operators)

    def _shape(self, chance: random.Random, model: Any) -> None:
        tensor = self._tensor(chance, model)
        shape = [int(size) for size in tensor.shape] if tensor.shape is not None else []
        way = chance.random()
        if way < 0.6 and shape:
            shape[chance.randrange(len(shape))] = chance.choice(_SIZES)
        elif way < 0.8:
            shape.insert(chance.randrange(len(shape) + 1), chance.choice(_SIZES))
        else:
            shape = shape[1:]
        tensor.shape = shape
        if tensor.shapeSignature is not None and chance.random() < 0.7:
            tensor.shapeSignature = shape

    def _type(self, chance: random.Random, model: Any) -> None:
        self._tensor(chance, model).type = chance.randrange(20)

    def _quantization(self, chance: random.Random, model: Any) -> Any:
        tensor = self._tensor(chance, model)
        if tensor.quantization is None:
            tensor.quantization = schema.QuantizationParametersT()
        return tensor.quantization

    def _scale(self, chance: random.Random, model: Any) -> None:
        found = self._quantization(chance, model)
        found.scale = [chance.choice(_SCALES)] * chance.choice((0, 1, 1, 1, 2, 3))
        found.zeroPoint = [0] * len(found.scale) if chance.random() < 0.8 else None

    def _zero(self, chance: random.Random, model: Any) -> None:
        found = self._quantization(chance, model)
        found.zeroPoint = [chance.choice(_ZEROS)] * chance.choice((0, 1, 1, 1, 2))
        found.quantizedDimension = chance.choice((0, 1, 3, -1, 100))

    def _tensors(self, chance: random.Random, model: Any) -> None:
        graph = chance.choice(model.subgraphs)
        operator = chance.choice(graph.operators)
        name = chance.choice(("inputs", "outputs"))
        indices = [
            int(i) for i in (getattr(operator, name) if getattr(operator, name) is not None else [])
        ]
        other = chance.choice((-1, chance.randrange(len(graph.tensors))))
        way = chance.random()
        if way < 0.6 and indices:
            indices[chance.randrange(len(indices))] = other
        elif way < 0.8:
            indices.append(other)
        else:
            indices = indices[1:]
        setattr(operator, name, indices)

    def _option(self, chance: random.Random, model: Any) -> None:
        operator = self._operator(chance, model)
        options = operator.builtinOptions
        if options is None or chance.random() < 0.1:
            operator.builtinOptionsType, operator.builtinOptions = 0, None
            return
        names = [
            name for name, value in vars(options).items() if isinstance(value, (bool, int, float))
        ]
        if names:
            name = chance.choice(names)
            old = getattr(options, name)
            if isinstance(old, bool):
                new: Any = not old
            elif isinstance(old, float):
                new = chance.choice(_SCALES)
            else:
                small = "padding" in name.lower() or "activation" in name.lower() or "ype" in name
                new = chance.choice(range(-2, 8) if small else _SIZES)
            setattr(options, name, new)

    @staticmethod
    def _code(chance: random.Random, model: Any) -> None:
        code = chance.choice(model.operatorCodes)
        code.builtinCode = number = chance.randrange(0, 161)
        code.deprecatedBuiltinCode = min(number, 127)
        code.version = chance.choice((1, 1, 2, 3, 5))

    def _constant(self, chance: random.Random, model: Any) -> None:
        tensors = [
            t
            for g in model.subgraphs
            for t in g.tensors
            if model.buffers[t.buffer].data is not None
        ]
        integers = [
            t for t in tensors if t.type in (schema.TensorType.INT32, schema.TensorType.INT64)
        ]
        if not tensors:
            return
        tensor = chance.choice(integers or tensors)
        data = np.array(model.buffers[tensor.buffer].data, np.uint8)
        size = 8 if tensor.type == schema.TensorType.INT64 else 4
        if len(data) >= size:
            at = size * chance.randrange(len(data) // size)
            new = (chance.choice(_SIZES) % (1 << 8 * size)).to_bytes(size, "little")
            data[at : at + size] = np.frombuffer(new, np.uint8)
            model.buffers[tensor.buffer].data = data

    @staticmethod
    def _graph(chance: random.Random, model: Any) -> None:
        graph = chance.choice(model.subgraphs)
        name = chance.choice(("inputs", "outputs"))
        setattr(graph, name, [chance.randrange(len(graph.tensors))] * chance.choice((1, 1, 1, 2)))

    @staticmethod
    def _swap_operators(chance: random.Random, model: Any) -> None:
        operators = chance.choice(model.subgraphs).operators
        one, other = chance.randrange(len(operators)), chance.randrange(len(operators))
        operators[one], operators[other] = operators[other], operators[one]


def files(
    models: list[bytes], seed: int, damaged: int, hostile: int
) -> Iterator[tuple[str, bytes]]:
    """All files, a kind and bytes each; the same for the same seed."""
    damage = [Damage(model, models) for model in models]
    content = [Content(model) for model in sorted(models, key=len)]
    for number in range(damaged):
        chance = random.Random(f"{seed}/damaged/{number}")
        way, raw = damage[number % len(damage)].apply(chance)
        yield f"damaged {number} {way}", raw
    for number in range(hostile):
        chance = random.Random(f"{seed}/hostile/{number}")
        # Large models take long to pack: most come from the small ones.
        chosen = min(chance.randrange(len(content)) for _ in range(3))
        way, raw = content[chosen].apply(chance)
        yield f"hostile {number} {way}", raw


def main() -> None:
    """Count what becomes of the files."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument("models", nargs="+", type=Path)
    arguments.add_argument("--damaged", type=int, default=20_000)
    arguments.add_argument("--hostile", type=int, default=5_000)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--part", default="0/1", help="the n-th of m parts, as n/m")
    arguments.add_argument("--keep", type=Path, help="a folder for files that the reader let pass")
    given = arguments.parse_args()
    part, parts = map(int, given.part.split("/"))
    counts: collections.Counter[str] = collections.Counter()
    slowest, largest = Outcome(""), Outcome("")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as scratch:
        folder = Path(scratch)
        # Without a manifest, whose hash would refuse all that is damaged.
        models = [take_apart(path.read_bytes()).flatbuffer for path in given.models]
        models.append(tiny_model(folder / "tiny.tflite").read_bytes())
        runtimes = installed_runtimes()
        path = folder / "model.tflite"
        for number, (name, raw) in enumerate(
            files(models, given.seed, given.damaged, given.hostile)
        ):
            if number % parts != part:
                continue
            outcomes = [read_one(path, raw)]
            if outcomes[0].kind != READER:
                path.write_bytes(raw)
                outcomes += [attempt(path, runtime) for runtime in runtimes]
            for outcome in outcomes:
                counts[f"{name.split()[0]}: {outcome.kind}"] += 1
                slowest = max(slowest, outcome, key=lambda one: one.seconds)
                largest = max(largest, outcome, key=lambda one: one.bytes_taken)
                if given.keep and not outcome.kind.startswith(("refused", "answers", "passes")):
                    file = f"{given.seed}-{name.replace(' ', '-')}.tflite"
                    (given.keep / file).write_bytes(raw)
                    print(name, *outcome, file=sys.stderr, flush=True)
    for kind, count in sorted(counts.items()):
        print(f"{count:>7}  {kind}")
    print(
        f"slowest {slowest.seconds:.2f} s ({slowest.kind}), "
        f"largest {largest.bytes_taken >> 20} MiB ({largest.kind})"
    )


if __name__ == "__main__":
    main()
