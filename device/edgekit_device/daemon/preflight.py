"""`edgekit run --check`: try everything that the settings name, without publishing anything."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import click

from edgekit.errors import EdgekitError, SettingsError
from edgekit.inference.decision import settle_for
from edgekit.inference.frame import Frame
from edgekit.inference.looking import Look
from edgekit.model.geometry import Geometry
from edgekit.redaction import redact
from edgekit_device.config.settings import Settings
from edgekit_device.daemon.models import open_model
from edgekit_device.health import Health
from edgekit_device.sinks import SINKS, SinkEntry
from edgekit_device.sinks.base import Host
from edgekit_device.sources import EndOfSource, open_source

_FIRST_FRAME = 10.0


@dataclass
class _Found:
    """What of the model and the source the view is checked with; None where they do not work."""

    geometry: Geometry | None = None
    frame: Frame | None = None


def _check_model(found: _Found, settings: Settings) -> str:
    loaded = open_model(settings)
    classifier = loaded.classifier
    found.geometry = classifier.geometry
    what = (
        f"{classifier.path}, {len(classifier.labels)} classes, {classifier.runtime_name} on "
        f"{classifier.accelerator}; signer: {loaded.signer}"
    )
    settled = settle_for(settings.decision, classifier)
    return "; ".join([what, *classifier.notes, f"decision: {settled}"])


def _check_source(found: _Found, settings: Settings) -> str:
    source = open_source(settings)
    try:
        deadline = time.monotonic() + _FIRST_FRAME
        while time.monotonic() < deadline:
            frame = source.read(timeout=0.5)
            if frame is not None:
                found.frame = frame
                height, width = frame.pixels.shape[:2]
                return f"{source.name}, {width} x {height} pixels"
    except EndOfSource:
        pass
    finally:
        source.close()
    raise SettingsError(f"{source.name} gave no frame within {_FIRST_FRAME:g} s")


def _check_view(found: _Found, settings: Settings) -> str:
    if found.frame is None or found.geometry is None:
        return "not tried: that takes a model and a frame"
    look = Look.at(found.frame, found.geometry)
    if look.is_blind:
        raise SettingsError(f"the model {look}: leave something of it in view.masks")
    return f"the model {look}"


def _check_sink(entry: SinkEntry, settings: Settings) -> str:
    def no_health() -> Health:
        raise NotImplementedError

    sink = entry.open(settings, Host(no_health))
    return "off" if sink is None else sink.check()


def check_settings(settings: Settings) -> None:
    """Try the model, the source, the view and every sink, and print a line about each.

    Raises:
        SettingsError: something does not work.
    """
    found = _Found()
    checks: dict[str, Callable[[Settings], str]] = {
        "model": partial(_check_model, found),
        "source": partial(_check_source, found),
        "view": partial(_check_view, found),
    }
    for entry in SINKS:
        # The others are not for the settings to name, but for who starts the daemon.
        if entry.name in Settings.__struct_fields__:
            checks[entry.name] = partial(_check_sink, entry)
    wrong = []
    for name, check in checks.items():
        try:
            click.echo(redact(f"{name:<8} {check(settings)}"))
        except EdgekitError as error:
            click.echo(redact(f"{name:<8} wrong: {error}"))
            wrong.append(name)
    if wrong:
        raise SettingsError(f"the check found something wrong with: {', '.join(wrong)}")
