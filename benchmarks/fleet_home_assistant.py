"""Fifty devices in a real Home Assistant: `python -m benchmarks.fleet_home_assistant`.

It is installed by `make home-assistant`. Measured are how long it takes to know all of them, those
that come while it runs and all at once as it starts, and what a restart costs it.
"""

import argparse
import random
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks.figures import found
from benchmarks.fleet_devices import Devices
from tests.integration.broker import Broker
from tests.integration.homeassistant import HOME_ASSISTANT, HomeAssistant

_PART = "A fleet in Home Assistant"


def _known(home: HomeAssistant, names: list[str]) -> int:
    """How many of the devices have a label."""
    states = {one["entity_id"]: one["state"] for one in home.get("/api/states")}
    ids = (f"sensor.{name.replace('-', '_')}_label" for name in names)
    return sum(states.get(one) not in (None, "unavailable", "unknown") for one in ids)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="benchmarks.fleet_home_assistant", description=__doc__)
    parser.add_argument("--devices", type=int, default=50, help="at most 200")
    count = parser.parse_args().devices
    if not 0 < count <= 200:
        parser.error("--devices is at most 200")
    if not (HOME_ASSISTANT / ".ready").is_file():
        parser.error("Home Assistant is not installed: make home-assistant")
    names = [f"device-{number:04}" for number in range(count)]
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as open_:
        broker = Broker(Path(scratch), port=random.randint(20_000, 30_000))
        broker.start()
        open_.callback(broker.kill)
        home = HomeAssistant(Path(scratch))
        open_.callback(home.stop)
        home.start()
        home.connect(broker.host, broker.port)
        start = time.monotonic()
        devices = Devices(broker.port, names)
        open_.callback(devices.close)
        home.until(lambda: _known(home, names) == count, 300.0)
        found(
            _PART, f"{count} devices come: all have a label after", [time.monotonic() - start], "s"
        )
        time.sleep(5)
        entities = [e for e in home.get("/api/states") if ".device_" in e["entity_id"]]
        found(_PART, f"{count} devices: entities", [len(entities)])
        home.stop()
        start = time.monotonic()
        home.start()
        up = time.monotonic() - start
        home.until(lambda: _known(home, names) == count, 300.0)
        found(_PART, "it is started again: it runs after", [up], "s")
        found(_PART, "it is started again: all have a label after", [time.monotonic() - start], "s")
        print("its warnings:", home.said() or "none")


if __name__ == "__main__":
    main()
