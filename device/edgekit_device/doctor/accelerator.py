"""Whether the library of the accelerator works in the runtime that is to use it."""

import json
import re
from collections.abc import Iterator

from edgekit.errors import ConfigurationError
from edgekit.inference.runtimes import AUTO, RUNTIMES
from edgekit.text import one_line
from edgekit_device.daemon.delegate import Delegate, parse
from edgekit_device.doctor.coral import has_coral, library_package
from edgekit_device.doctor.device import Device
from edgekit_device.doctor.diagnosis import Diagnosis
from edgekit_device.doctor.installation import EDIT, configured
from edgekit_device.doctor.packages import complaint, probed
from edgekit_device.doctor.service import daemon_of
from edgekit_device.service.layout import Layout

# From this TensorFlow on a build of libedgetpu goes with LiteRT, and before it with tflite-runtime.
_LITERT_SINCE = (2, 16)


def check_delegate(device: Device) -> Iterator[Diagnosis]:
    """Load the accelerator's library in the runtime, and let a model answer; it may crash there.

    Not while the service runs: it holds the accelerator, and says itself how that does.
    """
    settings = configured(device)
    if settings is None and Layout(device.root).config.exists():
        return  # who cannot read it cannot know what is to be tried
    spec = settings.delegate if settings else "edgetpu" if has_coral(device) else "none"
    if spec == "none" or daemon_of(device) is not None:
        return
    try:
        delegate = parse(spec)
    except ConfigurationError as error:
        yield Diagnosis("delegate", "problem", str(error), EDIT)
        return
    assert delegate is not None
    packages: dict[str, str] = probed(device.probe("packages"))["packages"]
    wanted = settings.runtime if settings else AUTO
    installed = [name for name, one in RUNTIMES.items() if one.distribution in packages]
    # As the daemon chooses: nothing is measured for an accelerator, so the preferred one.
    runtime = next((name for name in installed if wanted in (AUTO, name)), None)
    if runtime is None:
        text = f"runtime = {wanted!r} is configured, and is not installed"
        # Where there is none at all, that is said of the packages.
        if installed:
            yield Diagnosis("delegate", "problem", text, EDIT)
        return
    yield _tried(device, delegate, runtime, packages)


def _tried(device: Device, delegate: Delegate, runtime: str, packages: dict[str, str]) -> Diagnosis:
    module, distribution, _ = RUNTIMES[runtime]
    options = json.dumps(delegate.options)
    answer = device.probe("delegate", module, delegate.library, options)
    wrong = complaint(answer)
    if wrong is None:
        found = probed(answer)
        if not found.get("right"):
            wrong = found.get("wrong", "gives a wrong answer")
    title = f"{delegate.name} in {distribution} {packages[distribution]}"
    if wrong is None:
        return Diagnosis("delegate", "ok", f"{title} loads, and a model answers")
    text = f"{title}: {one_line(wrong)}"
    package = library_package(device) if delegate.name == "edgetpu" else None
    built = re.search(r"tf(\d+)\.(\d+)", package or "")
    if built is None:
        return Diagnosis("delegate", "problem", text)
    fits = "litert" if (int(built[1]), int(built[2])) >= _LITERT_SINCE else "tflite"
    if fits == runtime:
        return Diagnosis("delegate", "problem", text)
    text += f"; {package} goes with {RUNTIMES[fits].distribution}: set runtime = {fits!r}"
    remedy = EDIT
    if RUNTIMES[fits].distribution not in packages:
        extra = "edgekit-device[tflite]" if fits == "tflite" else "edgekit-device"
        remedy = f'{device.pip} install "{extra}" && {EDIT}'
    return Diagnosis("delegate", "problem", text, remedy)
