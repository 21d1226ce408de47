"""Damaged and hostile model files, through the reader and the trial in every runtime.

    python -m benchmarks.hostile build/demo/resnet18-int8.tflite OTHER.tflite…

Damages the models and a tiny one: bits, numbers of the structure, cuts, splices. Then makes files
whose structure is right and whose contents are not. What the reader lets pass goes through the
trial that comes before every use of a model (`edgekit_device.trial`). Each is counted by what
became of it: the reader or a runtime refuses it with an error of edgekit's, it answers, it ends or
hangs the process of the trial, takes too much memory or time, or raises another exception outside.
The same seed makes the same files.
"""

import argparse
import collections
import contextlib
import os
import random
import resource
import struct
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from edgekit_device.trial_process import prepare
from edgekit_device.trial_protocol import Job

from benchmarks.forks import try_in_fork
from edgekit.errors import EdgekitError
from edgekit.inference.runtimes import installed_runtimes
from edgekit.model import decode, flatbuffer
from edgekit.model.archive import take_apart
from edgekit.model.container import parse_model
from edgekit.model.foreign import Hints
from tests.tiny import tiny_flatbuffer

MEMORY, SECONDS = 300 << 20, 5
# Seconds by the clock, on a machine that does something else, too.
_PATIENCE = 60
_INTERESTING = (0, 1, 2, 3, 4, 7, 8, 127, 128, 255, 256, 32767, 65535, 1 << 20, (1 << 31) - 1,
                1 << 31, (1 << 32) - 1)  # fmt: skip
READER = "refused by the reader"
# How a trial can end badly, by words of its message.
_ENDS = {
    "crash": "crashes the TFLite runtime", "time": "no answer within", "memory": "takes more than",
}  # fmt: skip


class Outcome(NamedTuple):
    """What became of a file: in a few words, why, and what it cost.

    Seconds are of the CPU; bytes are the peak of a trial's whole process, and beside that what the
    reader added to this one.
    """

    kind: str
    reason: str = ""
    seconds: float = 0.0
    bytes_taken: int = 0


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


def attempt(path: Path, content: bytes, runtime: str) -> Outcome:
    """What becomes of a model in the trial that comes before every use of one."""
    # A float input does not say how pixels are normalized.
    hints = Hints(normalization="0..255") if _takes_floats(path, content) else Hints()
    job = Job(path.name, len(content), MEMORY, runtime, hints, parent=os.getpid())
    began = resource.getrusage(resource.RUSAGE_CHILDREN)
    taken, kind, reason = 0, f"answers in {runtime}", ""
    try:
        taken = try_in_fork(job, content, seconds=_PATIENCE).memory
    except EdgekitError as error:
        reason = str(error)
        ends = [end for end, words in _ENDS.items() if words in reason]
        kind = f"{ends[0]} in the trial, {runtime}" if ends else f"refused by {runtime}"
    except Exception as error:
        kind, reason = f"{type(error).__name__} outside the trial", str(error)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime
    if seconds > SECONDS:
        kind = f"time in the trial, {runtime}"
    return Outcome(kind, reason, seconds, taken)


def _takes_floats(path: Path, content: bytes) -> bool:
    try:
        graph = parse_model(path, content).graph
    except EdgekitError:
        return False
    return graph.tensors[graph.inputs[0]].dtype == "float32"


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
    models: list[bytes], seed: int, damaged: int, hostile: int, part: int, parts: int
) -> Iterator[tuple[str, bytes]]:
    """The files of a part, a kind and bytes each; the same for the same seed."""
    damage = [Damage(model, models) for model in models]
    content = [Content(model) for model in sorted(models, key=len)]
    for number in range(part, damaged, parts):
        chance = random.Random(f"{seed}/damaged/{number}")
        way, raw = damage[number % len(damage)].apply(chance)
        yield f"damaged {number} {way}", raw
    for number in range(part, hostile, parts):
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
    # Without a manifest, whose hash would refuse all that is damaged.
    models = [take_apart(path.read_bytes()).flatbuffer for path in given.models]
    models.append(tiny_flatbuffer())
    runtimes = installed_runtimes()
    for runtime in runtimes:
        prepare(runtime)
    path = Path("model.tflite")
    for name, raw in files(models, given.seed, given.damaged, given.hostile, part, parts):
        outcomes = [read_one(path, raw)]
        if outcomes[0].kind != READER:
            outcomes += [attempt(path, raw, runtime) for runtime in runtimes]
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
