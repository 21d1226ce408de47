"""A whole run of `edgekit bench`: every combination by turns, then the best one at work."""

import importlib.util
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from edgekit import __version__
from edgekit.errors import RuntimeUnavailableError
from edgekit.inference.runtimes import RUNTIMES
from edgekit.model.container import ModelFile
from edgekit.model.foreign import Hints
from edgekit_device.bench import conditions, measure
from edgekit_device.bench.conditions import Conditions
from edgekit_device.bench.energy import Meter, find_meter
from edgekit_device.bench.measure import Job, KindTimes, Rate, Run, Timing, absolute
from edgekit_device.bench.result import (
    BUSY,
    Energy,
    Heat,
    Latency,
    Model,
    Operators,
    Result,
    best,
    marks_of,
    with_marks,
)
from edgekit_device.bench.watching import Watching
from edgekit_device.daemon.delegate import parse

ROUNDS = 3
_IDLE = 1.0  # seconds
_NO_HINTS = Hints()
METHOD = (
    "the processor's time of the graph cut off behind each of its parts, one thread; the fastest "
    "run of several rounds. No runtime tells it itself."
)


@dataclass(frozen=True)
class Plan:
    """What is to be measured.

    Attributes:
        model: the model.
        combinations: runtimes and numbers of threads.
        seconds: for each of them, and for what follows.
        delegate: as `edgekit run` takes it.
        frame: width and height of a camera's frames, in pixels.
        source: a recording for the pipeline; frames that are made by default.
        hints: what a file of others does not say.
    """

    model: ModelFile
    combinations: list[tuple[str, int]]
    seconds: float
    delegate: str = "none"
    frame: tuple[int, int] = (640, 480)
    source: Path | None = None
    hints: Hints = _NO_HINTS

    def job(self, **changes: object) -> Job:
        """The job that `changes` make of this."""
        job = Job(
            task="inference",
            model=str(self.model.path.resolve()),
            sha256=self.model.sha256,
            seconds=self.seconds,
            delegate=absolute(self.delegate),
            width=self.frame[0],
            height=self.frame[1],
            source=str(self.source.resolve()) if self.source else None,
            hints=self.hints,
        )
        return msgspec.structs.replace(job, **changes)


def installed() -> list[str]:
    """Runtimes that seem to be installed; none is imported, which may crash."""
    return [
        name
        for name, runtime in RUNTIMES.items()
        if importlib.util.find_spec(runtime.module.partition(".")[0]) is not None
    ]


def threads_to_try(cores: int) -> list[int]:
    """1 to 4 threads, then twice as many each time, and as many as there are cores."""
    found = [count for count in (1, 2, 3, 4) if count <= cores]
    while found[-1] < cores:
        found.append(min(cores, 2 * found[-1]))
    return found


@dataclass
class _Combination:
    """What the rounds of a combination have found so far."""

    runtime: str
    threads: int
    found: list[Run] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    watts: list[float] = field(default_factory=list)
    others: list[float] = field(default_factory=list)
    throttled: bool = False

    @property
    def begun(self) -> bool:
        return bool(self.found or self.problems)

    @property
    def is_hopeless(self) -> bool:
        """Whether the first round failed; the others would, too."""
        return bool(self.problems) and not self.found

    def latency(self) -> Latency:
        found = measure.summary(self.runtime, self.threads, self.found, self.problems)
        watts = sum(self.watts) / len(self.watts) if self.watts else None
        return with_marks(found, max(self.others, default=None), watts, self.throttled)


