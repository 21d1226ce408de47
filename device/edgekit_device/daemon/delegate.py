"""The accelerator that `settings.delegate` names."""

import faulthandler
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from edgekit.errors import ConfigurationError, RuntimeUnavailableError
from edgekit.inference.external_delegate import name_of

T = TypeVar("T")

_EDGETPU = "libedgetpu.so.1"
# Time beyond a time-out until the process ends itself.
_GRACE = 5.0


@dataclass(frozen=True)
class Delegate:
    """A TFLite delegate to load.

    Attributes:
        library: path of its library, or a name that the system's loader finds.
        options: passed to the library.
    """

    library: str
    options: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its short name, for example `edgetpu`."""
        return name_of(self.library)


def parse(spec: str) -> Delegate | None:
    """The delegate that a setting names; None for the CPU.

    Args:
        spec: `none`, `edgetpu`, `edgetpu:usb`, `edgetpu:pci`, the path of a library, or the name of
            one (`libother.so`) that the system's loader finds.

    Raises:
        ConfigurationError: it is none of these.
    """
    if spec == "none":
        return None
    if spec == "edgetpu":
        return Delegate(_EDGETPU)
    if spec in ("edgetpu:usb", "edgetpu:pci"):
        return Delegate(_EDGETPU, {"device": spec.removeprefix("edgetpu:")})
    path = Path(spec)
    if path.is_file():
        # The loader looks for a bare name in the system's folders alone.
        return Delegate(str(path.resolve()))
    if path.name == spec and ".so" in spec:
        return Delegate(spec)
    raise ConfigurationError(
        f"no delegate {spec!r}; it is none, edgetpu, edgetpu:usb, edgetpu:pci, or the path of "
        "another delegate's library"
    )


def cpu_model(model: Path, cpu_model: Path | None) -> Path:
    """What the CPU runs in the place of a delegate.

    Args:
        model: the model for the delegate.
        cpu_model: the one that was set for the CPU, if any.

    Returns:
        `cpu_model`; else the file beside `model` that is named like it without `_edgetpu`, as
        `edgekit convert --edgetpu` names them; else `model` itself.
    """
    if cpu_model is not None:
        return cpu_model
    beside = model.with_name(model.stem.removesuffix("_edgetpu") + model.suffix)
    return beside if beside.is_file() else model


def call_with_timeout(function: Callable[[], T], seconds: float, what: str) -> T:
    """Call a function that may hang, in a thread of its own; a hung one is left behind.

    The runtimes hold Python's interpreter lock while they hand a graph to a delegate. A delegate
    that hangs there stops all of Python: then the process prints where it hung, and ends with exit
    code 1 five seconds after the time-out.

    Args:
        function: what to call.
        seconds: how long it may take.
        what: what it does, for the message: `loading the delegate edgetpu`.

    Raises:
        RuntimeUnavailableError: it did not return in time.
        Exception: what the function raised.
    """
    future: Future[T] = Future()

    def work() -> None:
        try:
            future.set_result(function())
        except Exception as error:
            # What it had opened would stay open for as long as the error is kept.
            traceback.clear_frames(error.__traceback__)
            future.set_exception(error)

    faulthandler.dump_traceback_later(seconds + _GRACE, exit=True, file=2)
    try:
        threading.Thread(target=work, name=what, daemon=True).start()
        wait([future], seconds)
    finally:
        faulthandler.cancel_dump_traceback_later()
    if not future.done():
        raise RuntimeUnavailableError(
            f"{what} did not end within {seconds:g} s; unplug its hardware and plug it in again"
        )
    return future.result()
