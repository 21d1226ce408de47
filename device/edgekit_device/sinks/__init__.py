"""Where answers go: any number of sinks at once, each with its own queue."""

import sys
from collections.abc import Callable

from edgekit_device.config.settings import Settings
from edgekit_device.health import Health
from edgekit_device.sinks.base import Sink
from edgekit_device.sources import is_live

SINKS = ("stdout", "mqtt", "http", "webhook")


def sink_key(name: str, settings: Settings) -> tuple[object, ...]:
    """What a sink is made from: settings that differ in it need another one."""
    return getattr(settings, name), settings.device_name


def open_sink(name: str, settings: Settings, health: Callable[[], Health]) -> Sink | None:
    """A sink as the settings want it, not started yet; None where they do not.

    Args:
        name: one of `SINKS`.
        settings: what to do.
        health: how the daemon is now; may be called from any thread.

    Raises:
        SettingsError: the settings of this sink do not work.
    """
    # Each is imported when it is used: the daemon runs where memory is short.
    if name == "stdout" and settings.stdout:
        from edgekit_device.sinks.jsonlines import JsonLines

        stdout = sys.stdout.buffer
        return JsonLines(getattr(stdout, "raw", stdout), lossless=not is_live(settings))
    if name == "mqtt" and settings.mqtt.host is not None:
        from edgekit_device.sinks.mqtt import Mqtt

        return Mqtt(settings.mqtt, settings.device_name)
    if name == "http" and settings.http.listen is not None:
        from edgekit_device.sinks.http import Http

        return Http(settings.http, settings.device_name, health)
    if name == "webhook" and settings.webhook.url is not None:
        from edgekit_device.sinks.webhook import Webhook

        return Webhook(settings.webhook, settings.device_name)
    return None
