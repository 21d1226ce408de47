"""Models that are kept on the device under names, to choose among."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from edgekit.errors import ServiceError
from edgekit.text import one_line
from edgekit_device.config.file import load
from edgekit_device.installed import NAME_RULE, InstalledModel, is_name, list_models
from edgekit_device.service.classes import class_names
from edgekit_device.service.durable import locked
from edgekit_device.service.layout import Layout
from edgekit_device.service.signed import approve
from edgekit_device.service.store import Store
from edgekit_device.service.upgrade import AT_WORK
from edgekit_device.service.verify import STANDARD_INPUT, Model

# How many there may be, and the bytes that adding one leaves free for everything else.
MOST = 16
RESERVE = 100_000_000
# Letters of the classes that a line shows.
_CLASSES = 60


class ModelReport(msgspec.Struct, frozen=True):
    """An installed model, as `edgekit service models --json` prints it.

    Attributes:
        name, sha256, added, current, previous: see `InstalledModel`.
        damaged: whether its file is not what it was; such a one cannot be changed to.
        classes: names of its classes by index; None where its file does not say them.
    """

    name: str
    sha256: str
    added: str
    current: bool
    previous: bool
    damaged: bool
    classes: list[str] | None


def report(layout: Layout) -> list[ModelReport]:
    """The installed models, those with a name first."""
    store = Store(layout.state)
    models = list_models(layout.state)
    whole = [store.is_whole(model.sha256) for model in models]
    classes = class_names(
        [store.path(model.sha256) for model, good in zip(models, whole, strict=True) if good]
    )
    left = iter(classes)
    return [
        _report(model, damaged=not good, classes=next(left) if good else None)
        for model, good in zip(models, whole, strict=True)
    ]


def _report(model: InstalledModel, *, damaged: bool, classes: list[str] | None) -> ModelReport:
    return ModelReport(**msgspec.structs.asdict(model), damaged=damaged, classes=classes)


def describe(layout: Layout, models: list[ModelReport]) -> Iterator[str]:
    """A line for each model, and one for each name whose file is gone."""
    store = Store(layout.state)
    width = max([4, *(len(model.name) for model in models)])
    for model in models:
        role = "runs" if model.current else "before" if model.previous else ""
        classes = "" if model.classes is None else _shortened(model.classes)
        if model.damaged:
            classes = "damaged on the disk; add it again"
        yield (
            f"{model.name:<{width}}  {model.sha256[:12]}  {model.added}  {role:<6}  {classes}"
        ).rstrip()
    for name in store.names.keys() - {model.name for model in models}:
        yield f"{name:<{width}}  its file is gone; edgekit service models remove {name}"
    if not models:
        yield "no model is installed; edgekit service install --model FILE"


def _shortened(classes: list[str]) -> str:
    text = one_line(", ".join(classes))
    if len(text) > _CLASSES:
        text = f"{text[:_CLASSES]}…"
    return f"{len(classes)} classes: {text}"


def add(layout: Layout, path: Path, name: str | None, notify: Callable[[str], None]) -> None:
    """Keep a model on the device under a name, without changing to it.

    Args:
        layout: where things lie.
        path: of the model; `-` for standard input.
        name: for it; the file's own without its suffix if None.
        notify: is told in a line what happens.

    Raises:
        ServiceError: no service is installed, the name is none or taken, there are too many
            models, or no room.
        ModelFileError: the model is no good, or not signed by whom it has to be.
    """
    _check_installed(layout)
    name = _name(path, name)
    settings = load(layout.config, {})
    with _locked(layout):
        store = Store(layout.state)
        model = Model.read(path)
        sha256 = model.sha256
        # A name whose file is gone is free.
        named = {key: value for key, value in store.names.items() if store.is_whole(value)}
        if named.get(name) == sha256:
            notify(f"model {name} is installed already; nothing was changed")
            return
        if name in named:
            raise ServiceError(
                f"{name} is another model, {named[name][:12]}; choose another --name, or remove "
                f"that first: edgekit service models remove {name}"
            )
        for other, theirs in named.items():
            if theirs == sha256:
                raise ServiceError(f"this model is installed already, as {other}")
        if len(named) >= MOST:
            raise ServiceError(
                f"{MOST} models are installed, which is as many as there may be; remove one first: "
                "edgekit service models remove NAME"
            )
        _check_room(layout, len(model.content))
        store.add(model.content, approve(model, settings, layout.root))
        store.name(sha256, name)
    notify(f"model {sha256[:12]} is installed as {name}; edgekit service use {name} changes to it")


def remove(layout: Layout, name: str, notify: Callable[[str], None]) -> None:
    """Keep a model no longer.

    Raises:
        ServiceError: there is no such name, or the model runs.
    """
    _check_installed(layout)
    with _locked(layout):
        store = Store(layout.state)
        sha256 = store.names.get(name)
        if sha256 is None:
            raise ServiceError(
                f"no model has the name {one_line(name)}; `edgekit service models` lists those "
                "that have one"
            )
        pending = store.pending
        if sha256 in (store.current, pending and pending.new):
            raise ServiceError(f"{name} runs; change to another first: edgekit service use NAME")
        store.forget(name)
        kept = sha256 == store.before
    notify(f"{name} is removed{'; its file stays, because it ran before' if kept else ''}")


def _check_installed(layout: Layout) -> None:
    if not layout.unit.is_file():
        raise ServiceError("no service is installed here; edgekit service install --model FILE")


@contextmanager
def _locked(layout: Layout) -> Iterator[None]:
    with locked(layout.lock) as ours:
        if not ours:
            raise ServiceError(AT_WORK)
        yield


def _name(path: Path, name: str | None) -> str:
    if name is None and path == STANDARD_INPUT:
        raise ServiceError("a model on standard input has no name; give it one with --name")
    chosen = path.stem if name is None else name
    if not is_name(chosen):
        raise ServiceError(f"{one_line(chosen)!r} is no name for a model: {NAME_RULE}; see --name")
    return chosen


def _check_room(layout: Layout, size: int) -> None:
    free = shutil.disk_usage(layout.state).free
    if free - size < RESERVE:
        raise ServiceError(
            f"no room for a model of {size / 1e6:.1f} MB: {free / 1e6:.0f} MB are free below "
            f"{layout.state}, of which {RESERVE / 1e6:.0f} MB have to stay so; remove a model: "
            "edgekit service models remove NAME"
        )
