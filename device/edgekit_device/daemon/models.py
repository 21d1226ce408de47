"""Open the model as the settings say, on its accelerator where it has one.

Its file is read once, and tried in a process of its own before anything of it is used in this one.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, TypeVar

import msgspec

from edgekit.errors import (
    AcceleratorLostError,
    ConfigurationError,
    EdgekitError,
    InferenceError,
    ModelFileError,
    RuntimeUnavailableError,
)
from edgekit.files import FileStamp
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
from edgekit_device.health import shown
from edgekit_device.installed import added_at
from edgekit_device.retry import Retry
from edgekit_device.runtime_choice import Choice, choose
from edgekit_device.signers import check_signer
from edgekit_device.trial import Trial, read_model_bytes, try_model

_T = TypeVar("_T")
# A Coral stick takes up to about five seconds when its firmware has to be sent first.
LOAD_TIMEOUT = 15.0
# What has passed a trial and need not again: an accelerator that comes back, or an upgrade that is
# taken back, shall not wait for one.
_passed: deque[tuple[object, ...]] = deque(maxlen=4)
# What `check_file` has begun to try, and the trial.
_begun: deque[tuple[tuple[object, ...], Trial]] = deque(maxlen=1)


@dataclass(frozen=True)
class Loaded:
    """A model that has answered once.

    Attributes:
        classifier: the model.
        stamp: of the file that `settings.model` named when it was read.
        degraded: why it runs on the CPU although an accelerator was asked for; None otherwise.
        signer: who signed it, in words.
        runtime_from: why this runtime runs it, in words.
        since: when its file, or the link to it, was put in its place; see `added_at`.
    """

    classifier: Classifier
    stamp: FileStamp | None
    degraded: str | None = None
    signer: str = UNSIGNED
    runtime_from: str = ""
    since: str = ""

    def release_rest(self) -> None:
        """Give back to the system, where memory is short, what loading it has left."""
        # What packs weights and takes a graph apart has done its work.
        board.release_library_pages(runtimes.folder(self.classifier.runtime_name))
        # What the model before has held.
        board.release_memory()


class InUse(TypedDict):
    """What `Health` says of the model in use; see there."""

    model: str
    model_sha256: str
    model_signer: str
    model_since: str
    runtime: str
    runtime_from: str
    accelerator: str


def in_use(loaded: Loaded | None) -> InUse:
    """What is said of a model; nothing while there is none."""
    classifier = loaded.classifier if loaded else None
    return {
        "model": shown(classifier.path.name) if classifier else "",
        "model_sha256": classifier.sha256 if classifier else "",
        "model_signer": loaded.signer if loaded else "",
        "model_since": loaded.since if loaded else "",
        "runtime": classifier.runtime_name if classifier else "",
        "runtime_from": shown(loaded.runtime_from) if loaded else "",
        "accelerator": classifier.accelerator if classifier else "",
    }


@dataclass(frozen=True)
class _Read:
    """A model that was read once, and may run once it has passed its trial.

    Attributes:
        settings: to try it with.
        accelerated: whether it is for an accelerator.
        model: its file.
        labels: names in the place of those in the file; none where there are none.
        signer: see `Loaded`.
        runtime: to load it with.
    """

    settings: Settings
    accelerated: bool
    model: ModelFile
    labels: LabelFile | None
    signer: str
    runtime: Choice

    @property
    def subject(self) -> tuple[object, ...]:
        """All that decides how its trial ends."""
        how = self.settings
        asked = how.hints(), how.runtime, how.decision
        return self.model.sha256, self.labels, *asked, self.accelerated

    def try_with(self, begin: Callable[..., _T], content: bytes) -> _T:
        """Have it tried by `try_model`, or by what takes the same."""
        return begin(
            self.model.path,
            content,
            self.labels,
            self.settings,
            accelerated=self.accelerated,
            foreign=self.model.manifest is None,
            # The first one holds up no model that answers, and on a busy machine all waits for it.
            urgent=not _passed,
        )


def model_path(settings: Settings) -> Path:
    """The model's path.

    Raises:
        ConfigurationError: none is set.
    """
    if settings.model is None:
        raise ConfigurationError("no model; name one with --model, or `model` in the configuration")
    return settings.model


def check_file(settings: Settings, trial: Trial | None = None) -> None:
    """Refuse a file that is no classifier, without a runtime: before a camera is opened.

    Args:
        settings: name it.
        trial: begins with it here; who opens the model waits for the end.

    Raises:
        SettingsError: no model is set, or the decision settings do not fit it.
        ModelFileError: the file is missing, damaged, no image classifier, or not signed by whom it
            has to be.
        LabelsError: the labels cannot be read, or do not fit it.
    """
    accelerated = delegate.parse(settings.delegate) is not None
    content, read = _read(settings, model_path(settings), accelerated=accelerated)
    names = read.model.class_names(read.labels)
    recommended = read.model.recommended(names)
    settle(settings.decision, recommended, names, model=read.model.path.name)
    if trial is not None:
        read.try_with(trial.begin, content)
        _begun.append((read.subject, trial))


def open_on_cpu(settings: Settings, because: str | None = None) -> Loaded:
    """Open the model, or with a reason the one for the CPU, and let it answer once.

    Raises:
        ModelFileError, LabelsError, RuntimeUnavailableError, InferenceError: see their own text.
    """
    path = model_path(settings)
    stamp, since = FileStamp.of(path), added_at(path) or ""
    if because is not None:
        path = delegate.cpu_model(path, settings.cpu_model)
    read = _tried(settings, path, accelerated=False)
    classifier = _load(settings, read)
    return Loaded(classifier, stamp, because, read.signer, read.runtime.why, since)


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
    stamp, since = FileStamp.of(path), added_at(path) or ""
    read = _tried(settings, path, accelerated=True)
    what = f"loading the delegate {settings.delegate}"
    # A driver can hang in here, and must not take us with it.
    classifier = delegate.call_with_timeout(
        lambda: _load(settings, read, wanted), LOAD_TIMEOUT, what
    )
    return Loaded(classifier, stamp, None, read.signer, read.runtime.why, since)


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
    read = _tried(settings, path, accelerated=False)
    if on_cpu and read.model.sha256 != model.sha256:
        raise ModelFileError(f"{path.name} has been replaced; try again when it is in use")
    return _load(msgspec.structs.replace(settings, threads=1), read)


def _read(settings: Settings, path: Path, *, accelerated: bool) -> tuple[bytes, _Read]:
    """The model and its labels, read once: what is tried is what runs; and the model's bytes."""
    content = read_model_bytes(path)
    model = parse_model(path, content)
    # Before a runtime meets it.
    signer = check_signer(model, settings)
    labels = LabelFile.read(settings.labels) if settings.labels else None
    runtime = choose(settings, path, model.sha256)
    settings = msgspec.structs.replace(settings, runtime=runtime.runtime)
    return content, _Read(settings, accelerated, model, labels, str(signer or UNSIGNED), runtime)


def _tried(settings: Settings, path: Path, *, accelerated: bool) -> _Read:
    """The model and its labels, read once and tried, unless they have passed already."""
    content, read = _read(settings, path, accelerated=accelerated)
    if read.subject not in _passed:
        begun = next((trial for subject, trial in _begun if subject == read.subject), None)
        _begun.clear()
        if begun is not None:
            begun.wait()
        else:
            read.try_with(try_model, content)
        _passed.append(read.subject)
    return read


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
