"""The time that each kind of operator takes.

No runtime tells it in Python. So the graph is cut off behind more and more of its operators, and
each of these graphs is timed: what one takes longer than that before it is the time of the
operators between. Cuts are where the kind changes, so that what kernels fuse stays together.
"""

import struct
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from edgekit.errors import ModelFileError
from edgekit.model.decode import Reader, Table
from edgekit.model.flatbuffer import Graph
from edgekit.model.tables import TABLES

ROUNDS = 5


class KindTime(msgspec.Struct, frozen=True, kw_only=True):
    """The time of all operators of a kind.

    Attributes:
        kind: of the operators.
        count: of them in the graph.
        ms: of the processor that they take in an inference, in milliseconds; may be less than
            nothing where there is doubt.
        doubt_ms: how far the best rounds differ, in milliseconds: less than that is not known.
    """

    kind: str
    count: int
    ms: float
    doubt_ms: float


class Cut(NamedTuple):
    """A place to cut a graph off.

    Attributes:
        kind: of the operators since the cut before.
        end: the number of operators that stay.
        outputs: tensors that what is cut off would read, or that the graph gives.
    """

    kind: str
    end: int
    outputs: tuple[int, ...]


def cuts(graph: Graph) -> list[Cut]:
    """Where to cut, in order; the last is the whole graph."""
    names = [operator.name for operator in graph.operators]
    ends = [at for at in range(1, len(names)) if names[at] != names[at - 1]]
    return [Cut(names[end - 1], end, _outputs(graph, end)) for end in (*ends, len(names))]


def _outputs(graph: Graph, end: int) -> tuple[int, ...]:
    made = [index for operator in graph.operators[:end] for index in operator.outputs]
    wanted = {index for operator in graph.operators[end:] for index in operator.inputs}
    return tuple(index for index in made if index in wanted or index in graph.outputs)


def cut_off(flatbuffer: bytes, cut: Cut) -> bytes:
    """A model that ends with a cut; the operators behind it are there, but not in its list.

    Raises:
        ModelFileError: it has no operators or no outputs to be changed.
    """
    graph = _main_graph(flatbuffer)
    fields = [field.partition(":")[0] for field in TABLES["SubGraph"].split()]
    operators, _ = graph.span(fields.index("operators"), 4)
    number = fields.index("outputs")
    if not operators or not graph.has(number):
        raise ModelFileError("its graph has no operators or no outputs")
    data = bytearray(flatbuffer)
    struct.pack_into("<I", data, operators - 4, cut.end)
    # The list of outputs goes to the end of the file: it may be longer than the one there is.
    data += bytes(-len(data) % 4)
    place = graph.at + graph.offsets[number]
    struct.pack_into("<I", data, place, len(data) - place)
    data += struct.pack(f"<I{len(cut.outputs)}i", len(cut.outputs), *cut.outputs)
    return bytes(data)


def _main_graph(flatbuffer: bytes) -> Table:
    fields = [field.partition(":")[0] for field in TABLES["Model"].split()]
    return next(Reader(flatbuffer).root().children(fields.index("subgraphs")))


def times(
    places: list[Cut], fastest: Callable[[Cut], float], counts: dict[str, int]
) -> list[KindTime]:
    """The time of each kind, the longest first.

    Args:
        places: of the cuts, in order.
        fastest: measures the graph up to a cut: its fastest inference, in milliseconds.
        counts: how often each kind occurs.
    """
    # By turns, so that what disturbs them for a while disturbs all of them.
    rounds = [[fastest(cut) for cut in places] for _ in range(ROUNDS)]
    spent, doubt = dict.fromkeys(counts, 0.0), dict.fromkeys(counts, 0.0)
    before, before_doubt = 0.0, 0.0
    for cut, measured in zip(places, zip(*rounds, strict=True), strict=True):
        best, second, *_ = sorted(measured)
        spent[cut.kind] += best - before
        doubt[cut.kind] += second - best + before_doubt
        before, before_doubt = best, second - best
    found = [
        KindTime(kind=kind, count=count, ms=round(spent[kind], 4), doubt_ms=round(doubt[kind], 4))
        for kind, count in counts.items()
    ]
    return sorted(found, key=lambda one: -one.ms)