class Session:
    """Measures what a plan says; `result` is what was found so far, at any moment.

    Args:
        plan: what to measure.
        tell: called with a line of progress before each step.
    """

    def __init__(self, plan: Plan, tell: Callable[[str], None]) -> None:
        self._plan = plan
        self._tell = tell
        self._size = plan.model.path.stat().st_size
        self._board = conditions.look_at_board()
        self._looks: list[Conditions] = [conditions.look()]
        self._meter: Meter | None = None
        self._idle: float | None = None
        self._busy: float | None = None
        self._combinations = [_Combination(*one) for one in plan.combinations]
        self._preprocessing: Timing | None = None
        self._pipeline: Rate | None = None
        self._operators: Operators | None = None
        self._missing: dict[str, str] = {}
        self._marks: dict[str, tuple[str, ...]] = {}
        self._done = False

    @property
    def begun(self) -> bool:
        """Whether there is something to show."""
        return any(one.begun for one in self._combinations)

    def measure(self) -> None:
        """Measure everything.

        Raises:
            RuntimeUnavailableError: no runtime runs the model.
        """
        self._wait()
        for number in range(ROUNDS):
            # Each time another one comes first, while the board is coolest.
            turn = number % len(self._combinations)
            for one in (*self._combinations[turn:], *self._combinations[:turn]):
                if not one.is_hopeless:
                    self._measure(one, number)
        latency = [one.latency() for one in self._combinations]
        index = best(latency)
        if index is None:
            reasons = "; ".join(dict.fromkeys(one.problem or "" for one in latency))
            names = ", ".join(dict.fromkeys(one.runtime for one in latency))
            raise RuntimeUnavailableError(f"nothing here runs this model ({names}): {reasons}")
        self._measure_best(latency[index])
        self._done = True

    def _wait(self) -> None:
        """What the board does while nothing is measured."""
        self._tell("looking at the board")
        self._meter = find_meter()
        processor = conditions.Processor()
        with self._watching() as watching:
            time.sleep(_IDLE)
        self._idle, self._busy = watching.watts, processor.others()

    def _measure(self, one: _Combination, number: int) -> None:
        plan = self._plan
        self._tell(f"round {number + 1} of {ROUNDS}: {one.runtime}, {_threads(one.threads)}")
        job = plan.job(runtime=one.runtime, threads=one.threads, seconds=plan.seconds / ROUNDS)
        processor = conditions.Processor()
        try:
            with self._watching() as watching:
                one.found.append(measure.run(job, Run))
        except RuntimeUnavailableError as error:
            one.problems.append(str(error))
            return
        if watching.watts is not None:
            one.watts.append(watching.watts)
        others = processor.others()
        if others is not None:
            one.others.append(others)
        one.throttled |= bool(_slowed(watching.looks))

    def _measure_best(self, one: Latency) -> None:
        plan, job = self._plan, self._plan.job(runtime=one.runtime, threads=one.threads)
        self._tell(f"preprocessing of {plan.frame[0]}x{plan.frame[1]}")
        with self._or_why("preprocessing"):
            task = msgspec.structs.replace(job, task="preprocessing")
            self._preprocessing = measure.run(task, Timing)
        self._tell(f"the whole pipeline, {one.runtime}, {_threads(one.threads)}")
        with self._or_why("pipeline"):
            self._pipeline = measure.run(msgspec.structs.replace(job, task="pipeline"), Rate)
        if plan.delegate != "none":
            self._missing["operators"] = "an accelerator runs them as one"
            return
        self._tell(f"kinds of operators, {one.runtime}")
        with self._or_why("operators"):
            task = msgspec.structs.replace(job, task="operators", threads=1)
            kinds = measure.run(task, KindTimes).kinds
            self._operators = Operators(runtime=one.runtime, method=METHOD, kinds=kinds)

    @contextmanager
    def _or_why(self, name: str) -> Iterator[None]:
        processor = conditions.Processor()
        try:
            with self._watching() as watching:
                yield
        except RuntimeUnavailableError as error:
            self._missing[name] = str(error)
            return
        marks = marks_of(processor.others(), bool(_slowed(watching.looks)))
        if marks:
            self._marks[name] = tuple(marks)

    @contextmanager
    def _watching(self) -> Iterator[Watching]:
        watching = Watching(self._meter)
        try:
            with watching:
                yield watching
        finally:
            self._looks += watching.looks

    def result(self) -> Result:
        """What was found."""
        plan, model = self._plan, self._plan.model
        latency = [one.latency() for one in self._combinations if one.begun]
        heat, missing = self._heat(), dict(self._missing)
        delegate = parse(plan.delegate)
        if not self._done:
            for name in ("preprocessing", "pipeline", "operators"):
                if getattr(self, f"_{name}") is None:
                    missing.setdefault(name, "interrupted")
        missing["arena"] = "neither runtime tells it in Python; see resident_mib"
        if self._meter is None:
            missing["energy"] = "not told by this board"
        return Result(
            edgekit=__version__,
            time=datetime.now(UTC).isoformat(timespec="seconds"),
            partial=not self._done,
            board=self._board,
            model=Model(
                name=model.path.name,
                sha256=model.sha256,
                bytes=self._size,
                width=model.geometry.width,
                height=model.geometry.height,
                operators=model.graph.operator_counts(),
            ),
            delegate=delegate.name if delegate else "none",
            seconds=plan.seconds,
            rounds=ROUNDS,
            latency=latency,
            best=best(latency),
            preprocessing=self._preprocessing,
            frame=plan.frame,
            pipeline=self._pipeline,
            operators=self._operators,
            heat=heat,
            energy=Energy(meter=self._meter.of, idle_watts=self._idle) if self._meter else None,
            marks=self._marks,
            not_measured=missing,
            warnings=[*self._warnings(latency, heat)],
        )

    def _heat(self) -> Heat:
        looks = [*self._looks, conditions.look()]
        known = [look.celsius for look in looks if look.celsius is not None]
        return Heat(
            before=looks[0],
            after=looks[-1],
            hottest=max(known, default=None),
            throttled=_slowed(looks),
        )

    def _warnings(self, latency: list[Latency], heat: Heat) -> Iterator[str]:
        if not self._done:
            yield "interrupted: figures are of what was measured until then"
        if self._busy is not None and self._busy > BUSY:
            yield (
                f"other programs took {self._busy:.0%} of the processor before anything was "
                "measured; end them, a daemon of ours too, and measure again"
            )
        disturbed = [one for one in latency if "busy" in one.marks]
        worst = max((one.others or 0 for one in disturbed), default=0)
        if worst or any("busy" in marks for marks in self._marks.values()):
            share = f"up to {worst:.0%}" if worst else "a part"
            yield (
                f"other programs took {share} of the processor meanwhile; the figures that are "
                "marked are too slow"
            )
        governor = self._board.governor
        if governor is not None and governor != "performance":
            yield (
                f"the processor's governor is {governor}, which changes its clock; for figures "
                "that can be compared: echo performance | sudo tee "
                "/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
            )
        if heat.throttled:
            yield (
                f"the board was slowed down meanwhile ({', '.join(heat.throttled)}); give it air "
                "and its own power supply, and measure again"
            )
        yield from self._pipeline.notes if self._pipeline else ()
        yield from (
            f"{one.runtime}, {_threads(one.threads)}: {one.problem}"
            for one in latency
            if one.problem is not None
        )


def _slowed(looks: Sequence[Conditions]) -> list[str]:
    """What slowed the board down at one of some looks, or between the first and the last."""
    first, last = looks[0], looks[-1]
    found = [name for look in looks for name in look.throttled]
    found += [name for name in last.since_boot if name not in first.since_boot]
    if first.slowdowns is not None and last.slowdowns is not None:
        found += ["too hot"] if last.slowdowns > first.slowdowns else []
    return [*dict.fromkeys(found)]


def _threads(count: int) -> str:
    return f"{count} thread{'s' if count != 1 else ''}"
