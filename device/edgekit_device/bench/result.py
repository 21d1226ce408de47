"""What `edgekit bench` finds, as its JSON has it."""

import msgspec

from edgekit_device.bench.conditions import Board, Conditions
from edgekit_device.bench.measure import FEW_RUNS, Measurement, Rate, Timing
from edgekit_device.bench.operators import KindTime

SCHEMA = 1
# More than this share of the processor, in others' hands, and figures are marked.
BUSY = 0.05


class Latency(Measurement, frozen=True, kw_only=True):
    """A measurement, and what disturbed it.

    Attributes:
        others: largest share of all cores' time that other programs took in a round; None where
            the system does not tell.
        watts: mean power that the meter told meanwhile, loading included; None without a meter.
        millijoules: that power for the time of the median inference.
        marks: what makes the figures doubtful; see `marks_of`.
    """

    others: float | None = None
    watts: float | None = None
    millijoules: float | None = None
    marks: tuple[str, ...] = ()


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured.

    Attributes:
        name: of the file.
        sha256: of the whole file.
        bytes: of the whole file.
        width, height: of its input, in pixels.
        operators: how often each kind occurs.
    """

    name: str
    sha256: str
    bytes: int
    width: int
    height: int
    operators: dict[str, int]


class Operators(msgspec.Struct, frozen=True, kw_only=True):
    """The time of each kind of operator.

    Attributes:
        runtime: that was looked at, with one thread.
        method: how it was measured.
        kinds: the longest first.
    """

    runtime: str
    method: str
    kinds: list[KindTime]


class Energy(msgspec.Struct, frozen=True, kw_only=True):
    """What the board tells of its power.

    Attributes:
        meter: what the figures are of, in words.
        idle_watts: before anything ran.
    """

    meter: str
    idle_watts: float | None


class Heat(msgspec.Struct, frozen=True, kw_only=True):
    """How the board was.

    Attributes:
        before, after: the first measurement and the last.
        hottest: temperature between them, in degrees Celsius; None where the board does not tell.
        throttled: what slowed it down at any time between them.
    """

    before: Conditions
    after: Conditions
    hottest: float | None
    throttled: list[str]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was found.

    Attributes:
        schema: version of this layout.
        edgekit: version of this program.
        time: when it ended, UTC.
        partial: whether it was interrupted: what is here was measured, the rest is missing.
        board: what was measured on.
        model: what was measured.
        delegate: name of the accelerator's that ran it, such as `edgetpu`; `none` for the CPU.
        seconds: of each combination of a runtime and a number of threads.
        rounds: in which those were measured by turns.
        latency: of each combination.
        best: index in `latency` of the fastest; None where nothing ran.
        preprocessing: from a camera's frame to the model's picture, in the best combination.
        frame: width and height of that frame, in pixels.
        pipeline: frames a second through all that the daemon does with one, in the best one.
        operators: time of each kind of operator.
        heat: temperature and throttling.
        energy: None where the board does not tell.
        marks: what makes figures doubtful, by their name here.
        not_measured: why something is missing, by its name here.
        warnings: what makes figures doubtful, or was guessed, a line each.
        line: all in a line, to be pasted.
    """

    schema: int = SCHEMA
    edgekit: str
    time: str
    partial: bool
    board: Board
    model: Model
    delegate: str
    seconds: float
    rounds: int
    latency: list[Latency]
    best: int | None
    preprocessing: Timing | None
    frame: tuple[int, int]
    pipeline: Rate | None
    operators: Operators | None
    heat: Heat
    energy: Energy | None
    marks: dict[str, tuple[str, ...]]
    not_measured: dict[str, str]
    warnings: list[str]
    line: str = ""


def marks_of(others: float | None, throttled: bool, found: Measurement | None = None) -> list[str]:
    """What makes figures doubtful: `busy`, `throttled`, `few runs`, `failed`.

    Args:
        others: share of all cores' time that other programs took meanwhile; None for unknown.
        throttled: whether the board was slowed down meanwhile.
        found: the figures of inference.
    """
    marks = {
        "busy": others is not None and others > BUSY,
        "throttled": throttled,
        "few runs": found is not None and 0 < found.runs < FEW_RUNS,
        "failed": found is not None and found.problem is not None,
    }
    return [name for name, holds in marks.items() if holds]


def with_marks(
    found: Measurement, others: float | None, watts: float | None, throttled: bool
) -> Latency:
    """A measurement with what disturbed it.

    Args:
        found: the measurement.
        others, throttled: see `marks_of`.
        watts: see `Latency`.
    """
    p50 = found.p50_ms
    return Latency(
        **msgspec.structs.asdict(found),
        others=None if others is None else round(others, 3),
        watts=None if watts is None else round(watts, 2),
        millijoules=None if watts is None or p50 is None else round(watts * p50, 2),
        marks=tuple(marks_of(others, throttled, found)),
    )


def best(latency: list[Latency]) -> int | None:
    """Index of the combination with the least median, of those that never failed if there is one.

    None where none has figures.
    """
    ranked = sorted(
        (one.problem is not None, one.p50_ms, index)
        for index, one in enumerate(latency)
        if one.p50_ms is not None
    )
    return ranked[0][2] if ranked else None
