"""Open the model as the settings say, on its accelerator where it has one.

Its file is read once, and tried in a process of its own before anything of it is used in this one.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edgekit.errors import (
    AcceleratorLostError,
    ConfigurationError,
    EdgekitError,
    InferenceError,
    ModelFileError,
    RuntimeUnavailableError,
)
from edgekit.inference import runtimes
from edgekit.inference.classifier import Classifier
from edgekit.inference.pipeline import AnyClassifier
from edgekit.model.container import ModelFile, parse_model
from edgekit.model.labels import LabelFile
from edgekit.model.settled import settle
from edgekit.model.signers import UNSIGNED
from edgekit_device import board
from edgekit_device.config.settings import Settings
from edgekit_device.daemon import delegate
from edgekit_device.installed import added_at
from edgekit_device.retry import Retry
from edgekit_device.runtime_choice import Choice, choose
from edgekit_device.signers import check_signer
from edgekit_device.trial import read_model_bytes, try_model

# A Coral stick takes up to about five seconds when its firmware has to be sent first.
LOAD_TIMEOUT = 15.0
# What has passed a trial and need not again: an accelerator that comes back, or an upgrade that is
# taken back, shall not wait for one.
_passed: deque[tuple[object, ...]] = deque(maxlen=4)


@dataclass(frozen=True)
class Signature:
    """What a file looks like from outside; another one means another content."""

    inode: int
    size: int
    modified_ns: int

    @classmethod
    def of(cls, path: Path) -> "Signature | None":
        """The signature of a file, None while there is none."""
        try:
            status = path.stat()
        except OSError:
            return None
        return cls(status.st_ino, status.st_size, status.st_mtime_ns)


@dataclass(frozen=True)
class Loaded:
    """A model that has answered once.

    Attributes:
        classifier: the model.
        signature: of the file that `settings.model` named when it was read.
        degraded: why it runs on the CPU although an accelerator was asked for; None otherwise.
        signer: who signed it, in words.
        runtime_from: why this runtime runs it, in words.
        since: when its file, or the link to it, was put in its place; see `added_at`.
    """

    classifier: Classifier
    signature: Signature | None
    degraded: str | None = None
    signer: str = UNSIGNED
    runtime_from: str = ""
    since: str = ""


@dataclass(frozen=True)
class _Read:
    """A model that was read once, may run, and has passed its trial.

    Attributes:
        model: its file.
        labels: names in the place of those in the file; none where there are none.
        signer: see `Loaded`.
        runtime: to load it with.
    """

    model: ModelFile
    labels: LabelFile | None
    signer: str
    runtime: Choice


def model_path(settings: Settings) -> Path:
    """The model's path.

    Raises:
        ConfigurationError: none is set.
    """
    if settings.model is None:
        raise ConfigurationError("no model; name one with --model, or `model` in the configuration")
    return settings.model


def check_file(settings: Settings) -> None:
    """Refuse a file that is no classifier, without a runtime: before a camera is opened.

    Raises:
        SettingsError: no model is set, or the decision settings do not fit it.
        ModelFileError: the file is missing, damaged, no image classifier, or not signed by whom it
            has to be.
        LabelsError: the labels cannot be read, or do not fit it.
    """
    path = model_path(settings)
    model = parse_model(path, read_model_bytes(path))
    check_signer(model, settings)
    names = model.class_names(LabelFile.read(settings.labels) if settings.labels else None)
    settle(settings.decision, model.recommended(names), names, model=path.name)


def open_on_cpu(settings: Settings, because: str | None = None) -> Loaded:
    """Open the model, or with a reason the one for the CPU, and let it answer once.

    Raises:
        ModelFileError, LabelsError, RuntimeUnavailableError, InferenceError: see their own text.
    """
    path = model_path(settings)
    signature, since = Signature.of(path), added_at(path) or ""
    if because is not None:
        path = delegate.cpu_model(path, settings.cpu_model)
    read = _read(settings, path, accelerated=False)
    classifier = _load(settings, read)
    return Loaded(classifier, signature, because, read.signer, read.runtime.why, since)


def open_model(settings: Settings) -> Loaded:
    """Open the model where `settings.delegate` says, once, and let it answer once.

    Raises:
        ConfigurationError: there is no such delegate, or no model is set.
        ModelFileError, LabelsError: the model is no good.
        RuntimeUnavailableError, InferenceError: the runtime or the delegate does not work.
    """
    wanted = delegate.parse(settings.delegate)
    if wanted is None:
        return open_on_cpu(settings)
    path = model_path(settings)
    signature, since = Signature.of(path), added_at(path) or ""
    read = _read(settings, path, accelerated=True)
    what = f"loading the delegate {settings.delegate}"
    # A driver can hang in here, and must not take us with it.
    classifier = delegate.call_with_timeout(
        lambda: _load(settings, read, wanted), LOAD_TIMEOUT, what
    )
    return Loaded(classifier, signature, None, read.signer, read.runtime.why, since)


def open_again(settings: Settings, model: AnyClassifier) -> Classifier:
    """Another interpreter of the model in use, or of the CPU's in its place, on one thread.

    Raises:
        ModelFileError: the file has been replaced, or is no good; no model is in use.
        LabelsError, RuntimeUnavailableError, InferenceError: see their own text.
    """
    if not isinstance(model, Classifier):
        raise ModelFileError("this model cannot be opened twice")
    path, on_cpu = model.path, model.accelerator == "cpu"
    if not on_cpu:
        path = delegate.cpu_model(path, settings.cpu_model)
    read = _read(settings, path, accelerated=False)
    if on_cpu and read.model.sha256 != model.sha256:
        raise ModelFileError(f"{path.name} has been replaced; try again when it is in use")
    return _load(msgspec.structs.replace(settings, threads=1), read)


def _read(settings: Settings, path: Path, *, accelerated: bool) -> _Read:
    """The model and its labels, read once and tried: what was tried is what runs."""
    content = read_model_bytes(path)
    model = parse_model(path, content)
    # Before a runtime meets it.
    signer = check_signer(model, settings)
    labels = LabelFile.read(settings.labels) if settings.labels else None
    runtime = choose(settings, path, model.sha256)
    settings = msgspec.structs.replace(settings, runtime=runtime.runtime)
    how = (labels, settings.hints(), settings.runtime, settings.decision)
    tried = (model.sha256, *how, accelerated)
    if tried not in _passed:
        # The first one holds up no model that answers, and on a busy machine all waits for it.
        urgent = not _passed
        try_model(path, content, labels, settings, accelerated=accelerated, urgent=urgent)
        _passed.append(tried)
    return _Read(model, labels, str(signer or UNSIGNED), runtime)


def _load(
    settings: Settings, read: _Read, accelerator: delegate.Delegate | None = None
) -> Classifier:
    classifier = Classifier.load(
        read.model,
        labels=read.labels,
        hints=settings.hints(),
        runtime=read.runtime.runtime,
        threads=board.inference_threads(settings.threads),
        delegate=accelerator.library if accelerator else None,
        delegate_options=accelerator.options if accelerator else None,
    )
    classifier.warm_up()
    # What packs weights and takes a graph apart has done its work.
    board.release_library_pages(runtimes.folder(classifier.runtime_name))
    return classifier


def open_with_retries(
    settings: Settings,
    wait: Callable[[float], bool],
    notify: Callable[[str], None],
    retry: Retry,
    failure: EdgekitError | None = None,
) -> Loaded | None:
    """Open the model; try a delegate again and again, then fall back to the CPU if that is allowed.

    Args:
        settings: say what to open.
        wait: sleeps for some seconds; returns True when it is time to stop.
        notify: called with a line for people about what fails.
        retry: when to try a delegate again, and for how long.
        failure: of the delegate that is in use, if that is why it is opened again.

    Returns:
        None when `wait` said to stop.

    Raises:
        AcceleratorLostError: the delegate does not work, and the CPU is not allowed.
        EdgekitError: as `open_model` and `open_on_cpu`, where another try would not help.
    """
    while True:
        if failure is not None:
            delay = retry.failed()
            if delay is None:
                return _without_delegate(settings, str(failure))
            notify(f"{failure}; trying again in {delay:.1f} s")
            if wait(delay):
                return None
        try:
            return open_model(settings)
        except (RuntimeUnavailableError, InferenceError) as error:
            if delegate.parse(settings.delegate) is None:
                raise
            failure = error


def _without_delegate(settings: Settings, reason: str) -> Loaded:
    if not settings.allow_cpu_fallback:
        raise AcceleratorLostError(
            f"the delegate {settings.delegate} does not work: {reason}; with --allow-cpu-fallback "
            "the CPU would go on"
        )
    return open_on_cpu(settings, f"the delegate {settings.delegate} failed ({reason})")


def model_settings(settings: Settings) -> tuple[object, ...]:
    """Of the settings, what decides how the model is opened."""
    return (
        settings.model,
        settings.labels,
        settings.allowed_signers,
        settings.hints(),
        settings.runtime,
        settings.threads,
        settings.delegate,
        settings.cpu_model,
    )
