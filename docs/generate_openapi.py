"""Write docs/openapi.json from what the web server serves; tests compare it."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from edgekit_device.config.settings import HttpSettings, Settings
from edgekit_device.health import Health
from edgekit_device.sinks import SINKS
from edgekit_device.sinks.base import Host
from edgekit_device.sinks.http import Http
from edgekit_device.sinks.http.app import Application
from edgekit_device.sinks.http.feed import Feed
from edgekit_device.sinks.http.openapi import describe
from edgekit_device.sinks.http.operation import Operation

PATH = Path(__file__).parent / "openapi.json"


def application() -> Application:
    """What the daemon serves; it has seen nothing."""

    def health() -> Health:
        raise NotImplementedError

    (entry,) = (entry for entry in SINKS if entry.name == "http")
    settings = Settings(name="pi", http=HttpSettings(listen="127.0.0.1:0"))
    sink = entry.open(settings, Host(health))
    assert isinstance(sink, Http)
    return Application(Feed(health, 1.0), "pi", 1, 1, Counter(), sink.parts)


def document() -> dict[str, Any]:
    """The description."""
    return describe(route for route in application().routes if isinstance(route, Operation))


def render() -> str:
    """The file as it should be."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PATH.write_text(render(), encoding="utf-8")
