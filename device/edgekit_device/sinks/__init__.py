"""Where answers go: any number of sinks at once, each with its own queue.

A new one is a class like `Sink` and an entry in `SINKS`.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass

from edgekit.errors import ConfigurationError
from edgekit_device.config.settings import Settings
from edgekit_device.folders import data_folder
from edgekit_device.health import runtime_folder
from edgekit_device.sinks.base import Host, Sink
from edgekit_device.sinks.clip.folder import clip_folder
from edgekit_device.sources import is_live, reads_history


@dataclass(frozen=True)
class SinkEntry:
    """A kind of sink.

    Attributes:
        name: in health messages, metrics and `run --check`.
        wanted: whether settings want it.
        made_from: what of the settings it is made from; when that changes, another is opened.
        make: a sink, not started yet; raises SettingsError when its settings do not work.
    """

    name: str
    wanted: Callable[[Settings], bool]
    made_from: Callable[[Settings], object]
    make: Callable[[Settings, Host], Sink]

    def open(self, settings: Settings, host: Host) -> Sink | None:
        """A sink as the settings want it, not started yet; None where they do not.

        Raises:
            SettingsError: the settings of this sink do not work.
        """
        return self.make(settings, host) if self.wanted(settings) else None


# Each is imported when it is used: the daemon runs where memory is short.


def _stdout(settings: Settings, host: Host) -> Sink:
    from edgekit_device.sinks.jsonlines import JsonLines, is_journal

    stdout = sys.stdout.buffer
    raw = getattr(stdout, "raw", stdout)
    return JsonLines(raw, lossless=not is_live(settings), journal=is_journal(1))


def _mqtt(settings: Settings, host: Host) -> Sink:
    from edgekit_device.sinks.mqtt import Facts, Mqtt

    facts = Facts(pictures=settings.pictures.size != "off", control=settings.control.mqtt)
    controller = host.controller if settings.control.mqtt else None
    return Mqtt(
        settings.mqtt,
        settings.device_name,
        settings.pictures.size,
        facts=facts,
        http=settings.http,
        health_interval=settings.health.interval,
        controller=controller,
    )


def _http(settings: Settings, host: Host) -> Sink:
    from edgekit_device.sinks.http import Http
    from edgekit_device.sinks.http.api.attention import AttentionPart
    from edgekit_device.sinks.http.api.clips import clips
    from edgekit_device.sinks.http.api.control import control
    from edgekit_device.sinks.http.api.events import events_of
    from edgekit_device.sinks.http.api.metrics import metrics_of
    from edgekit_device.sinks.http.api.view import view

    parts = (
        metrics_of(host, {"data": data_folder(), "history": settings.history.folder}),
        view,
        events_of(settings.history),
        AttentionPart(host),
        control(host.controller, settings.control.http),
        clips(clip_folder()),
    )
    return Http(
        settings.http,
        settings.device_name,
        host.health,
        parts=parts,
        needs_token=settings.control.http,
    )


def _webhook(settings: Settings, host: Host) -> Sink:
    from edgekit_device.sinks.webhook import Webhook

    return Webhook(settings.webhook, settings.device_name)


def _history(settings: Settings, host: Host) -> Sink:
    from edgekit_device.sinks.history import History

    folder = settings.history.folder
    if folder is not None and reads_history(settings, folder):
        raise ConfigurationError(
            f"{folder} would be read and written at once; run it without history.folder"
        )
    return History(settings.history, lossless=not is_live(settings))


def _record(settings: Settings, host: Host) -> Sink:
    from edgekit_device.sinks.clip.server import ClipServer

    folder = runtime_folder()
    assert folder is not None
    return ClipServer(folder, host.health)


SINKS = (
    SinkEntry("stdout", lambda s: s.stdout, lambda s: (s.stdout, is_live(s)), _stdout),
    SinkEntry(
        "mqtt",
        lambda s: s.mqtt.host is not None,
        lambda s: (
            s.mqtt,
            s.device_name,
            s.pictures,
            s.control.mqtt,
            s.http.listen,
            s.health.interval,
        ),
        _mqtt,
    ),
    SinkEntry(
        "http",
        lambda s: s.http.listen is not None,
        lambda s: (s.http, s.history, s.device_name, s.control.http),
        _http,
    ),
    SinkEntry(
        "webhook",
        lambda s: s.webhook.url is not None,
        lambda s: (s.webhook, s.device_name),
        _webhook,
    ),
    SinkEntry(
        "history",
        lambda s: s.history.folder is not None,
        lambda s: (s.history, is_live(s)),
        _history,
    ),
    # A clip is of one source.
    SinkEntry(
        "record",
        lambda s: runtime_folder() is not None,
        lambda s: (s.source, s.camera, s.realtime, s.device_name),
        _record,
    ),
)
