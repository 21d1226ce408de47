"""A thousand devices on one broker: `python -m benchmarks.fleet`.

All on this machine's loopback, with an end: the devices are the daemon's own sink without a camera,
the broker is mosquitto with its defaults. Measured are what the broker takes and carries, how long
`edgekit fleet` needs to show all, how long until a device that is killed, or loses its power, is
shown as gone, and how all come back after the broker was away.
"""

import argparse
import json
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from edgekit_device.config.settings import MqttSettings
from edgekit_device.fleet.reading import Reading
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.figures import found
from benchmarks.fleet_devices import Devices
from benchmarks.processes import busy, resident
from tests.integration.broker import Broker

_PART = "A fleet on one broker"
_PLOT = Path("build/benchmarks/fleet-reconnect.svg")
_PER_PROCESS = 100
# Seconds for which the broker is away: a restart, and an outage.
_AWAY = (1.0, 60.0)
_COLOURS = ("#0b6bcb", "#c2410c")
_STEP = 1.0  # seconds, for the curve


class _Carried:
    """What a broker says that it has carried, by its own count."""

    def __init__(self, broker: Broker) -> None:
        self._values: dict[str, float] = {}
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = lambda c, u, m: self._values.update({m.topic: float(m.payload)})
        self._client.connect(broker.host, broker.port)
        self._client.subscribe([(f"$SYS/broker/{kind}/received", 0) for kind in self.kinds])
        self._client.loop_start()

    kinds = ("bytes", "messages")

    def now(self) -> tuple[float, ...]:
        """Bytes and messages received so far; a second old at most."""
        time.sleep(1.5)
        return tuple(self._values[f"$SYS/broker/{kind}/received"] for kind in self.kinds)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def _until(condition: Callable[[], bool], turn: Callable[[], None], timeout: float) -> float:
    """Seconds until a condition holds; raises where it does not in time."""
    start = time.monotonic()
    while not condition():
        if time.monotonic() - start > timeout:
            raise SystemExit(f"waited {timeout:g} s in vain")
        turn()
    return time.monotonic() - start


def _all_connected(groups: Sequence[Devices], count: int, since: float) -> list[float]:
    """Seconds since the epoch at which each connected since a moment, once all have."""
    worked: list[float] = []

    def ask() -> None:
        time.sleep(0.5)
        for group in groups:
            worked.extend(one for one in group.attempts().worked if one > since)

    _until(lambda: len(worked) >= count, ask, 180.0)
    return sorted(worked)


def _fleet(broker: Broker, count: int, rounds: int) -> None:
    """The command itself."""
    seconds, cpu = [], []
    for _ in range(rounds):
        before, start = os.times(), time.monotonic()
        command = [sys.executable, "-m", "edgekit", "fleet", "--mqtt-host", broker.host]
        command += ["--mqtt-port", str(broker.port), "--json"]
        done = subprocess.run(command, capture_output=True, check=False)
        seconds.append(time.monotonic() - start)
        after = os.times()
        cpu.append(sum(after[2:4]) - sum(before[2:4]))
        if not done.stdout:
            raise SystemExit(done.stderr.decode())
        report = json.loads(done.stdout)
        assert report["complete"] and len(report["devices"]) == count, report["remarks"]
    found(
        _PART, f"edgekit fleet shows {count:,} devices, of which a second is waiting", seconds, "s"
    )
    found(_PART, "edgekit fleet: processor time", cpu, "s")


def _gone(broker: Broker, group: Devices, how: signal.Signals, what: str, timeout: float) -> None:
    """Until all devices of a process are shown as gone."""
    with closing(Reading(MqttSettings(host=broker.host, port=broker.port), 20.0)) as reading:
        reading.read(60.0)
        names = set(group.names)
        assert group.process.pid is not None

        def gone() -> int:
            return sum(d.state == "offline" for d in reading.fleet.devices() if d.name in names)

        def turn() -> None:
            # A look at all devices takes longer than a message.
            until = time.monotonic() + 0.1
            while (left := until - time.monotonic()) > 0:
                reading.turn(left)

        assert not gone()
        os.kill(group.process.pid, how)
        first = _until(lambda: gone() > 0, turn, timeout)
        rest = _until(lambda: gone() == len(names), turn, timeout)
    found(_PART, f"{what}: the first of {len(names)} is shown as offline after", [first], "s")
    found(_PART, f"{what}: all are", [first + rest], "s")


