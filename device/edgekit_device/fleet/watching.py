"""Looking at the fleet for as long as somebody wants to."""

import math
import shutil
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from textwrap import wrap
from typing import Any, Protocol

import click
import msgspec

from edgekit.commands.notify import notify
from edgekit.errors import EdgekitError
from edgekit.inference.events import timestamp
from edgekit_device.config.settings import MqttSettings
from edgekit_device.fleet.devices import Device
from edgekit_device.fleet.reading import Reading
from edgekit_device.fleet.remarks import remarks
from edgekit_device.fleet.selection import Selection
from edgekit_device.fleet.table import line, render, summary
from edgekit_device.retry import BROKER, Retry

EVERY = 1.0
"""Seconds from one look to the next."""
# Columns; a terminal that has fewer breaks lines.
_NARROWEST = 14


class View(Protocol):
    """Where it is shown."""

    def show(self, devices: Sequence[Device], chosen: Sequence[Device], told: list[str]) -> None:
        """Show how it is.

        Args:
            devices: all that there are.
            chosen: those that are meant.
            told: remarks for people.
        """

    def lost(self, problem: str) -> None:
        """Say that the broker is away, so that what was shown is no longer true."""


class Screen:
    """The whole of a terminal, drawn anew each time."""

    def show(self, devices: Sequence[Device], chosen: Sequence[Device], told: list[str]) -> None:
        """See `View.show`."""
        size = shutil.get_terminal_size()
        columns = max(_NARROWEST, size.columns - 1)
        # A line that the terminal breaks would push the first one out of it.
        said = [*summary(chosen).splitlines(), *told]
        head = [line for text in said for line in wrap(text, columns)]
        # The devices have half of the room, or more.
        if (most := max(2, (size.lines - 3) // 2)) < len(head):
            head[most - 1 :] = [f"… {len(head) - most + 1} more line(s)"]
        table = render(chosen, columns, max(3, size.lines - len(head) - 3))
        top = f"{datetime.now(UTC):%H:%M:%S} UTC{', Ctrl-C ends' if columns > 25 else ''}"
        lines = [top, *head, "", *table.splitlines()]
        self._draw(lines[: max(1, size.lines - 1)])

    def lost(self, problem: str) -> None:
        """See `View.lost`."""
        self._draw(wrap(problem, max(_NARROWEST, shutil.get_terminal_size().columns - 1)))

    def _draw(self, lines: list[str]) -> None:
        # What goes through `sys.stdout` steers no terminal.
        sys.stdout.flush()
        sys.stdout.buffer.write(b"\x1b[H\x1b[J")
        sys.stdout.buffer.flush()
        click.echo("\n".join(lines), nl=False)


class Changes:
    """A line for each device at first, and then for each change.

    Args:
        as_json: whether the line is a JSON object.
    """

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._shown: dict[str, tuple[object, ...]] = {}
        self._told: list[str] = []

    def show(self, devices: Sequence[Device], chosen: Sequence[Device], told: list[str]) -> None:
        """See `View.show`."""
        for remark in told:
            if remark not in self._told:
                notify(remark)
        self._told = told
        there = {device.name: device for device in devices}
        meant = {device.name: None for device in chosen}
        for name in [*meant, *sorted(self._shown.keys() - meant.keys())]:
            device = there.get(name)
            key = None if device is None else _key(device)
            if key != self._shown.get(name):
                self._say(name, device)
            if key is None or name not in meant:
                self._shown.pop(name, None)
            else:
                self._shown[name] = key
        sys.stdout.flush()

    def lost(self, problem: str) -> None:
        """See `View.lost`."""
        notify(problem)

    def _say(self, name: str, device: Device | None) -> None:
        if self._as_json:
            said: dict[str, Any] = {"ts": timestamp()}
            said |= {"gone": name} if device is None else {"device": device}
            click.echo(msgspec.json.encode(said).decode())
        else:
            text = f"{name} · gone from the broker" if device is None else line(device)
            click.echo(f"{timestamp()} {text}")


def _key(device: Device) -> tuple[object, ...]:
    """What of a device is a change; its ages and its temperature change all the time."""
    return (
        device.state, tuple(device.problems), device.drift, device.label, device.model,
        device.model_sha256, device.model_signer, device.version, device.host, device.address,
    )  # fmt: skip


def watch(settings: MqttSettings, selection: Selection, timeout: float, view: View) -> None:
    """Show the fleet until somebody interrupts it; a broker that is lost is connected to again.

    Args:
        settings: with a host.
        selection: which devices are meant.
        timeout: seconds for each step of connecting, and for the first reading.
        view: where it is shown.

    Raises:
        EdgekitError: the broker cannot be reached at first.
    """
    retry, known = Retry(BROKER, math.inf), False
    while True:
        try:
            reading = Reading(settings, timeout)
            reading.read(timeout)
            known = True
            retry.worked()
            _follow(reading, selection, settings.prefix, view)
        except EdgekitError as error:
            if not known:
                raise
            delay = retry.failed() or BROKER.maximum
            view.lost(f"{error}; trying again in {delay:.0f} s")
            time.sleep(delay)


def _follow(reading: Reading, selection: Selection, prefix: str, view: View) -> None:
    """Show what a connection tells, until it is lost."""
    try:
        while True:
            devices = reading.fleet.devices()
            chosen = [device for device in devices if selection.fits(device)]
            view.show(devices, chosen, remarks(reading, prefix, devices, selection))
            until = time.monotonic() + EVERY
            while (left := until - time.monotonic()) > 0:
                reading.turn(left)
    finally:
        reading.close()
