"""What passes between `edgekit_device.trial` and the process that it starts."""

import msgspec

from edgekit.model.decision import DecisionOverrides
from edgekit.model.foreign import Hints

# What the process may say; a runtime writes a line for each operator that it does not like.
LARGEST_OUTPUT = 64 << 10
# What the process says when a model of ours has answered in it.
READY = b"ready"


class Job(msgspec.Struct, frozen=True):
    """What is to be tried.

    Attributes:
        path: of the model, for messages.
        size: of the model, in bytes.
        memory: see `Limits`.
        runtime: one of `runtimes.choices()`.
        hints: what the file does not say.
        decision: what the user says of decisions; it has to fit the model.
        labels: path of the labels, for messages; None where the model's own are used.
        accelerated: a model that the CPU cannot run is read, and need not answer.
        foreign: whether it may be without a manifest, so that its pixels may have to be converted.
        threads: CPU threads for each inference.
        measured_s: seconds for which it answers again and again to be measured, when it is good.
        urgent: nothing else is done until it has ended, so that it gives way to nobody.
        parent: the process that started it.
    """

    path: str
    size: int
    memory: int
    runtime: str = "auto"
    hints: Hints = Hints()
    decision: DecisionOverrides = DecisionOverrides()
    labels: str | None = None
    accelerated: bool = False
    foreign: bool = True
    threads: int = 1
    measured_s: float = 0.0
    urgent: bool = False
    parent: int = 0


class Report(msgspec.Struct, frozen=True):
    """How a trial went.

    Attributes:
        refusal: why the model is no good, a line; None where it is good.
        kind: whose fault that is, by the name of an error.
        seconds: from the first look at the model to the last answer.
        memory: the process's peak of resident memory, in bytes.
        answer_ms: median of what an answer took, in milliseconds; None where it was not measured.
    """

    refusal: str | None = None
    kind: str = ""
    seconds: float = 0.0
    memory: int = 0
    answer_ms: float | None = None


def too_much(job: Job) -> str:
    """That a model takes more memory than it may."""
    return (
        f"{job.path} takes more than {job.memory >> 20} MiB of memory, or than is free here; take "
        "a smaller network, or convert it again"
    )