def _come_back(broker: Broker, groups: Sequence[Devices], count: int, away: float) -> list[float]:
    """Seconds after the broker is there again at which each device connects."""
    # A device that was connected for as long begins its delays afresh.
    time.sleep(35)
    killed = time.time()
    broker.kill()
    time.sleep(away)
    broker.start()
    start = time.time()
    assert broker.process is not None
    times = [max(0.0, one - start) for one in _all_connected(groups, count, killed)]
    what = f"away for {away:g} s"
    counts = _histogram(times)
    found(_PART, f"{what}: half of the devices are back after", [times[len(times) // 2]], "s")
    found(_PART, f"{what}: all are", [times[-1]], "s")
    found(_PART, f"{what}: connections in the busiest second", [_busiest(times)], "")
    time.sleep(5)
    found(_PART, f"{what}: the broker's processor time for it", [busy(broker.process.pid)], "s")
    print("  connections in each second:", counts, flush=True)
    return times


def _histogram(times: Sequence[float]) -> list[int]:
    counts = [0] * (int(max(times)) + 1)
    for one in times:
        counts[int(one)] += 1
    return counts


def _busiest(times: Sequence[float]) -> int:
    """The largest number of connections within any one second."""
    return max(sum(one <= other < one + 1 for other in times) for one in times)


def plot(curves: Mapping[float, Sequence[float]], path: Path) -> None:
    """Connections a second over the seconds since the broker is there again, as SVG."""
    width, height, left, top = 640, 340, 70, 40
    end = 10 * math.ceil(max(10.0, *(max(times) for times in curves.values())) / 10)
    rates = {
        away: [
            sum(step * _STEP <= one < (step + 1) * _STEP for one in times) / _STEP
            for step in range(int(end / _STEP))
        ]
        for away, times in curves.items()
    }
    most = 50 * math.ceil(max(max(values) for values in rates.values()) / 50)

    def at(seconds: float, rate: float) -> tuple[float, float]:
        return (
            left + (width - left - 30) * seconds / end,
            top + (height - top - 60) * (1 - rate / most),
        )

    (x0, y0), (x1, y1) = at(0, 0), at(end, most)
    parts = [
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<path d="M{x0} {y1}V{y0}H{x1}" fill="none" stroke="#555"/>',
        f'<text x="{(x0 + x1) / 2}" y="{height - 14}" text-anchor="middle">'
        "seconds since the broker is there again</text>",
        f'<text x="{x0}" y="{y1 - 14}">connections a second</text>',
    ]
    for seconds in range(0, end + 1, 10):
        x, y = at(seconds, 0)
        parts.append(f'<text x="{x:.1f}" y="{y + 20}" text-anchor="middle">{seconds}</text>')
    for rate in range(0, most + 1, 50):
        x, y = at(0, rate)
        parts.append(f'<text x="{x - 8}" y="{y + 4:.1f}" text-anchor="end">{rate}</text>')
    for number, (away, values) in enumerate(rates.items()):
        points = [at((step + 0.5) * _STEP, rate) for step, rate in enumerate(values)]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        colour = _COLOURS[number % len(_COLOURS)]
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(
            f'<text x="{x1}" y="{top + 20 * number}" text-anchor="end" fill="{colour}">'
            f"{len(curves[away]):,} devices, broker away for {away:g} s</text>"
        )
    style = 'font-family="sans-serif" font-size="13" fill="#222"'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {style}>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="benchmarks.fleet", description=__doc__)
    parser.add_argument("--devices", type=int, default=1000, help="a hundred to two thousand")
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="of what is steady, at most 600"
    )
    parser.add_argument("--rounds", type=int, default=3, help="of the command")
    parser.add_argument("--plot", type=Path, default=_PLOT, metavar="SVG")
    given = parser.parse_args()
    count = given.devices
    if not 100 <= count <= 2000 or count % _PER_PROCESS:
        parser.error(f"--devices is a multiple of {_PER_PROCESS}, from 100 to 2000")
    if not 0 < given.seconds <= 600:
        parser.error("--seconds is at most 600")
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as open_:
        # Below those that the system gives to connections: while the broker is away, one of a
        # thousand that tries it would take its port, and speak to itself.
        broker = Broker(Path(scratch), "sys_interval 1", port=random.randint(20_000, 30_000))
        names = [f"device-{number:04}" for number in range(count)]
        groups = []
        # Forked before there is any thread here.
        for first in range(0, count, _PER_PROCESS):
            group = Devices(broker.port, names[first : first + _PER_PROCESS])
            open_.callback(group.close)
            groups.append(group)
        time.sleep(3)
        start = time.time()
        broker.start()
        open_.callback(broker.kill)
        assert broker.process is not None
        times = _all_connected(groups, count, start)
        found(_PART, f"{count:,} devices: all have connected for the first time after",
              [times[-1] - start], "s")  # fmt: skip
        time.sleep(10)
        found(_PART, "the broker's processor time for it, with all announcements",
              [busy(broker.process.pid)], "s")  # fmt: skip
        carried = _Carried(broker)
        before, spent, begun = carried.now(), busy(broker.process.pid), time.monotonic()
        time.sleep(given.seconds)
        after, spent = carried.now(), busy(broker.process.pid) - spent
        seconds = time.monotonic() - begun
        carried.close()
        data, messages = ((b - a) / seconds for a, b in zip(before, after, strict=True))
        found(_PART, f"{count:,} devices: packets to the broker", [messages], "a second")
        found(_PART, f"{count:,} devices: bytes to the broker", [data], "a second")
        found(_PART, f"{count:,} devices: the broker, of one core", [100 * spent / seconds], "%")
        found(
            _PART,
            f"{count:,} devices: memory of the broker",
            [resident(broker.process.pid)],
            "MiB",
        )
        _fleet(broker, count, given.rounds)
        _gone(broker, groups[0], signal.SIGKILL, "devices that are killed", 30.0)
        _gone(broker, groups[1], signal.SIGSTOP, "devices that lose their power", 90.0)
        left = groups[2:]
        curves = {away: _come_back(broker, left, len(left) * _PER_PROCESS, away) for away in _AWAY}
        plot(curves, given.plot)
        print(f"the curve is in {given.plot}")


if __name__ == "__main__":
    main()
