"""Which runtime `runtime = "auto"` takes: the one that was faster when the model was installed.

Which one that is depends on the processor. So each runtime that is installed lets the model answer
for two seconds, in the process in which it is tried anyhow, and what was found lies beside the
model. It holds for this very model, on this machine, with these runtimes: otherwise the order of
preference does, and whoever asks is told why.
"""

import platform
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec

from edgekit.errors import LabelsError, ModelFileError, RuntimeUnavailableError, SettingsError
from edgekit.files import read_bounded
from edgekit.inference.runtimes import AUTO, RUNTIMES, installed_versions, load
from edgekit.model.labels import LabelFile
from edgekit.text import one_line
from edgekit_device import board
from edgekit_device.config.settings import Settings
from edgekit_device.trial import try_model

SECONDS = 2.0
# As good as equal: the preferred one is taken, whatever a busy machine does to the figures.
_CLOSE = 1.05
# Bytes; a record has a few hundred.
_LIMIT = 16 << 10
AGAIN = "measure again with `sudo edgekit service install --model FILE`"


class Figure(msgspec.Struct, frozen=True, omit_defaults=True):
    """A runtime with the model.

    Attributes:
        version: of its distribution.
        ms: median of what an answer took, in milliseconds; None where there was none.
        problem: why there was none, a line.
    """

    version: str
    ms: Annotated[float, msgspec.Meta(gt=0, lt=1e7)] | None = None
    problem: str | None = None


class Measured(msgspec.Struct, frozen=True):
    """How the runtimes did with a model.

    Attributes:
        sha256: of the model's file, in hexadecimal.
        machine: on which.
        threads: CPU threads for each inference.
        figures: by name of the runtime.
    """

    sha256: str
    machine: str
    threads: Annotated[int, msgspec.Meta(ge=1)]
    figures: dict[str, Figure]

    @property
    def chosen(self) -> str | None:
        """Name of the fastest, or of one as good as that which is preferred; None without any."""
        times = {name: one.ms for name, one in self.figures.items() if one.ms is not None}
        best = min(times.values(), default=0.0)
        return next((name for name in RUNTIMES if times.get(name, 1e9) <= _CLOSE * best), None)

    def __str__(self) -> str:
        figures = "; ".join(
            f"{one_line(name)} {one_line(one.version)}: "
            + (f"{one.ms:,.1f} ms" if one.ms is not None else one_line(one.problem or "no answer"))
            for name, one in self.figures.items()
        )
        threads = f" with {self.threads} threads" if self.threads > 1 else ""
        return f"{figures}, measured{threads} when the model was installed"

    def misfit(self, sha256: str) -> str | None:
        """Why it does not hold here for a model; None where it does."""
        if self.sha256 != sha256:
            return "of another model"
        if self.machine != machine():
            return f"on another machine, {one_line(self.machine)}"
        if {name: one.version for name, one in self.figures.items()} != installed_versions():
            return f"with other runtimes ({self})"
        return None


class Choice(NamedTuple):
    """A runtime to open a model with.

    Attributes:
        runtime: one of `runtimes.choices()`.
        why: in words.
    """

    runtime: str
    why: str


def machine() -> str:
    """The board and its kind of processor."""
    return ", ".join(part for part in (board.model(), platform.machine()) if part)


def record_path(model: Path) -> Path:
    """Where it lies what was measured with a model that is stored, beside it."""
    return model.with_suffix(".runtimes.json")


def read(model: Path) -> Measured | str | None:
    """What was measured with a model.

    Args:
        model: path of its file, or a link to it.

    Returns:
        In words why it cannot be read, where it cannot; None where nothing was measured.
    """
    try:
        path = record_path(model.resolve())
        return msgspec.json.decode(read_bounded(path, _LIMIT), type=Measured)
    except FileNotFoundError:
        return None
    # A worn SD card gives any bytes: those that are no UTF-8 are a ValueError; so is a link in a
    # circle a RuntimeError.
    except (OSError, msgspec.MsgspecError, ValueError, RecursionError, RuntimeError):
        return "cannot be read"


def fitting(model: Path, sha256: str) -> Measured | None:
    """What was measured with a model, where it holds here and says which runtime to take."""
    measured = read(model)
    if not isinstance(measured, Measured) or measured.misfit(sha256):
        return None
    return measured if measured.chosen else None


def choose(settings: Settings, model: Path, sha256: str) -> Choice:
    """The runtime for a model that is to be opened, on the CPU or with an accelerator.

    Args:
        settings: say which, or leave it to this.
        model: path of its file.
        sha256: of that, in hexadecimal.
    """
    if settings.runtime != AUTO:
        return Choice(settings.runtime, "as configured")
    if settings.delegate != "none":
        # Its library goes with one of them, and not with the faster one.
        return Choice(AUTO, "preferred; nothing is measured for an accelerator")
    measured = read(model)
    if measured is None:
        alone = len(installed_versions()) < 2
        return Choice(AUTO, "the only one" if alone else "preferred; none was measured")
    if isinstance(measured, str):
        return Choice(AUTO, f"preferred; what was measured {measured}: {AGAIN}")
    if misfit := measured.misfit(sha256):
        return Choice(AUTO, f"preferred; it was measured {misfit}: {AGAIN}")
    if measured.chosen is None:
        return Choice(AUTO, f"preferred; {measured}: {AGAIN}")
    try:
        load(measured.chosen)
    except RuntimeUnavailableError as error:
        return Choice(AUTO, f"preferred; {error}")
    return Choice(measured.chosen, str(measured))


def measure(
    path: Path, content: bytes, sha256: str, labels: LabelFile | None, settings: Settings
) -> Measured:
    """Try a model with every runtime that is installed, and measure each.

    Args:
        path: of the model, for messages.
        content: its bytes; they meet a runtime without the rights of root, see `try_model`.
        sha256: of these.
        labels: names in the place of those in the model.
        settings: how the daemon will load it.

    Raises:
        ModelFileError, LabelsError, SettingsError, RuntimeUnavailableError: as `try_model`, where
            the model answers in none of them: what the preferred one says.
    """
    threads = board.inference_threads(settings.threads)
    figures: dict[str, Figure] = {}
    refusals: list[ModelFileError | RuntimeUnavailableError] = []
    for name, version in installed_versions().items():
        chosen = msgspec.structs.replace(settings, runtime=name)
        try:
            report = try_model(
                path, content, labels, chosen,
                accelerated=False, threads=threads, measured_s=SECONDS,
            )  # fmt: skip
            figures[name] = Figure(version, report.answer_ms)
        except (LabelsError, SettingsError):
            # They do not fit the model, whatever runs it.
            raise
        except (ModelFileError, RuntimeUnavailableError) as error:
            refusals.append(error)
            # Without what to do about the model: there is another runtime.
            figures[name] = Figure(version, problem=one_line(error).partition("; ")[0])
    if len(refusals) == len(figures):
        raise refusals[0]
    return Measured(sha256, machine(), threads, figures)
