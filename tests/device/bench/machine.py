"""A machine that a test makes."""

from collections.abc import Callable
from typing import Any

from edgekit_device.bench.conditions import Conditions
from edgekit_device.bench.measure import Job, KindTimes, Rate, Run, Timing
from edgekit_device.bench.operators import KindTime

from edgekit.errors import RuntimeUnavailableError

COOL = Conditions(celsius=50.0, throttled=[], since_boot=[], told=True, slowdowns=None)
HOT = Conditions(
    celsius=84.0, throttled=["throttled"], since_boot=["throttled"], told=True, slowdowns=None
)


def run_of(job: Job, *times: float) -> Run:
    return Run(
        runtime=job.runtime, version="1.0", load_ms=1, first_ms=1, times_ms=[*times] or [1.0] * 200,
        before=1 << 20, after=2 << 20, peak=3 << 20,
    )  # fmt: skip


class Machine:
    """What each job gives, how the board is, how busy others keep it."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.fails: Callable[[Job], str | None] = lambda _: None
        self.times: Callable[[Job], list[float]] = lambda _: []
        self.condition = COOL
        self.others: float | None = 0.0
        self.notes: list[str] = []

    def run(self, job: Job, _answer: type) -> Any:
        self.jobs.append(job)
        if reason := self.fails(job):
            raise RuntimeUnavailableError(reason)
        if job.task == "inference":
            return run_of(job, *self.times(job))
        if job.task == "preprocessing":
            return Timing(p50_ms=0.5, p90_ms=0.6, minimum_ms=0.4, runs=9)
        if job.task == "pipeline":
            return Rate(
                per_second=30,
                frames=30,
                seconds=1,
                width=job.width,
                height=job.height,
                source="x",
                notes=self.notes,
            )
        pad = KindTime(kind="PAD", count=2, ms=1.0, doubt_ms=2.0)
        add = KindTime(kind="ADD", count=1, ms=-0.5, doubt_ms=2.0)
        return KindTimes([KindTime(kind="CONV_2D", count=1, ms=3.0, doubt_ms=0.5), pad, add])
